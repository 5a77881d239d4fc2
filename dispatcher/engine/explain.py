"""Why something waits: what binds now, until when, what would bind next, what one can do.

Asks the same gate that the lane asks, and reads what the last turn of each lane was told by the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import LimitsUnavailable, NotFound
from dispatcher.domain.gate import Pause, decide
from dispatcher.domain.grant import Usage
from dispatcher.domain.hold import LIFTED_BY, Hold, HoldReason
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.reach import LimitScope
from dispatcher.domain.report import CampaignView, LaneView, MessageView
from dispatcher.domain.sender import Sender
from dispatcher.engine.campaigns import Campaigns, binding_hold
from dispatcher.ports import CampaignBook, Clock, Limits, SenderBook


@dataclass(frozen=True, slots=True)
class LaneExplanation:
    """One sender's part."""

    sender: str
    binding: Sequence[Hold]
    """Everything that binds now, the first one first. Empty when nothing does."""
    outlook: Sequence[str]
    """What would bind next, in sentences."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer to "why"."""

    summary: str
    binding: Hold | None
    """None when nothing waits."""
    advice: str
    lanes: Sequence[LaneExplanation]


class Explain:
    """The engine's door for questions."""

    def __init__(
        self,
        campaigns: Campaigns,
        book: CampaignBook,
        senders: SenderBook,
        limits: Limits,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._campaigns = campaigns
        self._book = book
        self._senders = senders
        self._limits = limits
        self._clock = clock
        self._policy = policy

    async def message(self, campaign_id: CampaignId, message_id: MessageId) -> MessageView:
        """A message with its history. Raises NotFound; Archived where it was dropped as old."""
        try:
            return await self._book.message(campaign_id, message_id)
        except NotFound:
            await self._campaigns.with_people(campaign_id)
            raise

    async def message_to(self, campaign_id: CampaignId, key: PersonKey) -> MessageView:
        """The message to one person. Raises as `message` does."""
        try:
            return await self._book.message_to(campaign_id, key)
        except NotFound:
            await self._campaigns.with_people(campaign_id)
            raise

    async def explain_campaign(self, campaign_id: CampaignId) -> Explanation:
        """Why a campaign is where it is."""
        view = await self._campaigns.view(campaign_id)
        lanes = [await self._lane(view, lane) for lane in view.lanes]
        if view.counts.pending == 0:
            return Explanation(_ended(view), None, "nothing to do", lanes)
        hold = binding_hold(view.campaign, view.lanes)
        return Explanation(
            f"{view.counts.pending} people wait: {describe(hold)}", hold, LIFTED_BY[hold.reason], lanes
        )

    async def explain_message(self, message: MessageView) -> Explanation:
        """Why a message is where it is."""
        if message.state is not MessageState.PENDING:
            return Explanation(_told(message), None, _after(message), ())
        view = await self._campaigns.view(message.campaign_id)
        lanes = [await self._lane(view, lane) for lane in view.lanes]
        hold = binding_hold(view.campaign, view.lanes)
        own_time = message.not_before
        if own_time is not None and own_time > self._clock.now() and message.reason is not None:
            hold = Hold(HoldReason(message.reason), own_time, message.detail or "")
        return Explanation(f"it waits: {describe(hold)}", hold, LIFTED_BY[hold.reason], lanes)

    async def _lane(self, view: CampaignView, lane: LaneView) -> LaneExplanation:
        """The gate's word on a lane, then what its last turn ended with."""
        sender, campaign = lane.sender, view.campaign
        template = await self._senders.template(sender.waba_id, campaign.template, campaign.language)
        holds = await self._senders.binding_holds(sender, campaign.template, campaign.language)
        decision = decide(
            campaign,
            sender,
            template,
            holds,
            self._clock.now(),
            stricter=self._policy.stricter,
            moved=lane.moved,
            due_at=lane.next_at,
            late_after=self._policy.late_after,
        )
        if isinstance(decision, Pause):
            decision = Hold(HoldReason.PAUSED, detail=decision.cause)
        binding = [decision] if isinstance(decision, Hold) else []
        if lane.hold is not None and all(hold.reason is not lane.hold.reason for hold in binding):
            binding.append(lane.hold)
        return LaneExplanation(sender.name, binding, await self._outlook(sender, view.counts.pending))

    async def _outlook(self, sender: Sender, pending: int) -> Sequence[str]:
        try:
            usage = await self._limits.usage(limits_of(sender, self._policy))
        except LimitsUnavailable:
            return ["what is used of its limits is not known before its next turn"]
        cause = f", lowered by {usage.rate_cause}" if usage.rate_cause else ""
        return [f"at most {usage.rate}{cause}", *tier_outlook(sender, usage, pending)]


def describe(hold: Hold) -> str:
    """A hold in one line: the reason, its detail, its end."""
    until = f" until {hold.until:%Y-%m-%d %H:%M:%S} UTC" if hold.until else ""
    return f"{hold}{until}"


def tier_outlook(sender: Sender, usage: Usage, pending: int) -> Sequence[str]:
    """How far the tier reaches, and what would add to it."""
    if usage.reach_limit is None:
        return ["its tier is unlimited"]
    left = max(0, usage.reach_limit - usage.reach_used)
    said = [f"its tier allows {left:,} more of {usage.reach_limit:,} people now"]
    if pending > left and usage.reach_next is not None:
        said.append(f"the next token comes back at {usage.reach_next:%Y-%m-%d %H:%M:%S} UTC")
    if sender.limit_scope is LimitScope.PORTFOLIO:
        said.append("the tier is its portfolio's: another number of it adds speed, but no reach")
    elif pending > left:
        said.append("another sender adds both speed and reach")
    return said


def _ended(view: CampaignView) -> str:
    if view.campaign.state is CampaignState.RUNNING:
        return f"{view.counts.claimed} messages are on their way, nobody waits"
    return f"the campaign is {view.campaign.state}, nobody waits"


def _told(message: MessageView) -> str:
    cause = ", ".join(str(part) for part in (message.code, message.reason, message.detail) if part)
    return f"it is {message.state}" + (f": {cause}" if cause else "")


def _after(message: MessageView) -> str:
    match message.state:
        case MessageState.UNSURE:
            return "a receipt from Meta settles it; until then it is not posted again"
        case MessageState.CLAIMED:
            return "a turn has it and settles it within seconds"
        case _:
            return "nothing more happens to it by itself"
