"""Orders that are carried out altogether or not at all: the doors of the house over one transaction of the ledger.

The API carries out its creating calls in this way, so that a campaign, its people, the audit log and the answer that is
kept for a repetition become true at the same instant. Lanes are woken when that has happened, not before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from dispatcher.domain.audience import Audience, Row
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import SenderId
from dispatcher.domain.row_check import row_check
from dispatcher.domain.template import Category
from dispatcher.domain.turn import DueLane
from dispatcher.engine.campaigns import Campaigns, Plan
from dispatcher.engine.replies import Replies
from dispatcher.engine.standing import Standing
from dispatcher.ledger.answers import LedgerAnswers
from dispatcher.ledger.audience import ImportReport, fill
from dispatcher.ledger.campaigns import LedgerCampaigns
from dispatcher.ledger.database import Database, Transaction
from dispatcher.ledger.gateway import LedgerGateway
from dispatcher.ledger.replies import LedgerReplies
from dispatcher.ledger.senders import LedgerSenders
from dispatcher.ledger.standing import LedgerStanding
from dispatcher.ledger.subscriptions import LedgerSubscriptions
from dispatcher.ports import Clock, Jobs


@dataclass(frozen=True, slots=True)
class Orders:
    """What can be ordered within one transaction."""

    session: Transaction
    answers: LedgerAnswers
    campaigns: Campaigns
    replies: Replies
    senders: LedgerSenders
    """Their limits are told afterwards, by `Senders.announce`."""
    standing: Standing
    gateway: LedgerGateway
    subscriptions: LedgerSubscriptions
    """What is stored was prepared by `Subscriptions.prepare`."""

    async def add_people(
        self,
        campaign: Campaign,
        audience: Audience,
        *,
        phone_column: str | None = None,
        default_region: str | None = None,
    ) -> ImportReport:
        """Add people to a draft. Raises what `ledger.audience.fill` raises, and NotFound for a template that is gone."""
        template, mapping = await self.campaigns.template_of(campaign)
        return await fill(
            self.session,
            campaign.id,
            audience,
            phone_column=phone_column,
            columns=campaign.columns,
            default_region=default_region,
            check=row_check(template, mapping),
            adds=True,
        )

    async def send_one(self, plan: Plan, to: str, values: Mapping[str, str]) -> Campaign:
        """A message to one person: a campaign of its own, filled and started. Raises BadValue, NotFound.

        values: slot → text. A campaign, because then everything that is promised of campaigns holds of it as well.
        """
        _, template, _ = await self.campaigns.check_plan(plan, values.keys())
        if template.category is Category.MARKETING:
            raise BadValue(
                f"template {plan.template!r} is for marketing; nothing was sent",
                hint="marketing goes out in campaigns, where who does not want it is left out",
            )
        if problems := [
            f"{slot}: the template has no such slot" for slot in values if template.slot(slot) is None
        ]:
            raise BadValue(f"template {plan.template!r} cannot be filled with this", problems=problems)
        campaign, _ = await self.campaigns.create(plan, values.keys())
        await fill(
            self.session,
            campaign.id,
            _OnePerson(to, campaign.columns, values),
            phone_column=_PHONE,
            columns=campaign.columns,
            default_region=None,
            check=row_check(template, campaign.mapping),
        )
        return await self.campaigns.start(campaign.id)


_PHONE = "to"
"""No slot has this name: they all name a part of the template."""


class _OnePerson:
    """The port `Audience`, for a message that is ordered by itself."""

    size_bytes = 0
    position_bytes = 0

    def __init__(self, to: str, columns: Sequence[str], values: Mapping[str, str]) -> None:
        self.columns = [_PHONE, *columns]
        self._row = [to, *(values[column] for column in columns)]

    def chunks(self) -> Iterator[Sequence[Row]]:
        """The one row."""
        yield [(1, self._row)]


@asynccontextmanager
async def altogether(
    database: Database, jobs: Jobs, clock: Clock, replies: Replies, standing: Standing
) -> AsyncIterator[Orders]:
    """What is ordered in the block happens at its end, or, where an error leaves it, not at all.

    replies, standing: the doors whose orders are carried out in here.
    """
    later, replies_later = _Later(), _RepliesLater()
    async with database.transaction() as connection:
        session = Transaction(connection)
        senders = LedgerSenders(session)
        yield Orders(
            session=session,
            answers=LedgerAnswers(session),
            campaigns=Campaigns(LedgerCampaigns(session), senders, later, clock),
            replies=replace(replies, book=LedgerReplies(session), senders=senders, jobs=replies_later),
            senders=senders,
            standing=replace(standing, book=LedgerStanding(session), jobs=later),
            gateway=LedgerGateway(session),
            subscriptions=LedgerSubscriptions(session),
        )
    for lane, at in later.wakes:
        await jobs.wake(lane, at)
    for sender_id, at in replies_later.wakes:
        await replies.jobs.wake(sender_id, at)


class _Later:
    """The port `Jobs`, for the time until others can see what is to be done."""

    def __init__(self) -> None:
        self.wakes: list[tuple[DueLane, datetime | None]] = []

    async def wake(self, lane: DueLane, at: datetime | None = None) -> None:
        """Remember it."""
        self.wakes.append((lane, at))

    async def wake_due(self, lanes: Sequence[DueLane]) -> None:
        """Remember them."""
        self.wakes += [(lane, None) for lane in lanes]


class _RepliesLater:
    """The port `ReplyJobs`, for the same time."""

    def __init__(self) -> None:
        self.wakes: list[tuple[SenderId, datetime | None]] = []

    async def wake(self, sender_id: SenderId, at: datetime | None = None) -> None:
        """Remember it."""
        self.wakes.append((sender_id, at))

    async def wake_due(self, senders: Collection[SenderId]) -> None:
        """Remember them."""
        self.wakes += [(sender_id, None) for sender_id in senders]
