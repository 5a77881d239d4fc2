"""What an operator has reported: people who write, changes of accounts, raw bytes; and the handshake."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from dispatcher.sandbox import WebhookBehaviour, read_world

from .builders import DANA, NUMBER, WABA, Json, ReportingClient, a_text
from .receiver import Receiver


async def the_value(reporting: ReportingClient, receiver: Receiver) -> Json:
    """The value of the one change that was reported."""
    await reporting.quiet()
    ((change,),) = [got.changes for got in receiver.got]
    value: Json = change["value"]
    return value


async def test_a_person_who_writes_is_reported_and_opens_a_window(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    assert await reporting.code(a_text()) == 131047
    said = {"phone_number_id": NUMBER, "person": DANA, "text": "Is it open today?"}
    (answer,) = (await reporting.console("POST", "inbound", said))["messages"]
    assert await reporting.code(a_text()) is None
    await reporting.quiet()
    (change,) = next(got for got in receiver.got if b"Is it open" in got.body).changes
    assert change["field"] == "messages"
    (message,) = change["value"]["messages"]
    assert message == {
        "from": "12025550143",
        "from_user_id": "US.7000000012025550143",
        "id": answer["id"],
        "timestamp": message["timestamp"],
        "type": "text",
        "text": {"body": "Is it open today?"},
    }
    assert message["timestamp"].isdecimal()
    assert change["value"]["contacts"][0]["wa_id"] == "12025550143"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"button": {"payload": "STOP", "text": "Stop"}}, {"type": "button"}),
        ({"interactive": {"type": "button_reply"}}, {"type": "interactive"}),
        ({"message": {"type": "unknown", "id": "mine", "timestamp": 5}}, {"id": "mine", "timestamp": 5}),
        ({"text": "😀 \x00", "id": "wamid.A"}, {"id": "wamid.A"}),
        ({"text": "Yes", "context_id": "wamid.B"}, {"context": {"from": "12025550100", "id": "wamid.B"}}),
    ],
)
async def test_people_write_in_many_ways(
    reporting: ReportingClient, receiver: Receiver, said: Json, expected: Json
) -> None:
    await reporting.console("POST", "inbound", [{"phone_number_id": NUMBER, "person": DANA, **said}])
    (message,) = (await the_value(reporting, receiver))["messages"]
    assert {key: message[key] for key in expected} == expected


@pytest.mark.parametrize("who", [{"person": "US.7001"}, {"person": DANA, "is_hidden": True}])
async def test_a_hidden_person_has_only_a_scoped_id(
    reporting: ReportingClient, receiver: Receiver, who: Json
) -> None:
    await reporting.console("POST", "inbound", {"phone_number_id": NUMBER, "text": "Stop", **who})
    value = await the_value(reporting, receiver)
    assert "from" not in value["messages"][0]
    assert "wa_id" not in value["contacts"][0]
    assert value["messages"][0]["from_user_id"] == value["contacts"][0]["user_id"]


async def test_any_change_of_an_account_can_be_told(reporting: ReportingClient, receiver: Receiver) -> None:
    value = {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}}
    await reporting.console("POST", "events", {"waba_id": WABA, "field": "account_update", "value": value})
    assert await the_value(reporting, receiver) == value
    (entry,) = json.loads(receiver.got[0].body)["entry"]
    assert entry["id"] == WABA
    assert isinstance(entry["time"], int)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [{"status": "BANNED"}, {"status": "CONNECTED"}],
            [
                ("account_update", ("ban_info", "waba_ban_state"), "DISABLE"),
                ("account_update", ("ban_info", "waba_ban_state"), "REINSTATE"),
            ],
        ),
        (
            [{"status": "RESTRICTED"}, {"status": "CONNECTED"}],
            [("account_update", ("event",), "ACCOUNT_RESTRICTION")] * 2,
        ),
        (
            [{"status": "FLAGGED"}, {"status": "CONNECTED"}],
            [
                ("phone_number_quality_update", ("event",), "FLAGGED"),
                ("phone_number_quality_update", ("event",), "UNFLAGGED"),
            ],
        ),
        (
            [{"tier_limit": 2000}],
            [("business_capability_update", ("max_daily_conversations_per_business",), 2000)],
        ),
        ([{"throughput": "HIGH"}], [("phone_number_quality_update", ("event",), "THROUGHPUT_UPGRADE")]),
        ([{"quality": "RED"}], []),
    ],
)
async def test_a_changed_number_is_told_when_asked_for(
    reporting: ReportingClient,
    receiver: Receiver,
    changes: list[Json],
    told: list[tuple[str, tuple[str, ...], object]],
) -> None:
    for change in changes:
        await reporting.console("PATCH", f"numbers/{NUMBER}", change, params={"event": 1})
        await reporting.quiet()
    seen = [change for got in receiver.got for change in got.changes]
    assert [change["field"] for change in seen] == [field for field, _, _ in told]
    for change, (_, path, expected) in zip(seen, told, strict=True):
        found = change["value"]
        for key in path:
            found = found[key]
        assert found == expected


async def test_a_changed_number_is_not_told_of_otherwise(reporting: ReportingClient) -> None:
    await reporting.console("PATCH", f"numbers/{NUMBER}", {"status": "BANNED"})
    assert (await reporting.quiet())["planned"] == 0


async def test_a_changed_template_is_told_when_asked_for(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    template = {
        "id": "600000000000001",
        "waba_id": WABA,
        "name": "greeting",
        "language": "en_US",
        "category": "MARKETING",
        "status": "PAUSED",
        "components": [{"type": "BODY", "text": "Hello {{1}}."}],
    }
    await reporting.console("PUT", "templates", [template], params={"event": 1})
    value = await the_value(reporting, receiver)
    assert (value["event"], value["message_template_id"]) == ("PAUSED", 600000000000001)
    assert value["message_template_language"] == "en-US"


@pytest.mark.parametrize(("signature", "is_signed"), [("good", True), ("bad", False), ("none", False)])
async def test_raw_bytes_go_out_as_they_are_and_once(
    reporting: ReportingClient, receiver: Receiver, signature: str, is_signed: bool
) -> None:
    receiver.answers_with(401)
    receiver.body = b"no"
    body = b'{"entry": [\xff'
    answer = await reporting.console("POST", "webhooks/raw", content=body, params={"signature": signature})
    (got,) = receiver.got
    assert (got.body, got.is_signed) == (body, is_signed)
    assert ("x-hub-signature-256" in got.headers) == (signature != "none")
    assert (answer["status"], answer["answer"]) == (401, "no")
    assert (await reporting.quiet())["planned"] == 0


async def test_the_handshake_wants_its_challenge_back(reporting: ReportingClient, receiver: Receiver) -> None:
    assert (await reporting.console("POST", "callback/verify"))["verified"] is False
    target = receiver.got[0].target
    assert target.startswith("/webhooks/meta?app=1&hub.mode=subscribe&hub.challenge=")
    assert target.endswith("&hub.verify_token=kept")


async def test_the_handshake_succeeds_where_the_challenge_comes_back(
    reporting: ReportingClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.sandbox.webhooks.deliveries.randbelow", lambda _: 1158201444)
    receiver.body = b"1158201444"
    assert (await reporting.console("POST", "callback/verify"))["verified"] is True


async def test_the_secret_is_never_shown(reporting: ReportingClient, receiver: Receiver) -> None:
    assert await reporting.console("GET", "callback") == {"url": receiver.url}


@pytest.mark.parametrize(
    ("method", "path", "said", "status", "named"),
    [
        ("PUT", "callback", {"url": "ftp://here"}, 422, "http"),
        ("PUT", "callback", {"url": "http://here", "app_secret": ""}, 422, "app_secret"),
        ("POST", "inbound", {"phone_number_id": "404", "person": DANA, "text": "x"}, 404, "404"),
        ("POST", "inbound", {"phone_number_id": NUMBER, "person": DANA}, 422, "one of"),
        ("POST", "inbound", {"phone_number_id": NUMBER, "person": "me", "text": "x"}, 422, "person"),
        ("POST", "events", {"waba_id": WABA}, 422, "field"),
        ("POST", "webhooks/raw?signature=odd", None, 422, "odd"),
        ("GET", "webhooks?until_idle=soon", None, 422, "until_idle"),
        ("PATCH", "behaviour", {"webhooks": {"lost_share": 2}}, 422, "lost_share"),
        ("PATCH", "behaviour", {"webhooks": {"failures": {"1": 0.7, "2": 0.7}}}, 422, "failures"),
    ],
)
async def test_wrong_input_is_answered_with_what_is_wrong(
    reporting: ReportingClient, method: str, path: str, said: object, status: int, named: str
) -> None:
    response = await reporting.http.request(method, f"/_sandbox/{path}", json=said)
    assert response.status_code == status
    assert named in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "callback/verify", None),
        ("POST", "webhooks/raw", None),
        ("POST", "events", {"waba_id": WABA, "field": "x", "value": 1}),
    ],
)
async def test_what_needs_a_callback_says_so(
    reporting: ReportingClient, method: str, path: str, said: object
) -> None:
    await reporting.console("DELETE", "callback")
    response = await reporting.http.request(method, f"/_sandbox/{path}", json=said)
    assert response.status_code == 422
    assert "callback" in response.json()["error"]


def test_a_world_may_name_its_callback() -> None:
    world, behaviour = read_world(
        {
            "callback": {"url": "http://127.0.0.1:8000/webhooks", "app_secret": "s"},
            "behaviour": {"webhooks": {"read": {"ms": 5}, "read_share": 0.5}},
        }
    )
    assert world.callback is not None
    assert (world.callback.host, world.callback.port, world.callback.is_tls) == ("127.0.0.1", 8000, False)
    assert behaviour.webhooks.read.ms == 5
    assert behaviour.webhooks.delivered_share == 1.0


def test_the_example_world_shows_every_key_of_webhooks() -> None:
    text = (Path(__file__).parents[2] / "config" / "sandbox.toml").read_text()
    assert [each.name for each in fields(WebhookBehaviour) if f"\n{each.name} = " not in text] == []
