"""Verdicts: what an answer of Meta means for the message, the person, the sender and everybody else.

Meta tells implementers to branch on ``code`` and nothing else, so this module does: one row per code in
``verdict_table.py``, a few readings that need more than the code (below), and an answer for codes nobody has seen.
What is done about a verdict (holds, rates, alarms) is decided by those who ask.

The path matters. In an HTTP answer every kind but ``AMBIGUOUS`` means that Meta certainly did not take the message.
In a webhook the same code means that this wamid is dead for good, so nothing there is ambiguous: another attempt
cannot be a second copy.

Invariants: every code has a verdict; and only ``next_attempt`` says that a message may be posted again.
Source: Meta, "Error codes", and the pages named in the table, read as dated there.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

from dispatcher.domain.verdict_table import LEGACY_CODES, Lift, Scope, Verdict, VerdictKind, rows

__all__ = ["VERDICTS", "Calendar", "Lift", "Scope", "Verdict", "VerdictKind", "next_attempt", "verdict_for"]


VERDICTS: Mapping[int, Verdict] = {verdict.code: verdict for verdict in rows()}
"""Code → verdict as it stands in the table, before path and details are looked at."""


class Calendar(NamedTuple):
    """When a message that failed is tried again: ``first · factor^n``, at most ``longest``, ``retries`` times."""

    first: timedelta
    factor: int
    longest: timedelta
    retries: int


def verdict_for(
    code: int,
    *,
    by_webhook: bool = False,
    http_status: int | None = None,
    is_transient: bool = False,
    details: str = "",
    media_by_link: bool = False,
) -> Verdict:
    """The verdict on one error of Meta. Total: every code has one.

    by_webhook: the error came in a ``failed`` status, not as the answer to the post.
    http_status, is_transient: of the answer; they matter for unknown codes only, Meta itself calls them unreliable.
    details: ``error_data.details`` and ``message``, as far as they were given, joined.
    media_by_link: the message carried its media as a link which Meta had to fetch, not as an uploaded id.
    """
    known = VERDICTS.get(LEGACY_CODES.get(code, code))
    if known is None:
        return _verdict_on_unknown(code, by_webhook, http_status, is_transient)
    verdict = known if known.code == code else replace(known, code=code)
    verdict = _read_details(verdict, details, media_by_link)
    if by_webhook and verdict.kind is VerdictKind.AMBIGUOUS:
        # The wamid is finally dead, so nothing is in doubt: one new attempt cannot make two copies.
        return replace(verdict, kind=VerdictKind.RETRY_SAME_LATER, wait=verdict.wait or _AFTER_DEATH.first)
    return verdict


def next_attempt(verdict: Verdict, attempt: int) -> timedelta | None:
    """How long to wait before the same message is posted again; None means never by itself.

    attempt: how often it was posted so far with such an answer, from 1.
    A stop is not the message's fault: it never gives up on the message, which may go once the hold is lifted
    (zero where no time is known; the hold then decides), and holds that return grow.
    """
    if attempt < 1:
        raise ValueError("attempts are counted from 1")
    calendar = _calendar_of(verdict)
    if calendar is None:
        return timedelta(0) if verdict.kind.is_stop else None
    if attempt > calendar.retries and not verdict.kind.is_stop:
        return None
    # why 16: far beyond every calendar's longest wait, and small enough for a timedelta.
    growth: int = calendar.factor ** min(attempt - 1, 16)
    return min(calendar.first * growth, calendar.longest)


_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_CALENDARS: Mapping[int, Calendar] = {
    # Meta, "Pair rate limits", read 2026-09: wait 4^X seconds, X from 0; the cap of 4^5 s (17 min) is ours.
    131056: Calendar(_SECOND, 4, 4**5 * _SECOND, retries=10),
    # The sender's rate is lowered at the same time, so a second is enough; more than that is the limiter's affair.
    130429: Calendar(_SECOND, 1, _SECOND, retries=50),
    # Meta, "Per-user marketing template limits", read 2026-09: not before 24 hours, and it may well repeat.
    131049: Calendar(_DAY, 2, 4 * _DAY, retries=3),
    # Meta, "Marketing Messages API", read 2026-09: a new template needs up to 10 minutes to sync.
    134101: Calendar(10 * _MINUTE, 1, 10 * _MINUTE, retries=3),
    131052: Calendar(5 * _MINUTE, 1, 5 * _MINUTE, retries=1),
    131053: Calendar(5 * _MINUTE, 4, 20 * _MINUTE, retries=2),
}
_AFTER_DEATH = Calendar(5 * _SECOND, 1, _HOUR, retries=1)


def _calendar_of(verdict: Verdict) -> Calendar | None:
    """A row's own calendar, or that of its kind; None where the message is never posted again by itself."""
    match verdict.kind:
        case VerdictKind.RETRY_SAME_LATER:
            own = _CALENDARS.get(verdict.code)
            first = verdict.wait or _AFTER_DEATH.first
            return own or _AFTER_DEATH._replace(first=first, longest=max(first, _AFTER_DEATH.longest))
        case VerdictKind.SLOW_DOWN_SENDER:
            own = _CALENDARS.get(verdict.code)
            return own or Calendar(verdict.wait or _MINUTE, 2, _HOUR, retries=20)
        case VerdictKind.STOP_SENDER | VerdictKind.STOP_TEMPLATE | VerdictKind.AUTH_STOP if verdict.wait:
            return Calendar(verdict.wait, 2, max(verdict.wait, _DAY), retries=0)
        case _:
            return None


def _read_details(verdict: Verdict, details: str, media_by_link: bool) -> Verdict:
    """The few codes that mean different things depending on what else is known."""
    text = details.casefold()
    match verdict.code:
        case 1 if "param" in text:
            return replace(verdict, kind=VerdictKind.FAIL_MESSAGE, reason="a parameter is not acceptable")
        case 100 if "does not exist" in text and "missing permission" in text:
            return replace(
                verdict,
                kind=VerdictKind.STOP_SENDER,
                scope=Scope.SENDER,
                lift=Lift.OPERATOR,
                reason="the token cannot see this phone number id",
            )
        case 131052 | 131053 if media_by_link:
            return replace(
                verdict,
                kind=VerdictKind.RETRY_SAME_LATER,
                wait=_CALENDARS[verdict.code].first,
                lift=Lift.TIME,
                reason="Meta could not fetch the media from its link",
            )
        case _:
            return verdict


def _verdict_on_unknown(code: int, by_webhook: bool, http_status: int | None, is_transient: bool) -> Verdict:
    """A code nobody has written down yet: the safe reading of the path it came by."""
    kind, scope, wait, lift = VerdictKind.AMBIGUOUS, Scope.MESSAGE, None, Lift.NOTHING
    reason = f"Meta answered with an unknown error ({code}); it may have been sent"
    if by_webhook:
        kind, reason = VerdictKind.FAIL_MESSAGE, f"Meta reported an unknown error ({code})"
    elif http_status == 429:
        kind, scope, wait, lift = VerdictKind.SLOW_DOWN_SENDER, Scope.SENDER, _SECOND, Lift.TIME
        reason = f"Meta asked to slow down ({code})"
    elif http_status is not None and 400 <= http_status < 500 and not is_transient:
        kind, reason = VerdictKind.FAIL_MESSAGE, f"Meta refused with an unknown error ({code})"
    return Verdict(
        code, kind, scope, wait, lift, reason, "not in Meta's list", date(2026, 9, 11), is_news=True
    )
