"""From the inbox into the ledger: reports, what people wrote, failures and their consequences, and what is put aside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.builders import TOKEN_VARIABLE, a_phone
from support.ledger import Filled, Ledger, settle_all
from support.world import World

from dispatcher.domain.ids import MessageId, PersonKey, Token
from dispatcher.domain.message import MessageState, unsure
from dispatcher.domain.report import MessageView

WITHIN = timedelta(seconds=5)
NOW_S = int(datetime.now(UTC).timestamp())


def webhook(*values: dict[str, Any], field: str = "messages") -> bytes:
    """A body with one change per value."""
    changes = [{"field": field, "value": value} for value in values]
    entry = {"id": "100000000000001", "time": NOW_S, "changes": changes}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


class Meta:
    """Speaks for Meta about the messages of one campaign, all of which it has taken."""

    def __init__(self, world: World, ledger: Ledger, filled: Filled, messages: Sequence[MessageId]) -> None:
        self.world = world
        self.ledger = ledger
        self.filled = filled
        self.messages = messages

    def value(self, **content: Any) -> dict[str, Any]:
        number = self.number
        return {"messaging_product": "whatsapp", "metadata": {"phone_number_id": number}, **content}

    @property
    def number(self) -> str:
        return self.world_sender.phone_number_id

    def token(self, n: int, attempt: int = 1) -> str:
        return str(Token(self.world.instance, self.filled.campaign.id, self.messages[n], attempt))

    def status(self, n: int, status: str, *, code: int | None = None, attempt: int = 1, **more: Any) -> Any:
        errors = {"errors": [{"code": code, "title": "why"}]} if code else {}
        return {
            "id": f"wamid.{self.messages[n]}",
            "status": status,
            "timestamp": str(NOW_S),
            "recipient_id": a_phone(n)[1:],
            "biz_opaque_callback_data": self.token(n, attempt),
            **errors,
            **more,
        }

    async def reports(self, *statuses: dict[str, Any]) -> int:
        return await self.says(webhook(self.value(statuses=list(statuses))))

    async def says(self, *bodies: bytes) -> int:
        await self.world.app.inbox.add(bodies, within=WITHIN)
        taken = 0
        while some := await self.world.app.intake.drain():
            taken += some
        assert (await self.world.app.inbox.waiting()).bodies == 0
        return taken

    async def message(self, n: int) -> MessageView:
        return await self.ledger.campaigns.message(self.filled.campaign.id, self.messages[n])

    async def aside(self) -> list[str]:
        return [each.piece.reason for each in await self.world.app.inbox.quarantined(100)]

    async def load(self) -> None:
        [self.world_sender, *_] = await self.ledger.senders.all()


@pytest.fixture
async def meta(world: World, monkeypatch: pytest.MonkeyPatch) -> Meta:
    """Three people; the third one's answer was lost."""
    monkeypatch.setenv(TOKEN_VARIABLE, "a token")
    ledger = Ledger(world.app.database)
    filled = await ledger.a_campaign(people=3)
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, 3)
    await settle_all(ledger, turn, messages[:2])
    await ledger.turns.settle(turn, [unsure(messages[2].id, "answer_lost")])
    await ledger.turns.close_turn(turn, None)
    meta = Meta(world, ledger, filled, [MessageId(m.id) for m in messages])
    await meta.load()
    return meta


async def test_reports_are_booked_and_settle_what_was_unsure(meta: Meta) -> None:
    await meta.reports(meta.status(0, "delivered"), meta.status(0, "sent"), meta.status(2, "sent"))
    first, _, third = [await meta.message(n) for n in range(3)]
    assert [told.state for told in first.receipts] == ["delivered"]
    assert (third.state, third.wamid) == (MessageState.ACCEPTED, f"wamid.{meta.messages[2]}")
    counts = await meta.ledger.counts(meta.filled)
    assert (counts.accepted, counts.unsure) == (3, 0)


async def test_a_report_without_our_token_is_found_by_metas_id(meta: Meta) -> None:
    await meta.reports({**meta.status(1, "read"), "biz_opaque_callback_data": "somebody else's"})
    assert [told.state for told in (await meta.message(1)).receipts] == ["read"]


async def test_people_who_may_not_get_marketing_now_get_it_later_in_another_attempt(meta: Meta) -> None:
    await meta.reports(meta.status(0, "failed", code=131049))
    message = await meta.message(0)
    assert (message.state, message.reason, message.code) == ("pending", "person_cooldown", 131049)
    assert message.not_before is not None
    assert message.not_before > datetime.now(UTC) + timedelta(hours=23)
    assert [attempt.wamid for attempt in message.attempts] == [f"wamid.{meta.messages[0]}"]
    assert (await meta.ledger.counts(meta.filled)).pending == 1


async def test_a_failure_for_good_leaves_the_message_accepted_and_says_why(meta: Meta) -> None:
    await meta.reports(meta.status(0, "failed", code=131026))
    message = await meta.message(0)
    assert (message.state, message.receipts[0].state, message.receipts[0].receipt.code) == (
        "accepted",
        "failed",
        131026,
    )


async def test_a_failed_report_of_an_unsure_message_says_that_meta_had_it(meta: Meta) -> None:
    await meta.reports(meta.status(2, "failed", code=131026))
    message = await meta.message(2)
    assert (message.state, message.receipts[0].state) == ("accepted", "failed")


async def test_an_opt_out_by_report_suppresses_the_person(meta: Meta) -> None:
    await meta.reports(meta.status(1, "failed", code=131050))
    assert [one.person for one in await meta.ledger.suppressions.all()] == [a_phone(1)]


async def test_a_failure_of_the_template_holds_the_template_and_the_message_waits_for_it(meta: Meta) -> None:
    await meta.reports(meta.status(0, "failed", code=132015))
    message = await meta.message(0)
    assert (message.state, message.reason) == ("pending", "template_blocked")
    holds = await meta.ledger.senders.holds(meta.world_sender)
    assert [hold.reason for hold in holds] == ["template_blocked"]


async def test_reports_of_strangers_are_put_aside_with_their_reason(meta: Meta) -> None:
    other = {**meta.status(0, "sent"), "biz_opaque_callback_data": "00000000.1.2.1", "id": "wamid.other"}
    unknown = {**meta.status(0, "sent"), "biz_opaque_callback_data": None, "id": "wamid.unknown"}
    nobody = Token(meta.world.instance, meta.filled.campaign.id, MessageId(10**9), 1)
    await meta.reports(
        other,
        unknown,
        {**meta.status(0, "sent"), "biz_opaque_callback_data": str(nobody)},
        meta.status(1, "sent"),
    )
    assert sorted(await meta.aside()) == ["other_ledger", "unknown_message", "unknown_message"]
    assert [told.state for told in (await meta.message(1)).receipts] == ["sent"]


async def test_a_report_that_was_too_fast_is_found_when_it_is_looked_at_again(meta: Meta) -> None:
    late = {**meta.status(0, "read"), "biz_opaque_callback_data": None, "id": "wamid.late"}
    await meta.reports(late)
    await meta.world.app.database.execute(
        "UPDATE messages SET wamid = 'wamid.late' WHERE id = $1", meta.messages[0]
    )
    await meta.world.app.database.execute("UPDATE quarantine SET retry_at = ledger_now()")
    assert await meta.world.app.inbox.retry_due() == 1
    await meta.world.app.intake.drain()
    assert [told.state for told in (await meta.message(0)).receipts] == ["read"]
    assert await meta.aside() == []


def a_text(n: int, wamid: str, text: str = "stop") -> dict[str, Any]:
    return {
        "from": a_phone(n)[1:],
        "id": wamid,
        "timestamp": str(NOW_S),
        "type": "text",
        "text": {"body": text},
    }


async def test_what_people_write_is_kept_once(meta: Meta) -> None:
    body = webhook(meta.value(messages=[a_text(0, "wamid.in.1"), a_text(1, "wamid.in.2")]))
    await meta.says(body, body)
    rows = await meta.world.app.database.fetch(
        "SELECT wamid, person, kind, content FROM inbound ORDER BY wamid"
    )
    assert [(row["wamid"], row["person"], row["kind"]) for row in rows] == [
        ("wamid.in.1", a_phone(0), "text"),
        ("wamid.in.2", a_phone(1), "text"),
    ]
    assert rows[0]["content"]["text"] == {"body": "stop"}


async def test_what_is_written_to_a_number_we_do_not_know_waits_in_quarantine(meta: Meta) -> None:
    value = {"metadata": {"phone_number_id": "404"}, "messages": [a_text(0, "wamid.in.1")]}
    await meta.says(webhook(value))
    assert await meta.aside() == ["unknown_sender"]


async def test_news_of_accounts_is_kept_once(meta: Meta) -> None:
    body = webhook({"event": "DISABLED_UPDATE"}, field="account_update")
    await meta.says(body, body)
    assert await meta.world.app.database.fetchval("SELECT count(*) FROM account_news") == 1


async def test_a_body_that_cannot_be_applied_stops_nobody_else(meta: Meta) -> None:
    """The constraint stands for whatever nobody foresaw."""
    await meta.world.app.database.execute(
        "ALTER TABLE receipts ADD CONSTRAINT a_fault CHECK (wamid <> 'wamid.poison')"
    )
    poison = {**meta.status(0, "sent"), "id": "wamid.poison"}
    bodies = [
        webhook(meta.value(statuses=[one]))
        for one in (meta.status(1, "sent"), poison, meta.status(2, "sent"))
    ]
    await meta.says(*bodies)
    [piece] = [each.piece for each in await meta.world.app.inbox.quarantined(10)]
    assert (piece.reason, piece.content) == ("not_applied", bodies[1])
    assert "a_fault" in piece.detail
    assert [told.state for n in (1, 2) for told in (await meta.message(n)).receipts] == ["sent", "sent"]


async def test_garbage_is_put_aside_byte_for_byte(meta: Meta) -> None:
    await meta.says(b"\x00\xff{", b"[]", b'{"object":"page"}')
    pieces = [each.piece.content for each in await meta.world.app.inbox.quarantined(10)]
    assert sorted(pieces) == sorted([b"\x00\xff{", b"[]", b'{"object":"page"}'])


async def test_no_attempt_follows_in_a_campaign_that_was_cancelled(meta: Meta) -> None:
    await meta.world.app.database.execute("UPDATE campaigns SET state = 'cancelled'")
    await meta.reports(meta.status(0, "failed", code=131049))
    assert (await meta.message(0)).state == "accepted"


async def test_an_attempt_that_would_come_after_the_deadline_is_not_made(meta: Meta) -> None:
    await meta.world.app.database.execute("UPDATE campaigns SET deadline = ledger_now() + interval '1 hour'")
    await meta.reports(meta.status(0, "failed", code=131049))
    assert (await meta.message(0)).state == "accepted"
    assert await meta.ledger.campaigns.message_to(meta.filled.campaign.id, PersonKey(a_phone(0)))


async def test_a_person_whom_meta_could_not_reach_twice_is_left_alone_for_a_while(meta: Meta) -> None:
    await meta.reports(meta.status(0, "failed", code=131026))
    assert await meta.ledger.suppressions.all() == []
    filled = await meta.ledger.a_campaign(people=1)
    turn = await meta.ledger.a_turn(filled.lanes[0])
    [message] = await meta.ledger.turns.claim(turn, 1)
    await settle_all(meta.ledger, turn, [message])
    again = Token(meta.world.instance, filled.campaign.id, MessageId(message.id), 1)
    await meta.reports(
        {**meta.status(0, "failed", code=131026), "id": "wamid.again", "biz_opaque_callback_data": str(again)}
    )
    [left_alone] = await meta.ledger.suppressions.all()
    assert (left_alone.person, left_alone.reason) == (a_phone(0), "undeliverable")
    assert left_alone.until is not None


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_many_bodies_are_taken_in_batches(meta: Meta, batch: int) -> None:
    bodies = [webhook(meta.value(statuses=[meta.status(n, "sent")])) for n in range(3)]
    await meta.world.app.inbox.add(bodies, within=WITHIN)
    taken = [await meta.world.app.intake.drain(batch) for _ in range(4)]
    assert sum(taken) == 3
    assert max(taken) <= batch
    assert (await meta.ledger.counts(meta.filled)).accepted == 3
