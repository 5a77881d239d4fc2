"""Campaigns in the ledger: their life, their counts, their reports.

Orders are compare-and-set on the campaign's state and poke its lanes in the same transaction.
Counts come from counters and cost nothing; `check` proves these equal to the rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dispatcher.domain.archive import Results
from dispatcher.domain.audit import Order
from dispatcher.domain.campaign import MOVES, Campaign, CampaignState, Counts, NewCampaign
from dispatcher.domain.errors import Conflict, NotFound, Outdated
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId, LaneId, MessageId, PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import Fault, LaneView, MessageView, Waiting
from dispatcher.domain.turn import DueLane
from dispatcher.ledger.audit import differences, note
from dispatcher.ledger.database import Session
from dispatcher.ledger.partitions import cover
from dispatcher.ledger.queries import load
from dispatcher.ledger.results import results_of
from dispatcher.ledger.rows import Row, attempt_view_of, campaign_of, lane_hold_of, receipt_view_of, sender_of

SQL = load("campaigns")

DROP_CHUNK = 10_000
"""Messages dropped per transaction, so that cancelling a million people locks nobody out for long."""

EXPORT_CHUNK = 2_000


class LedgerCampaigns:
    """The port `CampaignBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def create(self, new: NewCampaign) -> tuple[Campaign, bool]:
        """Store a draft with a lane per sender; with a known idempotency key, find the one that exists."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                SQL["create"],
                new.name,
                new.template,
                new.language,
                new.mapping.to_json(),
                list(new.columns),
                new.weight,
                new.priority,
                new.deadline,
                new.unsure_policy,
                new.idempotency_key,
                new.kind,
                dict(new.metadata),
            )
            if row is not None:
                if not row["has_a_place"]:
                    await cover(connection, row["id"])
                await connection.execute(SQL["add_lanes"], row["id"], new.senders)
                campaign = campaign_of(row, new.senders)
                await note(
                    connection, Order.CAMPAIGN_CREATED, _subject(campaign.id), after=_ordered(campaign)
                )
                return campaign, True
        existing = await self._db.fetchval(SQL["by_key"], new.idempotency_key)
        return await self.find(CampaignId(existing)), False

    async def find(self, campaign_id: CampaignId) -> Campaign:
        """Raises NotFound."""
        row = await self._db.fetchrow(SQL["find"], campaign_id)
        if row is None:
            raise _unknown(campaign_id)
        return campaign_of(row["campaign"], row["sender_ids"])

    async def recent(self, limit: int) -> Sequence[Campaign]:
        """The newest campaigns first."""
        rows = await self._db.fetch(SQL["recent"], limit)
        return [campaign_of(row["campaign"], row["sender_ids"]) for row in rows]

    async def delete_draft(self, campaign_id: CampaignId) -> None:
        """Forget a draft whose import failed; a campaign with people is never deleted."""
        async with self._db.transaction() as connection:
            if await connection.fetchval(SQL["delete_draft"], campaign_id) is not None:
                await note(connection, Order.CAMPAIGN_DISCARDED, _subject(campaign_id))

    async def move(self, campaign_id: CampaignId, to: CampaignState, because: str = "") -> Sequence[DueLane]:
        """Bring a campaign into a state and poke its lanes; already being there changes nothing. Raises Conflict."""
        sources = [state for state, targets in MOVES.items() if to in targets]
        async with self._db.transaction() as connection:
            was = await connection.fetchval(SQL["move"], campaign_id, to, sources, because)
            if was is not None:
                await note(
                    connection,
                    Order.CAMPAIGN_MOVED,
                    _subject(campaign_id),
                    before={"state": was},
                    after={"state": to},
                )
                rows = await connection.fetch(SQL["poke_lanes"], campaign_id)
                return [DueLane(LaneId(row["id"]), row["generation"]) for row in rows]
        campaign = await self.find(campaign_id)
        if campaign.state is to:
            return []
        raise Conflict(
            f"campaign {campaign_id} is {campaign.state} and cannot become {to}; nothing was changed",
            hint="`dispatch campaign show` tells how it stands",
        )

    async def change(
        self, campaign_id: CampaignId, changes: Mapping[str, Any], expected: Campaign | None = None
    ) -> tuple[Campaign, Sequence[DueLane]]:
        """Replace what may be edited, and poke the lanes. Raises NotFound, Outdated; Conflict for one that is over."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(SQL["lock"], campaign_id)
            if row is None:
                raise _unknown(campaign_id)
            before = campaign_of(row["campaign"], row["sender_ids"])
            if expected is not None and before != expected:
                raise Outdated(f"campaign {campaign_id} was changed meanwhile; nothing was changed now")
            if not MOVES[before.state]:
                raise Conflict(f"campaign {campaign_id} is {before.state}; nothing was changed")
            after = replace(before, **changes)
            await connection.execute(
                SQL["change"],
                campaign_id,
                after.name,
                after.weight,
                after.priority,
                after.deadline,
                after.unsure_policy,
                dict(after.metadata),
            )
            changed = differences(_ordered(before), _ordered(after))
            await note(connection, Order.CAMPAIGN_CHANGED, _subject(campaign_id), **changed)
            rows = []
            if after.state is not CampaignState.DRAFT:
                rows = await connection.fetch(SQL["poke_lanes"], campaign_id)
        return after, [DueLane(LaneId(row["id"]), row["generation"]) for row in rows]

    async def drop_pending(self, campaign_id: CampaignId, to: MessageState, reason: str) -> int:
        """Give up all unsent people of a campaign; `to` is CANCELLED or EXPIRED. Returns how many."""
        dropped = 0
        while n := int(await self._db.fetchval(SQL["drop_some"], campaign_id, to, reason, DROP_CHUNK)):
            dropped += n
        return dropped

    async def turns_running(self, campaign_id: CampaignId) -> int:
        """How many lanes are being served at this moment."""
        return int(await self._db.fetchval(SQL["turns_running"], campaign_id))

    async def counts(self, campaign_id: CampaignId) -> Counts:
        """From counters, in one statement."""
        row = await self._db.fetchrow(SQL["counts"], campaign_id)
        if row is None:
            raise _unknown(campaign_id)
        return Counts(**row)

    async def lanes(self, campaign_id: CampaignId) -> Sequence[LaneView]:
        """By sender's name."""
        rows = await self._db.fetch(SQL["lanes"], campaign_id)
        return [
            LaneView(
                sender=sender_of(row["sender"]),
                is_running=row["turn_id"] is not None,
                next_at=row["next_at"],
                hold=lane_hold_of(row),
                claimed=row["claimed"],
                accepted=row["accepted"],
                refused=row["refused"],
                unsure=row["unsure"],
                moved=row["moved"],
            )
            for row in rows
        ]

    async def parked(self, campaign_id: CampaignId) -> Sequence[Waiting]:
        """Pending people who wait for a time of their own."""
        rows = await self._db.fetch(SQL["parked"], campaign_id)
        return [Waiting(row["people"], Hold(HoldReason(row["reason"]), row["until"])) for row in rows]

    async def results(self, campaign_id: CampaignId) -> Results:
        """What it has come to, beyond the counts."""
        return await results_of(self._db, campaign_id)

    async def export(self, campaign_id: CampaignId) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Everybody of the audience, and the rejected rows, in the file's order; in chunks."""
        async with self._db.transaction() as connection:
            cursor = await connection.cursor(SQL["export"], campaign_id)
            while rows := await cursor.fetch(EXPORT_CHUNK):
                yield [dict(row) for row in rows]

    async def message(self, campaign_id: CampaignId, message_id: MessageId) -> MessageView:
        """One message with its earlier attempts. Raises NotFound."""
        return await self._message_view(await self._db.fetchrow(SQL["message"], campaign_id, message_id))

    async def message_to(self, campaign_id: CampaignId, key: PersonKey) -> MessageView:
        """The message to one person of a campaign. Raises NotFound."""
        return await self._message_view(await self._db.fetchrow(SQL["message_to"], campaign_id, key))

    async def _message_view(self, row: Row | None) -> MessageView:
        if row is None:
            raise NotFound(
                "there is no such message in this campaign",
                hint="`dispatch campaign export` lists everybody with a message id",
            )
        attempts = await self._db.fetch(SQL["attempts_of_message"], row["campaign_id"], row["id"])
        receipts = await self._db.fetch(SQL["receipts_of_message"], row["campaign_id"], row["id"])
        return MessageView(
            campaign_id=row["campaign_id"],
            id=row["id"],
            person=row["person"],
            state=MessageState(row["state"]),
            reason=row["reason"],
            detail=row["detail"],
            code=row["code"],
            wamid=row["wamid"],
            sender=row["sender"],
            attempt=row["attempt"],
            not_before=row["free_at"],
            posted_at=row["posted_at"],
            line=row["line"],
            values=row["params"],
            attempts=[attempt_view_of(attempt) for attempt in attempts],
            receipts=[receipt_view_of(receipt) for receipt in receipts],
        )

    async def check(self) -> Sequence[Fault]:
        """Prove the arithmetic of every campaign, each at one instant. Reads all messages."""
        faults = []
        for row in await self._db.fetch(SQL["campaign_ids"]):
            campaign_id = CampaignId(row["id"])
            async with self._db.transaction("repeatable_read") as connection:
                counters = await connection.fetchrow(SQL["counts"], campaign_id)
                rows = await connection.fetchrow(SQL["counts_from_rows"], campaign_id)
                strays = await connection.fetchval(SQL["stray_claims"], campaign_id)
            assert counters is not None
            assert rows is not None
            counted, found = Counts(**counters), Counts(**rows)
            if counted != found:
                faults.append(Fault(campaign_id, f"counters say {counted}, the messages say {found}"))
            if not found.adds_up:
                faults.append(Fault(campaign_id, f"the states do not add up to the audience: {found}"))
            if strays:
                faults.append(
                    Fault(campaign_id, f"{strays} messages are claimed by a turn that does not run")
                )
        if silent := await self._db.fetchval(SQL["waits_without_reason"]):
            faults.append(Fault(None, f"{silent} messages wait without a reason"))
        return faults


def _unknown(campaign_id: CampaignId) -> NotFound:
    return NotFound(
        f"there is no campaign {campaign_id}", hint="`dispatch campaign list` shows those there are"
    )


def _subject(campaign_id: CampaignId) -> str:
    return f"campaign {campaign_id}"


def _ordered(campaign: Campaign) -> Mapping[str, Any]:
    """What the audit log tells of an order."""
    return {
        "name": campaign.name,
        "template": campaign.template,
        "language": campaign.language,
        "senders": campaign.senders,
        "mapping": campaign.mapping.to_json(),
        "weight": campaign.weight,
        "priority": campaign.priority,
        "deadline": campaign.deadline,
        "unsure_policy": campaign.unsure_policy,
        "metadata": dict(campaign.metadata),
    }
