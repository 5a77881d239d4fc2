"""The door for messages whose answer was lost: to see them, to settle or release them, and what policies decide.

A receipt settles them first; see `intake.py`. Only when none has come within the grace the campaign's policy decides:
`give_up` (counted as refused; a receipt that comes later still makes it accepted), `resend`, or `ask`: an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, Conflict
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.message import GIVEN_UP, MessageState
from dispatcher.domain.report import UnsureView
from dispatcher.ports import CampaignBook, Jobs, Telemetry, Turns, UnsureBook

CHUNK = 1_000
"""Messages per transaction."""
RESENDS = 3
"""How often the policy `resend` posts one message again."""


@dataclass(frozen=True, slots=True)
class Unsure:
    """What operators and upkeep do about unsure messages."""

    book: UnsureBook
    campaigns: CampaignBook
    turns: Turns
    jobs: Jobs
    telemetry: Telemetry
    grace: timedelta

    async def list(self, campaign_id: CampaignId | None, most: int) -> tuple[int, Sequence[UnsureView]]:
        """How many there are, and the first of them. Raises NotFound."""
        if campaign_id is not None:
            await self.campaigns.find(campaign_id)
        return await self.book.list(campaign_id, most, self.grace)

    async def settle(
        self, campaign_id: CampaignId, messages: Sequence[MessageId] | None, to: MessageState
    ) -> int:
        """An operator knows what became of them: accepted or refused. messages: None for all of the campaign.

        Returns how many were unsure. Raises NotFound, BadValue.
        """
        if to not in (MessageState.ACCEPTED, MessageState.REFUSED):
            raise BadValue(f"an unsure message cannot be settled as {to}; use accepted or refused")
        await self.campaigns.find(campaign_id)
        settled = 0
        while refs := await self.book.of_campaign(campaign_id, messages, CHUNK):
            settled += await self.book.settle(refs, to, "settled_by_operator")
        return settled

    async def release(self, campaign_id: CampaignId, messages: Sequence[MessageId] | None) -> int:
        """Have them posted again, though they may have arrived. Returns how many. Raises NotFound, Conflict."""
        campaign = await self.campaigns.find(campaign_id)
        if campaign.state is CampaignState.CANCELLED:
            raise Conflict(
                f"campaign {campaign_id} is cancelled; nothing was released",
                hint="`dispatch unsure settle` ends its unsure messages",
            )
        released = 0
        while refs := await self.book.of_campaign(campaign_id, messages, CHUNK):
            some = await self.book.release(refs)
            released += some
            if not some:  # somebody else had them, or the campaign was cancelled meanwhile
                break
        await self._wake()
        return released

    async def decide(self) -> tuple[int, int]:
        """One round of upkeep: what policies decide now. Returns how many were given up, how many are posted again."""
        give_up, resend = await self.book.due(self.grace, CHUNK, RESENDS)
        given_up = await self.book.settle(give_up, MessageState.REFUSED, GIVEN_UP) if give_up else 0
        resent = await self.book.release(resend) if resend else 0
        if resent:
            await self._wake()
        if given_up or resent:
            self.telemetry.unsure_decided(given_up, resent)
        return given_up, resent

    async def _wake(self) -> None:
        for lane in await self.turns.due_lanes():
            await self.jobs.wake(lane)
