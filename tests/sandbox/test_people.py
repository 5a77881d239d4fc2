"""People of the sandbox: they send all kinds of things, change their minds and their numbers, and it is written down."""

import pytest

from .builders import DANA, NUMBER, Json, ReportingClient, a_message, a_text
from .receiver import Receiver

MOVED_TO = "+12025550155"
OLD_ID, NEW_ID = "US.7000000012025550143", "US.7000000012025550155"


async def told(reporting: ReportingClient, receiver: Receiver, field: str = "messages") -> list[Json]:
    """The values of all changes of a field that were reported, in no order."""
    await reporting.quiet()
    return [change["value"] for got in receiver.got for change in got.changes if change["field"] == field]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"media": {"kind": "image", "caption": "The sign"}}, {"type": "image", "caption": "The sign"}),
        ({"media": {"kind": "audio"}}, {"type": "audio", "voice": True}),
        (
            {"media": {"kind": "document", "filename": "bill.pdf"}},
            {"type": "document", "filename": "bill.pdf"},
        ),
        ({"reaction": {"message_id": "wamid.A", "emoji": "👍"}}, {"type": "reaction", "emoji": "👍"}),
        ({"reaction": {"message_id": "wamid.A"}}, {"type": "reaction", "message_id": "wamid.A"}),
    ],
)
async def test_people_send_media_and_reactions(
    reporting: ReportingClient, receiver: Receiver, said: Json, expected: Json
) -> None:
    await reporting.console("POST", "inbound", {"phone_number_id": NUMBER, "person": DANA, **said})
    [value] = await told(reporting, receiver)
    [message] = value["messages"]
    kind = expected.pop("type")
    assert message["type"] == kind
    assert expected.items() <= message[kind].items()


async def test_a_person_who_stops_marketing_is_refused_from_then_on_until_they_resume(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    for value, code in (("stop", 131050), ("resume", None)):
        said = {"phone_number_id": NUMBER, "person": DANA, "value": value}
        await reporting.console("POST", "preferences", said)
        assert await reporting.code(a_message()) == code
        values = await told(reporting, receiver, "user_preferences")
        [preference] = next(v for v in values if v["user_preferences"][0]["value"] == value)[
            "user_preferences"
        ]
        assert (preference["wa_id"], preference["user_id"]) == (DANA.removeprefix("+"), OLD_ID)
        assert isinstance(preference["timestamp"], int)


async def test_a_person_who_moves_is_told_of_by_number_and_by_id_and_takes_the_window_along(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.console("POST", "inbound", {"phone_number_id": NUMBER, "person": DANA, "text": "Hello"})
    said = {"phone_number_id": NUMBER, "person": DANA, "to": MOVED_TO}
    await reporting.console("POST", "moves", said)
    values = await told(reporting, receiver)
    [moved] = [v for v in values if v.get("messages", [{}])[0].get("type") == "system"]
    assert "contacts" not in moved
    assert moved["messages"][0]["from"] == DANA.removeprefix("+")
    assert moved["messages"][0]["system"]["wa_id"] == MOVED_TO.removeprefix("+")
    [changed] = await told(reporting, receiver, "user_id_update")
    assert changed["user_id_update"][0]["user_id"] == {"previous": OLD_ID, "current": NEW_ID}
    assert await reporting.code(a_text(to=MOVED_TO)) is None


@pytest.mark.parametrize("message", [{"type": "edit"}, {"type": "text", "group_id": "G1"}])
async def test_what_says_nothing_new_to_the_number_opens_no_window(
    reporting: ReportingClient, message: Json
) -> None:
    said = {"phone_number_id": NUMBER, "person": DANA, "message": message}
    (answer,) = (await reporting.console("POST", "inbound", said))["messages"]
    assert answer["open_until_ms"] is None
    assert await reporting.code(a_text()) == 131047


async def test_what_was_said_is_written_down_with_the_time_of_the_first_answer(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    receiver.answers_with(503)
    await reporting.reports(retry_after_s=0.05)
    said = {"phone_number_id": NUMBER, "person": DANA, "button": {"payload": "STOP", "text": "Stop"}}
    await reporting.console("POST", "inbound", said)
    await reporting.quiet()
    [saying] = (await reporting.console("GET", "said"))["said"]
    assert (saying["kind"], saying["text"], saying["person"]) == ("button", "Stop", DANA.removeprefix("+"))
    assert saying["answered_at_ms"] >= saying["at_ms"] + 50, "the first POST was not answered with 200"
    await reporting.console("POST", "reset")
    assert (await reporting.console("GET", "said"))["said"] == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("inbound", {"media": {"kind": "hologram"}}),
        ("inbound", {"text": "x", "reaction": {"message_id": "wamid.A"}}),
        ("preferences", {"value": "maybe"}),
        ("moves", {"to": "nowhere"}),
    ],
)
async def test_what_cannot_be_said_is_refused(reporting: ReportingClient, path: str, said: Json) -> None:
    given = {"phone_number_id": NUMBER, "person": DANA, **said}
    answer = await reporting.http.post(f"/_sandbox/{path}", json=given)
    assert answer.status_code == 422
