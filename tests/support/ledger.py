"""A ledger with campaigns in it, for tests of the ledger's ports alone: no limits, no channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.domain.campaign import Campaign, CampaignState, Counts, NewCampaign
from dispatcher.domain.ids import LaneId
from dispatcher.domain.message import ClaimedMessage, Outcome, accepted
from dispatcher.domain.sender import Sender
from dispatcher.domain.turn import DeadTurn, OpenedTurn, Taken
from dispatcher.ledger.audience import fill
from dispatcher.ledger.campaigns import LedgerCampaigns
from dispatcher.ledger.database import Database
from dispatcher.ledger.memory import LedgerMemory
from dispatcher.ledger.receipts import LedgerReceipts
from dispatcher.ledger.senders import LedgerSenders
from dispatcher.ledger.turns import LedgerTurns
from dispatcher.ledger.unsure import LedgerUnsure
from support.builders import MAPPING, Crowd, a_sender

LEASE = timedelta(seconds=30)
RUN_OUT = timedelta(seconds=-1)
"""The lease of a turn whose worker has just been found dead."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A running campaign with its lanes, in the order of its senders."""

    campaign: Campaign
    lanes: Sequence[LaneId]


class Ledger:
    """The ports under test and what is needed to fill them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.turns = LedgerTurns(database)
        self.memory = LedgerMemory(database)
        self.receipts = LedgerReceipts(database)
        self.unsure = LedgerUnsure(database)
        self.campaigns = LedgerCampaigns(database)
        self.senders = LedgerSenders(database)

    async def a_campaign(
        self,
        *,
        people: int = 10,
        senders: Sequence[Sender] | int = 1,
        state: CampaignState = CampaignState.RUNNING,
        **fields: Any,
    ) -> Filled:
        """A campaign of `people`; started unless a draft is asked for."""
        if isinstance(senders, int):
            senders = [await self.a_sender() for _ in range(senders)]
        new = NewCampaign(
            "autumn", "autumn", "en_US", [s.id for s in senders], MAPPING, MAPPING.columns, **fields
        )
        campaign, _ = await self.campaigns.create(new)
        await fill(
            self.database,
            campaign.id,
            Crowd(people),
            phone_column=None,
            columns=campaign.columns,
            default_region=None,
        )
        if state is not CampaignState.DRAFT:
            await self.campaigns.move(campaign.id, CampaignState.RUNNING)
        lanes = await self.database.fetch(
            "SELECT id FROM lanes WHERE campaign_id = $1 ORDER BY id", campaign.id
        )
        return Filled(campaign, [LaneId(row["id"]) for row in lanes])

    async def a_sender(self, name: str | None = None, **fields: Any) -> Sender:
        """A stored sender."""
        sender = a_sender(**fields)
        return await self.senders.add(replace(sender, name=name or f"sender {sender.phone}"))

    async def a_turn(self, lane: LaneId, lease: timedelta = LEASE) -> OpenedTurn:
        """An open turn on a free lane."""
        opened = await self.turns.open_turn(lane, "a test", lease)
        assert opened is not None
        return opened

    async def counts(self, filled: Filled) -> Counts:
        """By the counters, which are proved to equal the rows."""
        assert await self.campaigns.check() == []
        return await self.campaigns.counts(filled.campaign.id)


SOON = timedelta(minutes=5)


def later(span: timedelta = SOON) -> datetime:
    """So long from now."""
    return datetime.now(UTC) + span


def as_dead(turn: OpenedTurn) -> DeadTurn:
    """As upkeep finds it when its lease has run out."""
    return DeadTurn(turn.lane_id, turn.turn_id, turn.campaign.id, turn.sender.pool)


def taken(message: ClaimedMessage) -> Outcome:
    """Meta took it."""
    return accepted(message.id, f"wamid.{message.id}")


async def settle_all(ledger: Ledger, turn: OpenedTurn, messages: Sequence[ClaimedMessage]) -> int:
    """Meta took all of them. Returns how many were the turn's own."""
    return await ledger.turns.settle_accepted([all_taken(turn, messages)])


def all_taken(turn: OpenedTurn, messages: Sequence[ClaimedMessage]) -> Taken:
    """Meta took them, with nothing more to say."""
    return Taken(turn, [message.id for message in messages], [f"wamid.{message.id}" for message in messages])
