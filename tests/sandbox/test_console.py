"""The record, the console and the behaviours it sets."""

import asyncio
from collections.abc import Callable

import httpx
import orjson
import pytest

from dispatcher.sandbox import Behaviour, Fault, Latency, LatencyShape
from dispatcher.sandbox.dice import Dice
from dispatcher.sandbox.record import Record
from dispatcher.sandbox.weather import Weather

from .builders import DANA, NUMBER, SISTER, WABA, Client, MovedClock, a_message, a_text, person

A_NUMBER = {"id": "5", "waba_id": WABA, "display_phone_number": "+44 20 7946 0001", "token": "t"}
A_TEMPLATE = {
    "id": "9",
    "waba_id": WABA,
    "name": "fresh",
    "language": "en_US",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Hello."}],
}


async def test_the_record_counts_what_was_accepted_refused_and_violated(client: Client) -> None:
    await client.post(a_message(token="i.c.1.1"))
    client.clock.move(5)
    await client.post(a_message(to=person(1), token="i.c.2.1"), SISTER)
    await client.post(a_message(template="unheard_of"))
    record = await client.record()
    assert record == {
        "accepted": 2,
        "duplicates": 0,
        "resent_attempts": 0,
        "violations": {"unknown_template": 1},
        "refused": {"132001": 1},
        "by_number": {
            NUMBER: {"accepted": 1, "refused": {"132001": 1}, "violations": {"unknown_template": 1}},
            SISTER: {"accepted": 1, "refused": {}, "violations": {}},
        },
        "first_at_ms": client.clock.now_ms - 5,
        "last_at_ms": client.clock.now_ms,
    }


async def test_the_detail_tells_every_accepted_message(client: Client) -> None:
    wamid = (await client.post(a_message(token="i.c.1.1"))).json()["messages"][0]["id"]
    await client.post({**a_message(token="ünï"), "to": None, "recipient": "US.7001"})
    first, second = (await client.http.get("/_sandbox/record?detail=1")).text.splitlines()
    assert orjson.loads(first) == {
        "wamid": wamid,
        "phone_number_id": NUMBER,
        "to": DANA.removeprefix("+"),
        "content": "template:greeting:en_US",
        "token": "i.c.1.1",
        "at_ms": client.clock.now_ms,
        "fails_later": None,
    }
    assert (orjson.loads(second)["to"], orjson.loads(second)["token"]) == ("US.7001", "ünï")


@pytest.mark.parametrize(
    ("first", "second", "duplicates"),
    [
        ((DANA, "i.c.1.1"), (DANA, "i.c.1.2"), 1),
        ((DANA, "i.c.1.1"), (person(1), "i.c.1.1"), 1),
        ((DANA, "i.c.1.1"), (DANA, "i.c.2.1"), 1),
        ((DANA, "i.c.1.1"), (person(1), "i.c.2.1"), 0),
        ((DANA, "i.c.1.1"), (DANA, "i.d.2.1"), 0),
        ((DANA, "i.c.1.1"), (DANA, "j.c.1.1"), 0),
        ((DANA, "theirs"), (DANA, "theirs"), 0),
        ((DANA, ""), (DANA, ""), 0),
    ],
)
async def test_a_message_or_a_person_of_a_campaign_accepted_twice_is_a_duplicate(
    client: Client, first: tuple[str, str], second: tuple[str, str], duplicates: int
) -> None:
    for to, token in (first, second):
        assert await client.code(a_message(to=to, token=token)) is None
    record = await client.record()
    assert record["duplicates"] == duplicates
    assert record["violations"] == ({"duplicate": 1} if duplicates else {})


async def test_replies_of_one_conversation_are_not_duplicates_of_each_other(client: Client) -> None:
    await client.http.post("/_sandbox/windows", json={"phone_number_id": NUMBER, "person": DANA})
    for message in ("1", "2"):
        await client.post({**a_text(), "biz_opaque_callback_data": f"i.replies.{message}.1"})
    assert (await client.record())["duplicates"] == 0


async def test_violations_are_listed_with_whom_and_when(client: Client) -> None:
    await client.http.patch(f"/_sandbox/numbers/{NUMBER}", json={"status": "BANNED"})
    await client.post(a_message())
    assert (await client.http.get("/_sandbox/violations")).json() == {
        "violations": [
            {
                "kind": "blocked_sender",
                "phone_number_id": NUMBER,
                "to": "12025550143",
                "at_ms": client.clock.now_ms,
                "code": 131031,
            }
        ]
    }


async def test_a_reset_forgets_what_was_sent_and_keeps_the_world(client: Client) -> None:
    await client.http.patch(f"/_sandbox/numbers/{NUMBER}", json={"tier_limit": 1})
    first = (await client.post(a_message())).json()["messages"][0]["id"]
    assert await client.code(a_message(to=person(1))) == 131048
    await client.http.post("/_sandbox/reset")
    second = (await client.post(a_message(to=person(1)))).json()["messages"][0]["id"]
    record = await client.record()
    assert (record["accepted"], record["violations"], record["refused"]) == (1, {}, {})
    assert first != second


def test_a_reset_in_the_middle_of_a_detail_lets_it_end() -> None:
    record = Record()
    for place in range(3):
        record.accept(
            number_id="1", person=place, content="text", token="", at_ms=place, once_per_campaign=False
        )
    lines = record.detail()
    before = [next(lines)]
    record.reset()
    assert len(before + list(lines)) == 3
    assert len(record) == 0


async def test_a_number_is_shown_and_changed(client: Client) -> None:
    await client.post(a_message())
    changed = await client.http.patch(
        f"/_sandbox/numbers/{NUMBER}", json={"tier_limit": "unlimited", "rate_per_s": 500, "quality": "RED"}
    )
    shown = await client.http.get(f"/_sandbox/numbers/{NUMBER}")
    assert changed.json() == shown.json()
    assert shown.json() == {
        "id": NUMBER,
        "waba_id": WABA,
        "display_phone_number": "+1 202-555-0100",
        "token": "sandbox-token",
        "verified_name": "Sandbox Shop",
        "status": "CONNECTED",
        "quality": "RED",
        "tier_limit": "unlimited",
        "limit_scope": "sender",
        "rate_per_s": 500,
        "throughput": "STANDARD",
        "people_reached": 1,
    }
    assert len((await client.http.get("/_sandbox/numbers")).json()["numbers"]) == 2


async def test_numbers_templates_accounts_and_portfolios_can_be_added(client: Client) -> None:
    for path, entry in (
        ("portfolios", {"id": "7", "tier_limit": "unlimited"}),
        ("wabas", {"id": "6", "portfolio_id": "7"}),
        ("numbers", {**A_NUMBER, "waba_id": "6"}),
        ("templates", {**A_TEMPLATE, "waba_id": "6"}),
    ):
        response = await client.http.put(f"/_sandbox/{path}", json=[entry])
        assert response.json() == {path: 1}
    message = a_message(template="fresh", components=[])
    accepted = await client.post(message, "5", headers={"authorization": "Bearer t"})
    assert accepted.status_code == 200
    assert (await client.http.get("/_sandbox/health")).json() == {
        "ok": True,
        "numbers": 3,
        "templates": 2,
        "accepted": 1,
    }


@pytest.mark.parametrize(
    ("method", "path", "said", "status", "named"),
    [
        ("PATCH", f"numbers/{NUMBER}", {"status": "HAPPY"}, 422, "status"),
        ("PATCH", f"numbers/{NUMBER}", {"rate_per_s": 0}, 422, "rate_per_s"),
        ("PATCH", f"numbers/{NUMBER}", {"speed": 9}, 422, "speed"),
        ("PATCH", "numbers/404", {"status": "BANNED"}, 404, "404"),
        ("PATCH", "portfolios/404", {"tier_limit": 1}, 404, "404"),
        ("PUT", "numbers", {}, 422, "body"),
        ("PUT", "numbers", [{**A_NUMBER, "waba_id": "404"}], 422, "404"),
        ("PUT", "numbers", [{**A_NUMBER, "display_phone_number": "call me"}], 422, "display_phone_number"),
        ("PUT", "wabas", [{"id": "6", "portfolio_id": "404"}], 422, "404"),
        ("PUT", "templates", [{**A_TEMPLATE, "components": []}], 422, "BODY"),
        ("PUT", "templates", [{**A_TEMPLATE, "components": [{"text": "x"}]}], 422, "type"),
        ("PUT", "templates", [{**A_TEMPLATE, "waba_id": "404"}], 422, "404"),
        ("PATCH", "behaviour", {"errors": {"131000": 0.6}, "faults": {"bare_5xx": 0.6}}, 422, "add up"),
        ("PATCH", "behaviour", {"faults": {"earthquake": 0.1}}, 422, "earthquake"),
        ("PATCH", "timing", {"day_ms": -1}, 422, "day_ms"),
        ("POST", "windows", {"phone_number_id": "404", "person": DANA}, 404, "404"),
        ("PATCH", "people", {"opted_out": ["nobody"]}, 422, "phone number"),
        ("GET", "coffee", None, 404, "coffee"),
    ],
)
async def test_wrong_console_input_is_answered_with_what_is_wrong(
    client: Client, method: str, path: str, said: object, status: int, named: str
) -> None:
    response = await client.http.request(method, f"/_sandbox/{path}", json=said)
    assert response.status_code == status
    assert named in response.json()["error"]


async def test_console_input_that_is_not_json_is_refused(client: Client) -> None:
    response = await client.http.patch("/_sandbox/behaviour", content=b"{")
    assert response.status_code == 422
    assert "JSON" in response.json()["error"]


async def test_a_share_of_posts_is_refused_with_the_code_asked_for(client: Client) -> None:
    await client.http.patch("/_sandbox/behaviour", json={"errors": {"131049": 1}})
    response = await client.post(a_message())
    assert response.json()["error"]["code"] == 131049
    assert await client.code(a_message(components=[])) == 132000
    record = await client.record()
    assert (record["accepted"], record["violations"]) == (0, {})


async def test_a_code_nobody_knows_is_news_in_metas_shape(a_client: Callable[..., Client]) -> None:
    client = a_client(errors={139999: 1.0})
    assert (await client.post(a_message())).json()["error"]["error_data"]["details"]


async def test_a_change_of_behaviour_keeps_what_it_does_not_name(client: Client) -> None:
    await client.http.patch("/_sandbox/behaviour", json={"errors": {"131049": 0.25}})
    await client.http.patch("/_sandbox/behaviour", json={"faults": {"bare_5xx": 0.5}})
    shown = (await client.http.get("/_sandbox/behaviour")).json()
    assert shown["errors"] == {"131049": 0.25}
    assert shown["faults"] == {"bare_5xx": 0.5}


@pytest.mark.parametrize(("fault", "accepted"), [(Fault.BARE_5XX, 0), (Fault.BARE_5XX_ACCEPTED, 1)])
async def test_a_bare_502_tells_nothing_but_the_record_does(
    a_client: Callable[..., Client], fault: Fault, accepted: int
) -> None:
    client = a_client(faults={fault: 1.0})
    response = await client.post(a_message())
    assert (response.status_code, response.content) == (502, b"")
    assert (await client.record())["accepted"] == accepted


@pytest.mark.parametrize(("fault", "accepted"), [(Fault.CLOSED_UNREAD, 0), (Fault.CLOSED_ACCEPTED, 1)])
async def test_a_broken_connection_in_one_process_is_an_exception(
    a_client: Callable[..., Client], fault: Fault, accepted: int
) -> None:
    client = a_client(faults={fault: 1.0})
    with pytest.raises(ConnectionResetError):
        await client.post(a_message())
    assert (await client.record())["accepted"] == accepted


async def test_silence_after_acceptance_lasts_until_the_client_gives_up(
    a_client: Callable[..., Client],
) -> None:
    client = a_client(faults={Fault.SILENT_ACCEPTED: 1.0})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.post(a_message()), timeout=0.1)
    assert (await client.record())["accepted"] == 1


async def test_a_refused_post_is_answered_even_where_answers_get_lost(
    a_client: Callable[..., Client],
) -> None:
    client = a_client(faults={Fault.CLOSED_ACCEPTED: 1.0})
    assert await client.code(a_message(components=[])) == 132000


def test_the_same_seed_draws_the_same_fates() -> None:
    behaviour = Behaviour(errors={131049: 0.3}, faults={Fault.BARE_5XX: 0.2})
    weather = Weather(behaviour, MovedClock())
    first, second = Dice(weather, 11), Dice(weather, 11)
    drawn = [first.fate() for _ in range(500)]
    assert drawn == [second.fate() for _ in range(500)]
    assert 100 < drawn.count(131049) < 200
    assert 60 < drawn.count(Fault.BARE_5XX) < 140


@pytest.mark.parametrize(
    ("latency", "low_s", "high_s"),
    [
        (Latency(ms=20), 0.02, 0.02),
        (Latency(LatencyShape.UNIFORM, ms=10, to_ms=30), 0.01, 0.03),
        (Latency(LatencyShape.LOGNORMAL, ms=20, sigma=0.1), 0.01, 0.04),
    ],
)
def test_latency_spreads_as_asked(latency: Latency, low_s: float, high_s: float) -> None:
    dice = Dice(Weather(Behaviour(latency=latency), MovedClock()), 3)
    assert not dice.is_plain
    assert all(low_s <= dice.latency_s() <= high_s for _ in range(200))


async def test_an_answer_waits_for_its_latency(a_client: Callable[..., Client]) -> None:
    client = a_client(latency=Latency(ms=1))
    response: httpx.Response = await client.post(a_message())
    assert response.status_code == 200
