"""What lists need: pages that cost what they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.campaign import Campaign, CampaignState, Counts
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.listing import MessageLine, Page, PutAsideLine, RejectedLine, Upload
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import Suppressed, UnsureView


class Listings(Protocol):
    """Pages, each from where the last one ended."""

    async def campaigns(
        self, before: CampaignId | None, limit: int, state: CampaignState | None = None
    ) -> Page[tuple[Campaign, Counts], CampaignId]:
        """The newest first, with their counts; those before this one. Single messages are left out."""
        ...

    async def uploads(self, campaign_id: CampaignId) -> Sequence[Upload]:
        """All imports into a campaign, in order."""
        ...

    async def messages(
        self, campaign_id: CampaignId, after: MessageId, limit: int, state: MessageState | None = None
    ) -> Page[MessageLine, MessageId]:
        """A campaign's messages after this one; a page may be short, or empty, and say where to go on."""
        ...

    async def rejected(self, campaign_id: CampaignId, after_line: int, limit: int) -> Page[RejectedLine, int]:
        """A campaign's rejected rows after this line of all its uploads."""
        ...

    async def suppressions(self, after: PersonKey, limit: int) -> Page[Suppressed, PersonKey]:
        """The suppression list by person, after this one."""
        ...

    async def unsure(
        self, after: tuple[CampaignId, MessageId], limit: int, grace: timedelta
    ) -> Page[UnsureView, tuple[CampaignId, MessageId]]:
        """Unsure messages by campaign and message, after this one. grace: after which policies decide."""
        ...

    async def quarantine(self, before: int | None, limit: int) -> Page[PutAsideLine, int]:
        """What is in quarantine, the newest first; those before this one."""
        ...
