"""From what came of a post to what becomes of the message, and of everything else it tells about.

Pure: the lane carries out what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import (
    ClaimedMessage,
    Outcome,
    accepted,
    again_later,
    given_back,
    refused,
    unsure,
)
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.queued_reply import ClaimedReply
from dispatcher.domain.verdict import Scope, Verdict, VerdictKind, next_attempt

CERTAINLY_UNTAKEN = frozenset({PostedKind.REFUSED, PostedKind.NOT_WRITTEN})
"""After these Meta has not got the message, so the person's reach token comes back."""


class Remember(StrEnum):
    """What is kept of a person, for all campaigns."""

    OPTED_OUT = "opted_out"
    """Told Meta to stop marketing: suppressed until the person changes their mind."""
    COOLED_DOWN = "cooled_down"
    """Meta spares the person marketing for a while."""
    UNDELIVERABLE = "undeliverable"
    """Could not be reached; after repeats suppressed for a while."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What one answer asks for. Most ask for nothing beyond their outcome."""

    outcome: Outcome
    hold: Hold | None = None
    """Ends the turn."""
    held_scope: HeldScope | None = None
    """Where set, the hold is stored, and binds everything in that scope."""
    slows_down: bool = False
    """The sender sends too fast for Meta."""
    pair_until: datetime | None = None
    """Nothing to this person from this sender before then."""
    remember: Remember | None = None
    """What is kept of the person."""
    remember_for: timedelta | None = None
    """How long an undeliverable person is left alone."""

    @property
    def code(self) -> int | None:
        """Meta's code."""
        return self.outcome.code

    @property
    def goes_beyond(self) -> bool:
        """Whether it asks for anything beyond its outcome."""
        return bool(self.hold or self.remember or self.slows_down or self.pair_until)


_STOPS = {
    VerdictKind.STOP_SENDER: HoldReason.SENDER_HELD,
    VerdictKind.STOP_TEMPLATE: HoldReason.TEMPLATE_BLOCKED,
    VerdictKind.AUTH_STOP: HoldReason.ACCOUNT_FAULT,
}

_HELD_SCOPES = {
    Scope.SENDER: HeldScope.SENDER,
    Scope.TEMPLATE: HeldScope.TEMPLATE,
    Scope.ACCOUNT: HeldScope.ACCOUNT,
    Scope.PORTFOLIO: HeldScope.PORTFOLIO,
    Scope.APP: HeldScope.ACCOUNT,
}


def consequence_of(
    message: ClaimedMessage | ClaimedReply, posted: Posted, now: datetime, *, refused_before: int = 0
) -> Consequence:
    """Total: every kind of answer has one consequence.

    refused_before: how often this message was refused with the same code; each code has a calendar of its own.
    """
    match posted.kind:
        case PostedKind.ACCEPTED:
            assert posted.wamid is not None
            return Consequence(accepted(message.id, posted.wamid, status=posted.status))
        case PostedKind.UNSURE:
            code = posted.verdict.code if posted.verdict else None
            reason = posted.verdict.reason if posted.verdict else "answer_lost"
            return Consequence(unsure(message.id, reason, code=code, detail=posted.detail))
        case PostedKind.NOT_WRITTEN:
            return Consequence(
                given_back(message.id), Hold(HoldReason.CHANNEL_UNAVAILABLE, detail=posted.detail)
            )
        case PostedKind.REFUSED:
            assert posted.verdict is not None
            return after_refusal(message.id, posted.verdict, posted.detail, now, refused_before)


def after_refusal(
    message_id: MessageId, verdict: Verdict, detail: str, now: datetime, refused_before: int
) -> Consequence:
    """Meta said no, at once or later by webhook."""
    wait = next_attempt(verdict, refused_before + 1)
    if wait is None:
        outcome = refused(message_id, verdict.reason, code=verdict.code, detail=detail, posted=True)
        return Consequence(outcome, remember=_memory_of(verdict), remember_for=verdict.wait)
    stop = _STOPS.get(verdict.kind)
    if stop is not None:
        # why no time for the message: it is not at fault, and goes when the hold ends, or by another sender.
        until = now + verdict.wait if verdict.wait else None
        hold = Hold(stop, until, f"{verdict.code}: {verdict.reason}")
        scope = _HELD_SCOPES.get(verdict.scope, HeldScope.SENDER)
        return Consequence(_again(message_id, verdict, None, stop, detail), hold, scope)
    if verdict.kind is VerdictKind.SLOW_DOWN_SENDER:
        return _slower(message_id, verdict, detail, now + wait)
    reason = HoldReason.PERSON_COOLDOWN if verdict.scope is Scope.PERSON else HoldReason.RETRY_LATER
    return Consequence(
        _again(message_id, verdict, now + wait, reason, detail),
        remember=_memory_of(verdict),
        remember_for=wait,
    )


def _slower(message_id: MessageId, verdict: Verdict, detail: str, until: datetime) -> Consequence:
    """Too many to one person, from one sender, or by the whole account; only the last has to be held."""
    if verdict.scope is Scope.PAIR:
        return Consequence(_again(message_id, verdict, until, HoldReason.PAIR, detail), pair_until=until)
    again = _again(message_id, verdict, until, HoldReason.RATE, detail)
    if verdict.scope is Scope.SENDER:
        return Consequence(again, slows_down=True)
    hold = Hold(HoldReason.RATE, until, f"{verdict.code}: {verdict.reason}")
    return Consequence(again, hold, HeldScope.ACCOUNT)


def _memory_of(verdict: Verdict) -> Remember | None:
    if verdict.kind is VerdictKind.OPT_OUT:
        return Remember.OPTED_OUT
    if verdict.scope is not Scope.PERSON or verdict.wait is None:
        return None
    return Remember.UNDELIVERABLE if verdict.kind is VerdictKind.FAIL_RECIPIENT else Remember.COOLED_DOWN


def _again(
    message_id: MessageId, verdict: Verdict, until: datetime | None, reason: HoldReason, detail: str
) -> Outcome:
    return again_later(message_id, until, reason=reason, code=verdict.code, detail=detail)
