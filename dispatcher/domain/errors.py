"""Everything the house raises on purpose.

DispatcherError
├── BadValue            what somebody asked for cannot be; nothing was changed
├── NotFound            a name or an id that the ledger does not know
│   └── Archived        it was there, and was dropped as old
├── Conflict            it exists, but its state does not allow this
│   ├── Outdated        it is not any more what the caller saw; look again
│   └── Busy            somebody else is at it just now; come again
├── LimitsUnavailable   Redis did not answer, or its memory was lost; nothing was granted
│   └── EpochLost       the pool must be rebuilt from the ledger before anything is granted
├── LedgerUnavailable   PostgreSQL did not answer
├── ChannelUnavailable  Meta could not be reached
├── ChannelRefused      Meta answered a management call with an error
├── LeaseLost           another turn owns the lane; this one must stop
└── NotSettled          a turn cannot be closed, for the ledger says that it has messages left

Refusals that belong to ordinary work (a bad number, an answer of Meta, an empty bucket) are values, not errors.
"""

from __future__ import annotations

from collections.abc import Sequence


class DispatcherError(Exception):
    """The root. Its text says what happened; `hint` says what one can do."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class BadValue(DispatcherError, ValueError):
    """Input that cannot be accepted. `problems` lists every fault found, one line each."""

    def __init__(self, message: str, *, hint: str | None = None, problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class NotFound(DispatcherError):
    """No such sender, template, campaign or message."""


class Archived(NotFound):
    """The campaign is there with its counts and its report; its people are not any more."""


class Conflict(DispatcherError):
    """The thing exists, but not in a state that allows what was asked."""


class Outdated(Conflict):
    """The thing was changed by somebody else since the caller looked at it."""


class Busy(Conflict):
    """Somebody else is changing the thing just now. Nothing was done, and coming again helps."""


class LimitsUnavailable(DispatcherError):
    """The limits could not be asked. Fail closed: nothing was granted to the caller.

    Where only the answer was lost, tokens may have been spent, on nobody; they come back in their own time.
    """


class EpochLost(LimitsUnavailable):
    """The pool's memory is not the one this turn began with: rebuild it, then begin a new turn."""


class LedgerUnavailable(DispatcherError):
    """PostgreSQL could not be reached in time."""


class ChannelUnavailable(DispatcherError):
    """Meta's management API could not be reached, also after some tries."""


class ChannelRefused(DispatcherError):
    """Meta's management API refused; `code` is Meta's."""

    def __init__(self, message: str, *, code: int | None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class LeaseLost(DispatcherError):
    """The turn's lease is gone: whatever was not posted belongs to somebody else now."""


class NotSettled(DispatcherError):
    """A turn that has messages claimed cannot be closed: nobody would know whether these were handed over."""
