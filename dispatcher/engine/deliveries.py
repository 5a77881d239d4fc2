"""Events on their way out: one turn at a time per subscription, batch after batch in order, until something is in the way.

A turn is a slice of time. What may pass within seconds is tried again at once; longer waits stand in the ledger, where
they grow from a second to five minutes. Turns of different subscriptions share nothing but the process, so a slow receiver
slows nobody. What a receiver has taken is forgotten after its answer: whoever dies in between has it delivered again, under
the same ids. `upkeep` looks after what nobody takes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tenacity import (
    AsyncRetrying,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from dispatcher.domain.callback import CallbackAnswer, CallbackKind, batch_size, next_wait
from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import Event, Stopped
from dispatcher.domain.relay import is_told
from dispatcher.ports import Callbacks, Clock, Envelopes, EventTelemetry, Outbox, RelayBook

SLICE = timedelta(seconds=10)
"""How long a turn lasts at most, after which others get their chance."""
BATCH_BYTES = 2**20
"""About how much one request holds; a single event may be larger than what is left of it."""
AGAIN_WITHIN_S = 3.0
"""How long something that may pass is tried again within a turn."""
AGAIN_MOST = 3
MARGIN = timedelta(seconds=5)
"""How much longer a lease is than what a turn does between two signs of life."""
ONE_BY_ONE_FOR = timedelta(seconds=2)
"""How long a batch goes out one by one before what was taken is written down; well within what a lease allows."""
BURIED_AT_ONCE = 10_000
"""Events of one subscription that one look of upkeep makes dead letters."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What an operator decides about deliveries."""

    batch_most: int
    """Events per request."""
    timeout: timedelta
    """For one request."""
    give_up: timedelta
    """How long an event is tried."""
    pending_most: int
    """Events that may wait for one subscription."""
    dead_kept: timedelta
    """How long dead letters are kept."""

    @property
    def lease(self) -> timedelta:
        """How long a turn counts as alive without a sign of life."""
        return timedelta(seconds=AGAIN_WITHIN_S) + self.timeout + MARGIN


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What workers do about events."""

    outbox: Outbox
    callbacks: Callbacks
    envelopes: Envelopes
    relays: RelayBook
    read_secret: Callable[[str], str]
    clock: Clock
    telemetry: EventTelemetry
    settings: DeliverySettings
    owner: str
    stopping: asyncio.Event

    async def due(self, most: int) -> Sequence[DeliveryTurn]:
        """Turns for subscriptions that are due, which the caller serves. Raises LedgerUnavailable."""
        return await self.outbox.open_turns(self.owner, self.settings.lease, most)

    async def serve(self, turn: DeliveryTurn) -> None:
        """Deliver until nothing waits, the slice is over or something is in the way. Raises LedgerUnavailable."""
        ends = self.clock.now() + SLICE
        failures = turn.failures
        while self.clock.now() < ends and not self.stopping.is_set():
            most = batch_size(self.settings.batch_most, failures)
            events = await self.outbox.next_batch(turn, self.settings.lease, most, BATCH_BYTES)
            if events is None:
                self.telemetry.delivery_lost(turn)
                return
            if not events:
                break
            done, answer = await self._hand_over(turn, events)
            if done:
                if not await self.outbox.delivered(turn, done):
                    self.telemetry.delivery_lost(turn)
                    return
                self.telemetry.events_delivered(len(done))
                failures = 0
            if answer.kind is not CallbackKind.DELIVERED:
                await self._fail(turn, answer, failures + 1)
                return
        await self.outbox.close(turn)

    async def _hand_over(
        self, turn: DeliveryTurn, events: Sequence[Event]
    ) -> tuple[Sequence[Event], CallbackAnswer]:
        """In as many requests as the format wants. Returns the events that are over with, and the last answer."""
        if not turn.format.one_by_one:
            answer = await self._deliver(turn, events)
            return (events if answer.kind is CallbackKind.DELIVERED else ()), answer
        ends = self.clock.now() + ONE_BY_ONE_FOR
        done: list[Event] = []
        for event, facts in zip(events, await self.relays.facts(events), strict=True):
            if is_told(event, facts):
                answer = await self._deliver(turn, [replace(event, relay=facts)])
                if answer.kind is not CallbackKind.DELIVERED:
                    return done, answer
            done.append(event)
            if self.clock.now() >= ends or self.stopping.is_set():
                break
        return done, CallbackAnswer(CallbackKind.DELIVERED)

    async def _deliver(self, turn: DeliveryTurn, events: Sequence[Event]) -> CallbackAnswer:
        """Once, and again where that may help within seconds."""
        references = [turn.secret_ref, turn.former_secret_ref]
        try:
            secrets = [self.read_secret(each) for each in references if each is not None]
        except BadValue as error:
            return CallbackAnswer(CallbackKind.FORBIDDEN, str(error))
        if not self.envelopes.knows(turn.format):
            return CallbackAnswer(CallbackKind.FORBIDDEN, f"this version does not write {turn.format!r}")
        repeating = AsyncRetrying(
            retry=retry_if_result(lambda answer: answer.may_pass),
            stop=stop_after_attempt(AGAIN_MOST) | stop_after_delay(AGAIN_WITHIN_S),
            wait=wait_random_exponential(multiplier=0.2, max=1),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )

        async def once() -> CallbackAnswer:
            delivery = self.envelopes.write(turn, events, secrets, self.clock.now())
            return await self.callbacks.post(turn.url, delivery)

        return await repeating(once)

    async def _fail(self, turn: DeliveryTurn, answer: CallbackAnswer, failures: int) -> None:
        wait = next_wait(failures, answer.retry_after, random.random())
        if not await self.outbox.failed(turn, answer.text, wait):
            self.telemetry.delivery_lost(turn)
            return
        self.telemetry.events_failed(turn, answer.kind, answer.text)
        if answer.kind is CallbackKind.GONE and await self.outbox.stop(turn.subscription_id, Stopped.GONE):
            self.telemetry.subscription_stopped(turn.subscription_id, Stopped.GONE)

    async def upkeep(self) -> None:
        """What nobody takes: dead letters, subscriptions for which too much waits, remains. Raises LedgerUnavailable."""
        if buried := await self.outbox.bury(self.settings.give_up, BURIED_AT_ONCE):
            self.telemetry.events_buried(buried)
        for subscription_id in await self.outbox.overfull(self.settings.pending_most):
            if await self.outbox.stop(subscription_id, Stopped.TOO_MANY):
                self.telemetry.subscription_stopped(subscription_id, Stopped.TOO_MANY)
        await self.outbox.tidy(self.settings.dead_kept)
        await self.relays.tidy(BURIED_AT_ONCE)
        pending, oldest_at = await self.outbox.backlog()
        age_s = (self.clock.now() - oldest_at).total_seconds() if oldest_at is not None else 0.0
        self.telemetry.events_waiting(pending, max(0.0, age_s))
