"""What webhooks need: the inbox, and the receipts in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from dispatcher.domain.ids import CampaignId, PersonKey
from dispatcher.domain.inbox import Body, PutAside
from dispatcher.domain.message import Outcome
from dispatcher.domain.receipt import AttemptRef, Booked, FailedAttempt, Receipt
from dispatcher.domain.webhook import AccountNews
from dispatcher.ports.lane import Memory
from dispatcher.ports.people import PeopleBook, SuppressionBook


class ReceiptBook(Protocol):
    """Receipts in the ledger, within the transaction of one batch."""

    async def attempts_of(self, wamids: Mapping[str, PersonKey | None]) -> Mapping[str, AttemptRef]:
        """Which attempts Meta's ids stand for, each told with its person where known; ids that are not ours are left out."""
        ...

    async def book(self, reports: Mapping[AttemptRef, tuple[str, Receipt]]) -> Booked:
        """Merge reports into their attempts: attempt → Meta's id, receipt. Any order, any repetition: the same end."""
        ...

    async def settle(self, refs: Sequence[AttemptRef]) -> Mapping[CampaignId, int]:
        """Whatever a receipt shows to be with Meta becomes accepted.

        Returns campaign → how many of those were waiting to be posted; perhaps nobody is left there now.
        """
        ...

    async def failures(self, refs: Sequence[AttemptRef]) -> Sequence[FailedAttempt]:
        """Of these attempts those that failed and whose consequences nobody has drawn yet; each is told once."""
        ...

    async def reopen(self, again: Sequence[tuple[AttemptRef, Outcome]]) -> None:
        """Another attempt for each, not before its outcome's time; the failed one stays on record."""
        ...

    async def call_lanes(self, campaign_id: CampaignId) -> None:
        """Idle lanes of a campaign are due now."""
        ...

    async def known_numbers(self, phone_number_ids: Sequence[str]) -> frozenset[str]:
        """Which of these belong to senders that we know."""
        ...

    async def keep_account_news(self, news: Sequence[AccountNews]) -> frozenset[str]:
        """Store news of accounts, each piece once. Returns the keys of those that are new."""
        ...

    async def unsure_with_receipt(self, most: int) -> Sequence[AttemptRef]:
        """Unsure attempts of which a report has come while their turn still had them."""
        ...


class IntakeBatch(Protocol):
    """Some bodies from the inbox, and the transaction that takes them out of it."""

    @property
    def bodies(self) -> Sequence[Body]:
        """The oldest that no other worker has."""
        ...

    @property
    def receipts(self) -> ReceiptBook:
        """Within this transaction."""
        ...

    @property
    def people(self) -> PeopleBook:
        """Within this transaction."""
        ...

    @property
    def suppressions(self) -> SuppressionBook:
        """Within this transaction."""
        ...

    @property
    def memory(self) -> Memory:
        """Within this transaction."""
        ...

    def attempt(self) -> AbstractAsyncContextManager[object]:
        """What happens in the block happens altogether, or not at all; the batch goes on either way."""
        ...

    async def put_aside(self, pieces: Sequence[PutAside]) -> None:
        """Into quarantine, where nothing is lost and everything can be replayed."""
        ...


class Inbox(Protocol):
    """Raw webhook bodies that were answered with 200, until they are taken in."""

    def batch(self, most: int) -> AbstractAsyncContextManager[IntakeBatch]:
        """Take the oldest `most` bodies; leaving the block without an error takes them out of the inbox for good."""
        ...
