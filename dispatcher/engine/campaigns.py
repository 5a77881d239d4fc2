"""Orders about campaigns: plan, fill, start, pause, resume, cancel; and how they stand.

An order is written to the ledger first and then told to the lanes; if telling fails, upkeep finds the lanes due.
Every order may be repeated: the second time it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dispatcher.domain.campaign import (
    Campaign,
    CampaignKind,
    CampaignState,
    Counts,
    NewCampaign,
    UnsurePolicy,
)
from dispatcher.domain.content import SlotMapping, check_mapping, complete_mapping
from dispatcher.domain.errors import Archived, BadValue, Conflict, NotFound
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import CampaignReport, CampaignView, Fault, LaneView, Waiting
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template
from dispatcher.domain.turn import DueLane
from dispatcher.ports import CampaignBook, Clock, Jobs, SenderBook

STANDSTILL = timedelta(seconds=3)
"""How long `pause` and `cancel` wait for the campaign's turns to end before they report."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an owner wants, in the owner's words."""

    name: str
    template: str
    language: str
    senders: Sequence[str]
    """Names."""
    mapping: SlotMapping = field(default_factory=SlotMapping)
    """Slots that are not given take the column that bears their name."""
    weight: int = 1
    priority: int = 0
    deadline: datetime | None = None
    unsure_policy: UnsurePolicy = UnsurePolicy.GIVE_UP
    idempotency_key: str | None = None
    kind: CampaignKind = CampaignKind.AUDIENCE
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What pausing or cancelling has come to."""

    campaign: Campaign
    counts: Counts
    """Once the turns have ended, or after `STANDSTILL`."""
    still_in_flight: int
    """Messages that were still in the hands of a turn at that moment; 0 when it came to a standstill."""

    @property
    def handed_over(self) -> int:
        """Messages that Meta had got, or may have got, by then."""
        return self.counts.accepted + self.counts.unsure


class Campaigns:
    """The engine's door for everything about campaigns."""

    def __init__(self, book: CampaignBook, senders: SenderBook, jobs: Jobs, clock: Clock) -> None:
        self._book = book
        self._senders = senders
        self._jobs = jobs
        self._clock = clock

    async def check_plan(
        self, plan: Plan, columns: Collection[str]
    ) -> tuple[Sequence[Sender], Template, SlotMapping]:
        """Everything that can be known to be wrong before a row is read. Raises BadValue or NotFound.

        columns: those of the audience. Returns senders, template and the mapping with its gaps filled.
        """
        if not plan.senders:
            raise BadValue("a campaign needs at least one sender")
        _check_weight(plan.weight)
        if plan.deadline is not None:
            self._check_deadline(plan.deadline)
        senders = [await self._senders.named(name) for name in dict.fromkeys(plan.senders)]
        template = await self._template_of(plan, senders)
        mapping = complete_mapping(template, columns, plan.mapping)
        if problems := check_mapping(template, mapping, columns):
            raise BadValue(
                f"template {plan.template!r} cannot be filled from this audience",
                hint="give --map SLOT=COLUMN or --map \"SLOT='text'\" for each of these; nothing was created",
                problems=[str(problem) for problem in problems],
            )
        return senders, template, mapping

    def _check_deadline(self, deadline: datetime) -> None:
        if deadline <= self._clock.now():
            raise BadValue(f"the deadline {deadline:%Y-%m-%d %H:%M %Z} has passed")

    async def _template_of(self, plan: Plan, senders: Sequence[Sender]) -> Template:
        found: Template | None = None
        for sender in senders:
            template = await self._senders.template(sender.waba_id, plan.template, plan.language)
            if template is None:
                known = [t for waba, t, _ in await self._senders.templates() if waba == sender.waba_id]
                names = ", ".join(sorted({f"{t.name} ({t.language})" for t in known})) or "none"
                raise NotFound(
                    f"the account of sender {sender.name!r} has no template {plan.template!r} in {plan.language!r}",
                    hint=f"known there: {names}; `dispatch templates sync` reads them anew",
                )
            if template.unsupported:
                raise BadValue(
                    f"template {plan.template!r} has parts that cannot be sent: {'; '.join(template.unsupported)}"
                )
            if found is not None and template.slots != found.slots:
                raise BadValue(
                    f"template {plan.template!r} differs between the accounts of these senders",
                    hint="make one campaign per account",
                )
            found = template
        assert found is not None
        return found

    async def template_of(self, campaign: Campaign) -> tuple[Template, SlotMapping]:
        """What its people are checked against. Raises NotFound where the account has not got it any more."""
        for sender in await self._senders.all():
            if sender.id in campaign.senders:
                template = await self._senders.template(sender.waba_id, campaign.template, campaign.language)
                if template is not None:
                    return template, campaign.mapping
        raise NotFound(
            f"the accounts of campaign {campaign.id} have no template {campaign.template!r} in {campaign.language!r}",
            hint="`dispatch templates sync` reads them anew",
        )

    async def find(self, campaign_id: CampaignId) -> Campaign:
        """What was ordered. Raises NotFound."""
        return await self._book.find(campaign_id)

    async def with_people(self, campaign_id: CampaignId) -> Campaign:
        """The same, for whoever asks for its people. Raises NotFound; Archived where they were dropped as old."""
        campaign = await self._book.find(campaign_id)
        if campaign.archived_at is not None:
            raise Archived(
                f"the people of campaign {campaign_id} were dropped on {campaign.archived_at:%Y-%m-%d}, for it had ended "
                f"on {campaign.finished_at:%Y-%m-%d}; the setting keep_campaigns_days says how long they are kept",
                hint=f"counts and reasons are kept: `dispatch campaign report {campaign_id}`",
            )
        return campaign

    async def create(self, plan: Plan, columns: Collection[str]) -> tuple[Campaign, bool]:
        """Check a plan and store it as a draft. False: its idempotency key is known, and so is the campaign."""
        senders, _, mapping = await self.check_plan(plan, columns)
        return await self._book.create(
            NewCampaign(
                name=plan.name,
                template=plan.template,
                language=plan.language,
                senders=[sender.id for sender in senders],
                mapping=mapping,
                columns=mapping.columns,
                weight=plan.weight,
                priority=plan.priority,
                deadline=plan.deadline,
                unsure_policy=plan.unsure_policy,
                idempotency_key=plan.idempotency_key,
                kind=plan.kind,
                metadata=plan.metadata,
            )
        )

    async def change(
        self, campaign_id: CampaignId, changes: Mapping[str, Any], expected: Campaign | None = None
    ) -> Campaign:
        """Replace what may be edited: name, weight, priority, deadline, unsure policy, metadata. Raises NotFound.

        expected: what the caller saw. Raises Outdated when it is something else by now, Conflict for a campaign that is
        over, BadValue.
        """
        if "weight" in changes:
            _check_weight(changes["weight"])
        if changes.get("deadline") is not None:
            self._check_deadline(changes["deadline"])
        campaign, lanes = await self._book.change(campaign_id, changes, expected)
        await self._wake(lanes)
        return campaign

    async def discard(self, campaign_id: CampaignId) -> None:
        """Forget a draft whose import failed."""
        await self._book.delete_draft(campaign_id)

    async def start(self, campaign_id: CampaignId) -> Campaign:
        """Let the lanes run. Raises Conflict for a campaign without people."""
        campaign = await self._book.find(campaign_id)
        if campaign.state is CampaignState.DRAFT and (await self._book.counts(campaign_id)).audience == 0:
            raise Conflict(
                f"campaign {campaign_id} has no people", hint="import an audience first; nothing was started"
            )
        await self._wake(await self._book.move(campaign_id, CampaignState.RUNNING))
        return await self._book.find(campaign_id)

    async def resume(self, campaign_id: CampaignId) -> Campaign:
        """Go on after a pause."""
        campaign = await self._book.find(campaign_id)
        if campaign.state is CampaignState.DRAFT:
            raise Conflict(f"campaign {campaign_id} was never started", hint="start it instead")
        return await self.start(campaign_id)

    async def pause(self, campaign_id: CampaignId) -> Stopped:
        """Stop posting; people who were not handed over stay pending."""
        await self._wake(await self._book.move(campaign_id, CampaignState.PAUSED))
        return await self._standstill(campaign_id)

    async def cancel(self, campaign_id: CampaignId) -> Stopped:
        """Stop for good; people who were not handed over are cancelled."""
        await self._wake(await self._book.move(campaign_id, CampaignState.CANCELLED))
        await self._book.drop_pending(campaign_id, MessageState.CANCELLED, "cancelled")
        return await self._standstill(campaign_id)

    async def _standstill(self, campaign_id: CampaignId) -> Stopped:
        try:
            async with asyncio.timeout(STANDSTILL.total_seconds()):
                # why polled: the turns end in other processes; only the ledger knows.
                while await self._book.turns_running(campaign_id):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        counts = await self._book.counts(campaign_id)
        return Stopped(await self._book.find(campaign_id), counts, counts.claimed)

    async def _wake(self, lanes: Sequence[DueLane]) -> None:
        for lane in lanes:
            await self._jobs.wake(lane)

    async def recent(self, limit: int = 50) -> Sequence[CampaignView]:
        """The newest campaigns as they stand."""
        return [await self._view(campaign) for campaign in await self._book.recent(limit)]

    async def view(self, campaign_id: CampaignId) -> CampaignView:
        """A campaign as it stands. Raises NotFound."""
        return await self._view(await self._book.find(campaign_id))

    async def _view(self, campaign: Campaign) -> CampaignView:
        counts = await self._book.counts(campaign.id)
        lanes = await self._book.lanes(campaign.id)
        parked = await self._book.parked(campaign.id) if counts.pending else ()
        return CampaignView(campaign, counts, lanes, waiting_for(campaign, counts, lanes, parked))

    async def report(self, campaign_id: CampaignId) -> CampaignReport:
        """What a campaign has come to."""
        view = await self.view(campaign_id)
        results = await self._book.results(campaign_id)
        return CampaignReport(
            view=view,
            ended=results.ended,
            reported=results.reported,
            rejected_rows=results.rejected_rows,
            first_posted_at=results.first_posted_at,
            last_posted_at=results.last_posted_at,
        )

    def export(self, campaign_id: CampaignId) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Everybody of the audience and every rejected row, in the order of the file, in chunks."""
        return self._book.export(campaign_id)

    async def check(self) -> Sequence[Fault]:
        """Prove the arithmetic of every campaign; empty when all is well."""
        return await self._book.check()


def _check_weight(weight: int) -> None:
    if not 1 <= weight <= 1000:
        raise BadValue(f"a weight of {weight} is not between 1 and 1000")


def waiting_for(
    campaign: Campaign, counts: Counts, lanes: Sequence[LaneView], parked: Sequence[Waiting]
) -> Sequence[Waiting]:
    """Why each pending person waits; the people add up to `counts.pending`.

    Who is parked has a reason of his own; all others wait for what binds the lane that is free first.
    """
    waiting = [wait for wait in parked if wait.people]
    others = counts.pending - sum(wait.people for wait in waiting)
    if others > 0:
        waiting.append(Waiting(others, binding_hold(campaign, lanes)))
    return waiting


def binding_hold(campaign: Campaign, lanes: Sequence[LaneView]) -> Hold:
    """What a campaign as a whole waits for."""
    match campaign.state:
        case CampaignState.DRAFT:
            return Hold(HoldReason.NOT_STARTED)
        case CampaignState.PAUSED:
            return Hold(HoldReason.PAUSED, detail=campaign.paused_because)
        case _:
            pass
    holds = [lane.hold for lane in lanes]
    if not holds or None in holds:
        return Hold(HoldReason.QUEUED)
    return min((hold for hold in holds if hold is not None), key=_lifts)


def _lifts(hold: Hold) -> tuple[bool, float]:
    """Order by who is free first; a hold that only an event lifts comes last."""
    return hold.until is None, hold.until.timestamp() if hold.until else 0.0
