"""Events: one method each, with all metric names and log texts.

Metrics are prometheus counters with labels from small closed sets, never a person or a message id.
Nothing here may fail or wait.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter as Tally
from collections.abc import Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from dispatcher.domain.archive import KeptBecause, Partition
from dispatcher.domain.callback import CallbackKind
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.event import Stopped, SubscriptionId
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold
from dispatcher.domain.message import MessageState, Outcome
from dispatcher.domain.opting import SuppressionChange
from dispatcher.domain.posted import PostedKind
from dispatcher.domain.queued_reply import DeadReplyTurn, OpenedReplyTurn
from dispatcher.domain.sender import Sender
from dispatcher.domain.turn import DeadTurn, OpenedTurn
from dispatcher.domain.verdict import Verdict


class Events:
    """The port `Telemetry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._log = structlog.get_logger("dispatcher")
        self._posts = Counter(
            "dispatcher_posts_answered_total", "Posts by what came of them", ["kind"], registry=self.registry
        )
        self._kinds = {kind: self._posts.labels(kind) for kind in PostedKind}
        self._refusals = Counter(
            "dispatcher_posts_refused_total", "Error codes of Meta", ["code"], registry=self.registry
        )
        self._settled = Counter(
            "dispatcher_messages_settled_total", "Outcomes written", ["state"], registry=self.registry
        )
        self._holds = Counter(
            "dispatcher_holds_put_total", "Holds stored", ["scope", "reason"], registry=self.registry
        )
        self._reaped = Counter(
            "dispatcher_messages_reaped_total",
            "Messages and replies of dead turns",
            ["became"],
            registry=self.registry,
        )
        self._taken_in = Counter(
            "dispatcher_webhook_updates_taken_total",
            "Webhook updates by kind",
            ["kind"],
            registry=self.registry,
        )
        self._wished = Counter(
            "dispatcher_suppressions_wished_total",
            "People who opted out or in",
            ["change"],
            registry=self.registry,
        )
        self._decided = Counter(
            "dispatcher_unsure_decided_total",
            "Unsure messages that a policy ended",
            ["became"],
            registry=self.registry,
        )
        self._replies = Counter(
            "dispatcher_replies_settled_total",
            "Outcomes of replies written",
            ["state"],
            registry=self.registry,
        )
        self._events_delivered = Counter(
            "dispatcher_events_delivered_total", "Events that receivers have taken", registry=self.registry
        )
        self._deliveries_failed = Counter(
            "dispatcher_deliveries_failed_total",
            "Turns of delivery that ended with a failure",
            ["kind"],
            registry=self.registry,
        )
        self._events_buried = Counter(
            "dispatcher_events_buried_total", "Events that became dead letters", registry=self.registry
        )
        self._subscriptions_stopped = Counter(
            "dispatcher_subscriptions_stopped_total",
            "Subscriptions that were disabled, and not by order",
            ["why"],
            registry=self.registry,
        )
        self._events_waiting = Gauge(
            "dispatcher_events_waiting",
            "Events that wait, as far as they are counted",
            registry=self.registry,
        )
        self._events_oldest = Gauge(
            "dispatcher_events_oldest_seconds", "Age of the oldest event that waits", registry=self.registry
        )
        self._turns_lost = Counter(
            "dispatcher_turns_lost_total", "Turns that found their lease gone", registry=self.registry
        )
        self._turns_fenced = Counter(
            "dispatcher_turns_fenced_total",
            "Turns held because the ledger is not where it was confirmed to be",
            registry=self.registry,
        )
        self._campaigns_paused = Counter(
            "dispatcher_campaigns_paused_total", "Campaigns that a guard paused", registry=self.registry
        )
        self._archived = Counter(
            "dispatcher_campaigns_archived_total",
            "Campaigns whose people were dropped as old",
            registry=self.registry,
        )
        self._fence_told = ""

    def accepted(self, messages: int) -> None:
        """Meta took so many posts, and the ledger knows it. Counted by the batch: one by one it cost 1 µs a message."""
        self._kinds[PostedKind.ACCEPTED].inc(messages)
        self._settled.labels(MessageState.ACCEPTED).inc(messages)

    def posted(self, kind: PostedKind, verdict: Verdict | None) -> None:
        """One post was answered in any other way, or not at all."""
        self._kinds[kind].inc()
        if verdict is not None:
            self._refusals.labels(verdict.code).inc()
            if verdict.is_news:
                self._log.warning("Meta answered with a code that is not in the table", code=verdict.code)

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes were written to the ledger."""
        for state, count in Tally(outcome.state for outcome in outcomes).items():
            self._settled.labels(state).inc(count)

    def held(self, sender: Sender, scope: HeldScope, hold: Hold) -> None:
        """An answer of Meta holds more than its own message."""
        self._holds.labels(scope, hold.reason).inc()
        self._log.warning("Meta's answer holds the lane", sender=sender.name, scope=scope, hold=str(hold))

    def tokens_left(self, tokens: int) -> None:
        """Tokens could not be given back."""
        self._log.warning("tokens could not be given back; they return within a day", tokens=tokens)

    def turn_lost(self, turn: OpenedTurn) -> None:
        """A turn found its lease gone."""
        self._turns_lost.inc()
        self._log.warning("a turn lost its lease and stopped", lane=turn.lane_id, turn=turn.turn_id)

    def reaped(self, dead: DeadTurn, reaped: int, unsure: int) -> None:
        """A dead turn was settled by upkeep."""
        self._reaped.labels("unsure").inc(unsure)
        self._reaped.labels("pending").inc(reaped - unsure)
        self._log.warning(
            "a dead turn was reaped", lane=dead.lane_id, turn=dead.turn_id, messages=reaped, unsure=unsure
        )

    def reply_settled(self, outcome: Outcome) -> None:
        """What became of a reply was written to the ledger."""
        self._replies.labels(outcome.state).inc()

    def reply_turn_lost(self, turn: OpenedReplyTurn) -> None:
        """A reply turn found its lease gone."""
        self._turns_lost.inc()
        self._log.warning(
            "a reply turn lost its lease and stopped", sender=turn.sender.name, turn=turn.turn_id
        )

    def reply_turn_reaped(self, dead: DeadReplyTurn, reaped: int, unsure: int) -> None:
        """A dead reply turn was settled by upkeep."""
        self._reaped.labels("unsure").inc(unsure)
        self._reaped.labels("pending").inc(reaped - unsure)
        self._log.warning(
            "a dead reply turn was reaped",
            sender=dead.sender.name,
            turn=dead.turn_id,
            replies=reaped,
            unsure=unsure,
        )

    def fenced(self, hold: Hold) -> None:
        """A turn found that the ledger is not where it was confirmed to be; said once, and again when that changes."""
        self._turns_fenced.inc()
        if hold.detail != self._fence_told:
            self._fence_told = hold.detail
            self._log.warning("nothing is sent: see `dispatch fence show`", ledger=hold.detail)

    def paused(self, campaign: Campaign, cause: str) -> None:
        """A guard paused a campaign."""
        self._campaigns_paused.inc()
        self._log.warning("a campaign was paused", campaign=campaign.id, cause=cause)

    def took_in(self, updates: Mapping[str, int]) -> None:
        """Webhook updates were taken in, by kind."""
        for kind, count in updates.items():
            self._taken_in.labels(kind).inc(count)
        if updates.get("put_aside"):
            self._log.warning(
                "webhook updates were put aside; see `dispatch quarantine list`", updates=updates["put_aside"]
            )

    def wished(self, changes: Mapping[SuppressionChange, int]) -> None:
        """People opted out or in."""
        for change, count in changes.items():
            self._wished.labels(change).inc(count)

    def intake_failed(self, error: Exception) -> None:
        """A batch of webhooks could not be applied as a whole."""
        self._log.error("a batch of webhooks failed and is taken one by one", error=repr(error))

    def events_delivered(self, events: int) -> None:
        """A receiver has taken so many events."""
        self._events_delivered.inc(events)

    def events_failed(self, turn: DeliveryTurn, kind: CallbackKind, text: str) -> None:
        """A turn of delivery ended with a failure. Where it went is not said: an address may hold a secret."""
        self._deliveries_failed.labels(kind).inc()
        self._log.warning(
            "events could not be delivered; they are tried again",
            subscription=turn.subscription_id,
            kind=str(kind),
            cause=text,
        )

    def delivery_lost(self, turn: DeliveryTurn) -> None:
        """A turn of delivery found its lease gone, or its subscription disabled."""
        self._turns_lost.inc()
        self._log.info("a delivery was taken over by another", subscription=turn.subscription_id)

    def delivery_broke(self, turn: DeliveryTurn, error: Exception) -> None:
        """A turn of delivery ended by a defect of ours. Only its kind is told: a text might hold what was delivered."""
        self._deliveries_failed.labels("defect").inc()
        self._log.error(
            "a delivery broke; it begins again when its lease has run out",
            subscription=turn.subscription_id,
            error=type(error).__name__,
        )

    def events_buried(self, events: int) -> None:
        """So many events have become dead letters."""
        self._events_buried.inc(events)
        self._log.warning("events became dead letters; see `dispatch events dead list`", events=events)

    def subscription_stopped(self, subscription_id: SubscriptionId, why: Stopped) -> None:
        """A subscription was disabled, and not by order."""
        self._subscriptions_stopped.labels(why).inc()
        self._log.error("a subscription was disabled", subscription=subscription_id, why=str(why))

    def events_waiting(self, events: int, oldest_s: float) -> None:
        """How much waits, and for how long."""
        self._events_waiting.set(events)
        self._events_oldest.set(oldest_s)

    def unsure_decided(self, given_up: int, resent: int) -> None:
        """Policies decided about unsure messages."""
        self._decided.labels("refused").inc(given_up)
        self._decided.labels("pending").inc(resent)
        self._log.warning("policies decided about unsure messages", given_up=given_up, resent=resent)

    def dropped(self, partition: Partition) -> None:
        """The people of old campaigns were dropped."""
        self._archived.inc(partition.campaigns)
        self._log.info(
            "the people of old campaigns were dropped",
            campaigns=f"{partition.first} to {partition.last}",
            people=partition.people,
        )

    def kept(self, partition: Partition, because: Sequence[KeptBecause]) -> None:
        """They could have been, by what was known, and are still there."""
        if KeptBecause.DIFFERENT in because:
            self._log.error(
                "old campaigns are kept, for their counters and messages differ; see `dispatch check`",
                campaigns=f"{partition.first} to {partition.last}",
            )


def set_up_logging(level: str) -> None:
    """Structured lines on standard error, from us and from libraries alike."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=number, format="%(levelname)s %(name)s: %(message)s")
    # why: it tells each reconnect with a traceback, also those that everybody else takes calmly.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
    # why: they tell every address as a whole, and that of a receiver of events may hold a secret.
    for client in ("httpx", "httpcore"):
        logging.getLogger(client).setLevel(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
