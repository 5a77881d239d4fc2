"""What events need to go out, wired together: subscriptions, deliveries, and the way to receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from dispatcher.channel.callbacks import HttpCallbacks
from dispatcher.channel.event_envelopes import EventEnvelopes, new_secret
from dispatcher.clock import SystemClock
from dispatcher.domain.callback import parse_networks
from dispatcher.engine.deliveries import Deliveries, DeliverySettings
from dispatcher.engine.subscriptions import Subscriptions
from dispatcher.engine.tools import LaneTools
from dispatcher.ledger.database import Database
from dispatcher.ledger.dead_events import LedgerDeadEvents
from dispatcher.ledger.outbox import LedgerOutbox
from dispatcher.ledger.relays import LedgerRelays
from dispatcher.ledger.subscriptions import LedgerSubscriptions
from dispatcher.settings import Settings
from dispatcher.telemetry import Events
from dispatcher.vault import Vault


@asynccontextmanager
async def open_callbacks(settings: Settings) -> AsyncIterator[HttpCallbacks]:
    """The way to receivers, closed at the end of the block."""
    callbacks = HttpCallbacks(
        SystemClock(),
        parse_networks(settings.events_networks),
        timeout=timedelta(seconds=settings.events_timeout_s),
        max_connections=settings.events_in_flight,
    )
    try:
        yield callbacks
    finally:
        await callbacks.close()


def subscriptions_of(
    database: Database, callbacks: HttpCallbacks, vault: Vault, instance: str
) -> Subscriptions:
    """The door for those who want to hear of events."""
    return Subscriptions(
        LedgerSubscriptions(database),
        LedgerDeadEvents(database),
        callbacks,
        EventEnvelopes(),
        new_secret,
        vault.seal,
        instance,
    )


def deliveries_of(
    settings: Settings,
    database: Database,
    callbacks: HttpCallbacks,
    vault: Vault,
    tools: LaneTools,
    telemetry: Events,
) -> Deliveries:
    """What workers do about events; they stop when turns of lanes do."""
    return Deliveries(
        LedgerOutbox(database),
        callbacks,
        EventEnvelopes(),
        LedgerRelays(database),
        vault.read,
        tools.clock,
        telemetry,
        DeliverySettings(
            batch_most=settings.events_batch_most,
            timeout=timedelta(seconds=settings.events_timeout_s),
            give_up=timedelta(seconds=settings.events_give_up_s),
            pending_most=settings.events_pending_most,
            dead_kept=timedelta(seconds=settings.events_dead_kept_s),
        ),
        tools.owner,
        tools.stopping,
    )
