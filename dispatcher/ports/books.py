"""What orders and questions need: campaigns and senders in the ledger, and Meta's management API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from dispatcher.domain.archive import Results
from dispatcher.domain.campaign import Campaign, CampaignState, Counts, NewCampaign
from dispatcher.domain.fence import Confirmed, Fence
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import AttemptRef
from dispatcher.domain.report import Fault, LaneView, MessageView, UnsureView, Waiting
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template
from dispatcher.domain.turn import DueLane


class CampaignBook(Protocol):
    """Campaigns in the ledger: orders, counts, reports."""

    async def create(self, new: NewCampaign) -> tuple[Campaign, bool]:
        """Store a draft; False with a known idempotency key, and then the campaign that exists."""
        ...

    async def find(self, campaign_id: CampaignId) -> Campaign:
        """Raises NotFound."""
        ...

    async def recent(self, limit: int) -> Sequence[Campaign]:
        """The newest first."""
        ...

    async def delete_draft(self, campaign_id: CampaignId) -> None:
        """Forget a draft that has no people."""
        ...

    async def move(self, campaign_id: CampaignId, to: CampaignState, because: str = "") -> Sequence[DueLane]:
        """Bring it into a state; nothing changes when it is there already. Raises Conflict. Returns lanes to wake.

        because: why a guard pauses it; empty for an operator's order.
        """
        ...

    async def change(
        self, campaign_id: CampaignId, changes: Mapping[str, Any], expected: Campaign | None = None
    ) -> tuple[Campaign, Sequence[DueLane]]:
        """Replace what may be edited; returns the lanes to wake. Raises NotFound; Conflict for one that is over.

        expected: what the caller saw. Raises Outdated when it is something else by now.
        """
        ...

    async def drop_pending(self, campaign_id: CampaignId, to: MessageState, reason: str) -> int:
        """Give up all unsent people; returns how many."""
        ...

    async def turns_running(self, campaign_id: CampaignId) -> int:
        """How many of its lanes are being served at this moment."""
        ...

    async def counts(self, campaign_id: CampaignId) -> Counts:
        """How many people are in which state, at one instant."""
        ...

    async def lanes(self, campaign_id: CampaignId) -> Sequence[LaneView]:
        """One per sender."""
        ...

    async def parked(self, campaign_id: CampaignId) -> Sequence[Waiting]:
        """Pending people who wait for a time of their own."""
        ...

    async def results(self, campaign_id: CampaignId) -> Results:
        """What it has come to, beyond the counts: from its messages, or as it was written down when they were dropped."""
        ...

    def export(self, campaign_id: CampaignId) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Everybody, in chunks."""
        ...

    async def message(self, campaign_id: CampaignId, message_id: MessageId) -> MessageView:
        """Raises NotFound."""
        ...

    async def message_to(self, campaign_id: CampaignId, key: PersonKey) -> MessageView:
        """Raises NotFound."""
        ...

    async def check(self) -> Sequence[Fault]:
        """Prove the arithmetic; empty when all is well."""
        ...


class SenderBook(Protocol):
    """Senders, templates and holds in the ledger."""

    async def add(self, sender: Sender) -> Sender:
        """Raises Conflict."""
        ...

    async def all(self) -> Sequence[Sender]:
        """By name."""
        ...

    async def named(self, name: str) -> Sender:
        """Raises NotFound."""
        ...

    async def change(
        self, name: str, changes: Mapping[str, Any], expected: Sender | None = None
    ) -> tuple[Sender, Sequence[DueLane]]:
        """Replace fields; returns the lanes to wake. Raises NotFound.

        expected: what the caller saw. Raises Outdated when it is something else by now.
        """
        ...

    async def reseal(self, renew: Callable[[str], str]) -> Sequence[str]:
        """Replace each sealed token by what `renew` makes of it, all or none. Returns the senders' names."""
        ...

    async def holds(self, sender: Sender) -> Sequence[Hold]:
        """In force on it, its account, its portfolio, its account's templates."""
        ...

    async def binding_holds(self, sender: Sender, template: str, language: str) -> Sequence[Hold]:
        """In force on what sends this template from this sender."""
        ...

    async def standing(self) -> Sequence[tuple[Sender, Sequence[Hold]]]:
        """Every sender with the holds on it, its account and its portfolio; those of templates left out."""
        ...

    async def lift_holds(self, sender: Sender) -> Sequence[DueLane]:
        """Forget them; returns the lanes to wake."""
        ...

    async def put_templates(
        self, waba_id: str, templates: Sequence[tuple[Template, Mapping[str, Any]]]
    ) -> Sequence[DueLane]:
        """Replace what is known of an account; returns the lanes to wake."""
        ...

    async def templates(self) -> Sequence[tuple[str, Template, datetime]]:
        """Account, template, when it was read."""
        ...

    async def template(self, waba_id: str, name: str, language: str) -> Template | None:
        """One template."""
        ...


class FenceBook(Protocol):
    """Where the ledger is, and where it was confirmed to be."""

    async def learn(self) -> None:
        """The first to open a ledger confirms its place; later ones add what they can read beyond it."""
        ...

    async def state(self) -> Fence:
        """How it stands."""
        ...

    async def beat(self, remembered: int) -> int | None:
        """Count the pulse up and return it; None where Redis remembers a higher one, or the ledger was moved."""
        ...

    async def recall(self, remembered: int) -> None:
        """Redis remembers this pulse; the fence goes up where it is more than the ledger's own."""
        ...

    async def confirm(self, seen_epoch: int, *, because: str | None) -> Confirmed:
        """Take the present place as the right one. Raises Conflict when somebody else did so since `seen_epoch`.

        because: why running campaigns are paused, and what was claimed is unsure; None where nothing was lost.
        """
        ...


class Management(Protocol):
    """Meta's management API: slow, and within hourly budgets."""

    async def templates(self, sender: Sender) -> Sequence[Mapping[str, Any]]:
        """All templates of the sender's account as Meta lists them. Raises ChannelRefused or ChannelUnavailable."""
        ...


class UnsureBook(Protocol):
    """Unsure messages in the ledger. Whatever ends one is a compare-and-set on that state."""

    async def list(
        self, campaign_id: CampaignId | None, most: int, grace: timedelta
    ) -> tuple[int, Sequence[UnsureView]]:
        """How many there are, and the first of them. grace: after which policies decide."""
        ...

    async def of_campaign(
        self, campaign_id: CampaignId, messages: Sequence[MessageId] | None, most: int
    ) -> Sequence[AttemptRef]:
        """The campaign's unsure messages, at most so many; only these of them, unless None."""
        ...

    async def due(
        self, grace: timedelta, most: int, resends: int
    ) -> tuple[Sequence[AttemptRef], Sequence[AttemptRef]]:
        """Those that the campaigns' policies decide on now: to be given up, to be posted again."""
        ...

    async def settle(self, refs: Sequence[AttemptRef], to: MessageState, reason: str) -> int:
        """End them as accepted or refused. Returns how many were still unsure."""
        ...

    async def release(self, refs: Sequence[AttemptRef]) -> int:
        """Have them posted again; those of cancelled campaigns stay. Returns how many were still unsure."""
        ...
