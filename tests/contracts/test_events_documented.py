"""docs/events.md shows what is really told: the same fields for each family, and a check of signatures that works."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_phone
from support.conversations import a_conversation
from support.ledger import Ledger, settle_all
from support.outbox import Post

from dispatcher.channel.event_envelopes import new_secret, write_events
from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.event import Event, EventFormat, EventId, EventKind, SubscriptionId
from dispatcher.domain.ids import PersonKey, TurnId
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported
from dispatcher.ledger.database import Database

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs/events.md").read_text(encoding="utf-8")
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    family: json.loads(example)
    for family, example in re.findall(
        r"^`(\w+)\.[\w*]+`:.*?```json\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL
    )
}


async def test_each_family_has_the_fields_that_its_example_shows(ledger: Ledger, database: Database) -> None:
    post = Post(database)
    shop = await post.subscribes("*")
    filled = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    await settle_all(ledger, turn, [message])
    receipt = reported(ReceiptState.READ, NOW)
    await ledger.receipts.book({AttemptRef(filled.campaign.id, message.id, 1): ("wamid", receipt)})
    [sender] = await ledger.senders.all()
    conversation = await a_conversation(database, sender)
    await database.execute(
        "INSERT INTO inbound (wamid, sender_id, at, kind, content, conversation_id)"
        " VALUES ('wamid.in', $1, now(), 'text', '{}', $2)",
        sender.id,
        conversation,
    )
    await database.execute(
        "INSERT INTO replies (conversation_id, sender_id, position, content, unsure_policy)"
        " VALUES ($1, $2, 1, '{}', 'ask')",
        conversation,
        sender.id,
    )
    await database.execute("UPDATE replies SET state = 'cancelled'")
    await database.execute("INSERT INTO account_news VALUES ('x', '1', 'security', '{}', now(), now())")
    await ledger.suppressions.put([(PersonKey(a_phone(1)), a_phone(1))], "asked", "the shop")
    await ledger.senders.change(sender.name, {"enabled": False})

    told = {event.kind.partition(".")[0]: event.body for event in await post.waiting(shop)}
    assert {family: sorted(body) for family, body in told.items()} == {
        family: sorted(example) for family, example in EXAMPLES.items()
    }
    assert told.keys() == {kind.family for kind in EventKind} - {"subscription"}


def a_request(secret: str, *more: str) -> tuple[dict[str, str], bytes]:
    turn = DeliveryTurn(
        TurnId(1), SubscriptionId(1), "https://shop.example/", EventFormat.EVENTS, "", None, 0, "a1b2c3d4"
    )
    event = Event(EventId(345), EventKind.CAMPAIGN_COMPLETED, NOW, {"campaign_id": 12})
    delivery = write_events(turn, [event], [secret, *more], NOW)
    return dict(delivery.headers), delivery.body


def the_page_says(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """What the example of the page answers."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    page: dict[str, Any] = {}
    exec(code, page)  # noqa: S102 - our own documentation
    return bool(page["is_ours"](headers, body, secret, now))


def test_the_example_takes_what_is_ours_and_nothing_else() -> None:
    secret, other = new_secret(), new_secret()
    headers, body = a_request(secret)
    now = NOW.timestamp()
    assert the_page_says(headers, body, secret, now)
    assert the_page_says(*a_request(other, secret), secret, now), "one of two signatures is enough"
    assert not the_page_says(headers, body, other, now)
    assert not the_page_says(headers, body + b" ", secret, now)
    assert not the_page_says(headers, body, secret, now + 301)
    for header in ("webhook-id", "webhook-timestamp"):
        changed = {**headers, header: headers[header][:-1] + ("1" if headers[header][-1] != "1" else "2")}
        assert not the_page_says(changed, body, secret, now)


def test_a_request_looks_as_the_page_shows_it() -> None:
    [shown] = re.findall(r"## The request\n\n```json\n(.*?)```", PAGE, re.DOTALL)
    headers, body = a_request(new_secret())
    said, example = json.loads(body), json.loads(shown)
    assert said.keys() == example.keys()
    assert said["events"][0].keys() == example["events"][0].keys()
    assert said["events"][0]["id"] == example["events"][0]["id"]
    assert "." not in headers["webhook-id"]


@pytest.mark.parametrize("numbers", [(1, 2), (1,), (2, 3)])
def test_a_request_has_the_id_of_what_is_in_it(numbers: tuple[int, ...]) -> None:
    def named(*ids: int, at: datetime = NOW) -> str:
        turn = DeliveryTurn(
            TurnId(len(ids)), SubscriptionId(1), "", EventFormat.EVENTS, "", None, 0, "a1b2c3d4"
        )
        events = [Event(EventId(n), EventKind.CAMPAIGN_COMPLETED, NOW, {}) for n in ids]
        return write_events(turn, events, [new_secret()], at).headers["webhook-id"]

    assert named(*numbers) == named(*numbers, at=datetime.now(UTC))
    assert named(*numbers) != named(1, 2, 3)
