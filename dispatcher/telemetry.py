"""Events: one method each, with all metric names and log texts.

Metrics are prometheus counters with labels from small closed sets, never a person or a message id.
Nothing here may fail or wait.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter as Tally
from collections.abc import Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold
from dispatcher.domain.message import Outcome
from dispatcher.domain.posted import PostedKind
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
            "dispatcher_messages_reaped_total", "Messages of dead turns", ["became"], registry=self.registry
        )
        self._turns_lost = Counter(
            "dispatcher_turns_lost_total", "Turns that found their lease gone", registry=self.registry
        )

    def posted(self, kind: PostedKind, verdict: Verdict | None) -> None:
        """One post was answered, or not."""
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


def set_up_logging(level: str) -> None:
    """Structured lines on standard error, from us and from libraries alike."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=number, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
