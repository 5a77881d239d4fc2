"""What the HTTP API's door needs: keys, how fast each is used, and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.access import ApiKey, KeyId, NewKey
from dispatcher.domain.audit import Actor, AuditEntry


class KeyBook(Protocol):
    """Keys in the ledger."""

    async def add(self, new: NewKey) -> ApiKey:
        """Store a key; what opens it is not stored."""
        ...

    async def find(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """The key of this prefix with the digest of its secret."""
        ...

    async def used(self, key: ApiKey) -> None:
        """Write down that it was used."""
        ...

    async def all(self) -> Sequence[ApiKey]:
        """The oldest first, revoked ones too."""
        ...

    async def revoke(self, key_id: KeyId) -> ApiKey:
        """From now on it opens nothing; a second time changes nothing. Raises NotFound."""
        ...


class KeyRates(Protocol):
    """How fast keys are used, over all processes."""

    async def take(self, key: ApiKey) -> timedelta | None:
        """Count one call. None: it may go on; otherwise when to come again. Raises LimitsUnavailable."""
        ...


class AuditBook(Protocol):
    """The audit log, as far as no order's transaction writes it."""

    async def refuse(self, actor: Actor, call: str, cause: str, times: int) -> None:
        """Calls that were not let in; those of one kind within an hour share an entry."""
        ...

    async def page(self, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """The newest first; only those before this one."""
        ...
