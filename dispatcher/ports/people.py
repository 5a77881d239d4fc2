"""What is known of people: who is who, what they said, whether they want to hear from us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dispatcher.domain.conversation import ConversationPlace, ConversationView, Heard, Transcript
from dispatcher.domain.identity import Met, Sighting
from dispatcher.domain.ids import CampaignId, ConversationId, PersonKey, PoolKey, SenderId
from dispatcher.domain.listing import Page
from dispatcher.domain.opting import HistoryEntry, Wish
from dispatcher.domain.report import Suppressed
from dispatcher.domain.sender import Sender


class PeopleBook(Protocol):
    """People in the ledger, within the transaction of one batch of webhooks."""

    async def meet(self, sightings: Sequence[Sighting]) -> Met:
        """Who each of them is. What was kept of two who turn out to be one is joined: conversations, suppressions.

        Until the transaction ends nobody else decides about any of these people; call it once, before the others.
        """
        ...

    async def hear(self, heard: Sequence[Heard]) -> Sequence[tuple[Sender, int]]:
        """What people said, into their conversations, each message once; any order and any repetition: the same end.

        Returns the senders it went to, and how many messages were new.
        """
        ...


class SuppressionBook(Protocol):
    """The suppression list. Keys are of numbers, or user ids where no number is known."""

    async def wish(self, wishes: Sequence[Wish]) -> None:
        """Note what people wish; of all that a person ever said the latest counts, whenever it is told."""
        ...

    async def put(
        self,
        people: Sequence[tuple[PersonKey, str]],
        reason: str,
        source: str,
        until: datetime | None = None,
    ) -> int:
        """An operator's order; with `until` an entry that ends by itself. Returns how many were not on the list.

        people: key, and how the person is shown. They leave the campaigns in which they are pending.
        """
        ...

    async def remove(self, keys: Sequence[str], source: str) -> Sequence[PersonKey]:
        """Take people off the list, whatever put them there. Returns those who were on it."""
        ...

    async def keys_of(self, ids: Sequence[str]) -> Sequence[PersonKey]:
        """The people for whom keys and user ids stand now, in their order."""
        ...

    async def all(self) -> Sequence[Suppressed]:
        """The oldest entry first."""
        ...

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        """All that happened to a person on the list, the oldest first."""
        ...

    async def standing(self, keys: Sequence[PersonKey]) -> Sequence[PersonKey]:
        """Those of them who are on the list now."""
        ...

    async def pools_of(self, keys: Sequence[PersonKey]) -> Mapping[PoolKey, Sequence[PersonKey]]:
        """Where turns may have, or may be about to claim, a message to these people; ask before `sweep`."""
        ...

    async def pools(self) -> Sequence[PoolKey]:
        """All quota pools there are: where somebody may have been stopped before."""
        ...

    async def sweep(self, keys: Sequence[PersonKey]) -> Sequence[CampaignId]:
        """Those who are on the list leave the campaigns in which they are pending. Returns the campaigns."""
        ...

    async def call_emptied(self, campaigns: Sequence[CampaignId]) -> None:
        """Have a turn complete those of them in which nobody is left; in a transaction of its own."""
        ...


class ConversationBook(Protocol):
    """Conversations, for people to look at."""

    async def list(
        self, most: int, *, sender: str | None = None, only_open: bool = False, person: str | None = None
    ) -> Sequence[ConversationView]:
        """The one in which somebody wrote last first. sender: its name. person: the number's key, or a user id."""
        ...

    async def page(
        self, after: ConversationPlace | None, limit: int, *, sender: SenderId | None = None
    ) -> Page[ConversationView, ConversationPlace]:
        """Those after this place, in the same order; whoever has never written comes last."""
        ...

    async def transcript(self, conversation_id: ConversationId, most: int) -> Transcript:
        """One with its last messages. Raises NotFound."""
        ...
