"""A message and the states it can be in.

A message is one row of the ledger: one content to one person. What Meta reports later about it
(sent, delivered, read, failed) is a receipt, kept apart: receipts come late, twice and out of order.

`ClaimedMessage` and `Outcome` are tuples, for there is one of each per message, and to make a frozen dataclass takes three
times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import MessageId, PersonKey


class MessageState(StrEnum):
    """Where a message stands with us."""

    PENDING = "pending"
    """In the ledger, free to be claimed once its `not_before` has come."""
    CLAIMED = "claimed"
    """Leased to one turn, whose lane's lease runs out if the worker dies; then it is reaped."""
    ACCEPTED = "accepted"
    """Meta has it: it answered with a wamid, or reported on it. Final, unless a failure that is worth another attempt is reported."""
    REFUSED = "refused"
    """It will not be sent: Meta refused it for good, we found that Meta would, or it was unsure and is given up."""
    UNSURE = "unsure"
    """It may have been handed over, but the answer was lost. Never resent silently; a receipt or the policy decides."""
    SUPPRESSED = "suppressed"
    """The person is on the suppression list; it was never posted."""
    CANCELLED = "cancelled"
    """The campaign was cancelled before the message was posted."""
    EXPIRED = "expired"
    """The campaign's deadline passed before the message was posted."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the message by itself; only news from Meta can change it."""
        return self not in (MessageState.PENDING, MessageState.CLAIMED, MessageState.UNSURE)


_S = MessageState

MOVES: Mapping[MessageState, frozenset[MessageState]] = {
    # why accepted: an earlier attempt has arrived after all, before the next one was made.
    _S.PENDING: frozenset({_S.CLAIMED, _S.SUPPRESSED, _S.CANCELLED, _S.EXPIRED, _S.ACCEPTED}),
    _S.CLAIMED: frozenset({_S.ACCEPTED, _S.REFUSED, _S.UNSURE, _S.PENDING}),
    # why pending: by the campaign's policy `resend`, or because an operator releases it.
    _S.UNSURE: frozenset({_S.ACCEPTED, _S.REFUSED, _S.PENDING}),
    # why pending: Meta reports that it could not deliver it, and that another attempt may do.
    _S.ACCEPTED: frozenset({_S.PENDING}),
    # why accepted: it was given up as unsure, and a report says that it has arrived.
    _S.REFUSED: frozenset({_S.ACCEPTED}),
    _S.SUPPRESSED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""Which state may follow which. The ledger's SQL repeats each of these guards."""


GIVEN_UP = "unsure_given_up"
"""Why an unsure message counts as refused: no answer, no report within the grace, and the policy `give_up`."""


class ClaimedMessage(NamedTuple):
    """A message as a turn holds it: who, what, and which attempt this is (1 is the first)."""

    id: MessageId
    person: str
    """E.164 with the plus sign."""
    key: PersonKey
    values: Sequence[str]
    """The person's values, in the order of the campaign's columns."""
    attempt: int
    in_window: bool = False
    """Whether the person has an open service window with the sender: then it costs no reach."""


class Outcome(NamedTuple):
    """What became of a claimed message; made by one of the named moves below, never by hand."""

    message_id: MessageId
    state: MessageState
    wamid: str | None = None
    code: int | None = None
    reason: str | None = None
    detail: str | None = None
    not_before: datetime | None = None
    posted: bool = False
    """Whether a request was made. A message that goes back unposted has not used up its attempt."""


def accepted(message_id: MessageId, wamid: str, *, status: str | None = None) -> Outcome:
    """Meta took it. `status` is Meta's `message_status` where it is not plain "accepted"."""
    return Outcome(message_id, MessageState.ACCEPTED, wamid=wamid, detail=status, posted=True)


def refused(message_id: MessageId, reason: str, *, code: int | None, detail: str, posted: bool) -> Outcome:
    """It will never be sent; `code` is Meta's, or None when we refused it before posting."""
    return Outcome(message_id, MessageState.REFUSED, code=code, reason=reason, detail=detail, posted=posted)


def unsure(message_id: MessageId, reason: str, *, code: int | None = None, detail: str = "") -> Outcome:
    """Posted, perhaps taken; nobody can say yet."""
    return Outcome(message_id, MessageState.UNSURE, code=code, reason=reason, detail=detail, posted=True)


def given_back(
    message_id: MessageId,
    *,
    reason: HoldReason | None = None,
    not_before: datetime | None = None,
) -> Outcome:
    """Certainly not posted: free to be claimed again, at once or from `not_before` on."""
    return Outcome(message_id, MessageState.PENDING, reason=reason, not_before=not_before)


def again_later(
    message_id: MessageId, not_before: datetime | None, *, reason: HoldReason, code: int, detail: str
) -> Outcome:
    """Posted and certainly not taken: another attempt follows, not before the given time.

    None where the lane, not the message, has to wait.
    """
    return Outcome(
        message_id,
        MessageState.PENDING,
        code=code,
        reason=reason,
        detail=detail,
        not_before=not_before,
        posted=True,
    )
