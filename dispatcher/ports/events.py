"""What outgoing events need: subscriptions and the outbox in the ledger, and the way to a receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from dispatcher.domain.callback import CallbackAnswer, CallbackKind
from dispatcher.domain.delivery import Delivery, DeliveryTurn
from dispatcher.domain.event import (
    DeadEvent,
    DeliveryState,
    Event,
    EventFormat,
    EventId,
    EventKind,
    NewSubscription,
    Stopped,
    Subscription,
    SubscriptionId,
)
from dispatcher.domain.ids import SenderId


class SubscriptionBook(Protocol):
    """Subscriptions in the ledger. Each order is in the audit log, and brings what is written down in line with it."""

    async def add(self, new: NewSubscription) -> Subscription:
        """Raises NotFound for an unknown sender, Busy while the ledger is too busy to listen in."""
        ...

    async def all(self, after: SubscriptionId, limit: int) -> Sequence[tuple[Subscription, DeliveryState]]:
        """By number, those after this one, and how delivery to each stands."""
        ...

    async def find(self, subscription_id: SubscriptionId) -> tuple[Subscription, DeliveryState]:
        """Raises NotFound."""
        ...

    async def change(
        self,
        subscription_id: SubscriptionId,
        changes: Mapping[str, Any],
        expected: Subscription | None = None,
    ) -> None:
        """Replace url, kinds, senders, is_enabled. Raises NotFound, Busy; Outdated where it is not what was expected."""
        ...

    async def rotate(self, subscription_id: SubscriptionId, secret_ref: str, overlap: timedelta) -> None:
        """Sign with another secret, and for so long with the one before it as well. Raises NotFound."""
        ...

    async def reseal(self, renew: Callable[[str], str]) -> int:
        """Replace each sealed secret by what `renew` makes of it, all or none. Returns how many subscriptions there are."""
        ...

    async def ping(self, subscription_id: SubscriptionId) -> EventId:
        """Write an event down for it. Raises NotFound; Conflict where it is not enabled."""
        ...

    async def remove(self, subscription_id: SubscriptionId) -> None:
        """Forget it, with all that waits for it. Raises NotFound."""
        ...


class Outbox(Protocol):
    """Events that wait, one turn at a time per subscription. Whatever a turn writes, it writes while it has the lease."""

    async def tell(self, kind: EventKind, sender_id: SenderId | None, body: Mapping[str, Any]) -> None:
        """Write an event down for whoever wants it; what has a trigger tells of itself."""
        ...

    async def open_turns(self, owner: str, lease: timedelta, most: int) -> Sequence[DeliveryTurn]:
        """Begin turns for subscriptions that are due."""
        ...

    async def next_batch(
        self, turn: DeliveryTurn, lease: timedelta, most: int, most_bytes: int
    ) -> Sequence[Event] | None:
        """Prolong the lease; the first events that wait, in order. None: the turn is somebody else's now."""
        ...

    async def delivered(self, turn: DeliveryTurn, events: Sequence[Event]) -> bool:
        """Forget events that were taken. False: the turn is somebody else's now, who delivers them again."""
        ...

    async def failed(self, turn: DeliveryTurn, error: str, wait: timedelta) -> bool:
        """End the turn; the next one waits so long. False: it was somebody else's already."""
        ...

    async def close(self, turn: DeliveryTurn) -> None:
        """End the turn."""
        ...

    async def stop(self, subscription_id: SubscriptionId, why: Stopped) -> bool:
        """Disable a subscription. False: it was disabled already."""
        ...

    async def bury(self, age: timedelta, most: int) -> int:
        """What has waited so long in vain becomes dead letters, at most so many per subscription. Returns how many."""
        ...

    async def overfull(self, most: int) -> Sequence[SubscriptionId]:
        """Subscriptions for which more than so many events wait."""
        ...

    async def tidy(self, dead_kept: timedelta) -> None:
        """Clear away what belongs to nobody any more, and dead letters that are older than this; some at a time."""
        ...

    async def backlog(self) -> tuple[int, datetime | None]:
        """About how many events wait, and since when."""
        ...


class DeadEvents(Protocol):
    """Dead letters."""

    async def page(self, subscription_id: SubscriptionId, after: EventId, limit: int) -> Sequence[DeadEvent]:
        """In order, those after this one."""
        ...

    async def replay(
        self, subscription_id: SubscriptionId, ids: Sequence[EventId] | None, since: datetime | None
    ) -> int:
        """Have them delivered again: these, or those since then, or all. Returns how many. Raises NotFound."""
        ...

    async def purge(
        self, subscription_id: SubscriptionId, ids: Sequence[EventId] | None, before: datetime | None
    ) -> int:
        """Forget them for good: these, or those before then, or all. Returns how many. Raises NotFound."""
        ...


class Envelopes(Protocol):
    """How events are written and signed, per format."""

    def knows(self, format_: EventFormat) -> bool:
        """Whether anything is written in this format."""
        ...

    def write(
        self, turn: DeliveryTurn, events: Sequence[Event], secrets: Sequence[str], at: datetime
    ) -> Delivery:
        """One body for all of them, signed with each of the secrets at this time."""
        ...


class Callbacks(Protocol):
    """The way to receivers."""

    async def check(self, url: str) -> None:
        """Whether events may go there at present. Raises BadValue that says why not."""
        ...

    async def shake_hands(self, url: str, verify_token: str) -> None:
        """The handshake that Meta makes with a callback. Raises BadValue where it is not answered as Meta wants it."""
        ...

    async def post(self, url: str, delivery: Delivery) -> CallbackAnswer:
        """Deliver once, within the time limit; never raises for anything the receiver or the network does."""
        ...


class EventTelemetry(Protocol):
    """What is worth a metric or a line in the log."""

    def events_delivered(self, events: int) -> None:
        """A receiver has taken so many."""
        ...

    def events_failed(self, turn: DeliveryTurn, kind: CallbackKind, text: str) -> None:
        """A turn ended with a failure."""
        ...

    def delivery_lost(self, turn: DeliveryTurn) -> None:
        """A turn found its lease gone."""
        ...

    def delivery_broke(self, turn: DeliveryTurn, error: Exception) -> None:
        """A turn ended by a defect of ours."""
        ...

    def events_buried(self, events: int) -> None:
        """So many have become dead letters."""
        ...

    def subscription_stopped(self, subscription_id: SubscriptionId, why: Stopped) -> None:
        """A subscription was disabled, and not by order."""
        ...

    def events_waiting(self, events: int, oldest_s: float) -> None:
        """How much waits, and for how long."""
        ...
