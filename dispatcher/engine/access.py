"""The door of the HTTP API: whose call it is, and whether it may go on.

A refusal is a value, and leaves an entry in the audit log. Entries are bounded twice: in the ledger, where calls of one
kind within an hour share one, and here, where a kind is written at most once a second, however often it comes.
"""

from __future__ import annotations

import asyncio
import secrets
import string
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeAlias

from dispatcher.domain import access
from dispatcher.domain.access import DEFAULT_RATE, ApiKey, Denial, Denied, KeyId, NewKey, Scope
from dispatcher.domain.audit import NOBODY, Actor, ActorKind, AuditEntry
from dispatcher.domain.errors import BadValue, Conflict, LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.rate import Rate
from dispatcher.ports import AuditBook, Clock, KeyBook, KeyRates

WRITE_EVERY_S = 1.0
USED_EVERY = timedelta(minutes=1)
NAME_MOST_CHARS = 100
_ALPHABET = string.ascii_lowercase + string.digits

_Kind: TypeAlias = tuple[Actor, str, Denial]


class Access:
    """The engine's door for everything about keys."""

    def __init__(self, book: KeyBook, rates: KeyRates, audit: AuditBook, clock: Clock) -> None:
        self._book = book
        self._rates = rates
        self._audit = audit
        self._clock = clock
        self._refusals = _Refusals(audit)

    async def admit(
        self, presented: str | None, scope: Scope | frozenset[Scope], call: str
    ) -> ApiKey | Denied:
        """The key that was presented, if it opens this; `call` names it in the audit log: "POST /v1/campaigns".

        scope: of several, one is enough; where the body tells which, `opens` looks again.
        Raises LedgerUnavailable. While Redis is away the rate of keys is not looked at: nothing of Meta's depends on it.
        """
        decision = await self._decide(presented, {scope} if isinstance(scope, Scope) else scope)
        if isinstance(decision, Denied):
            actor = NOBODY if decision.key is None else actor_of(decision.key)
            await self._refusals.write((actor, call, decision.why))
        return decision

    async def opens(self, key: ApiKey, scope: Scope, call: str) -> Denied | None:
        """Whether a key that was let in opens this, too. A refusal is in the audit log. Raises LedgerUnavailable."""
        if scope in key.scopes:
            return None
        await self._refusals.write((actor_of(key), call, Denial.MISSING_SCOPE))
        return Denied(Denial.MISSING_SCOPE, key)

    async def _decide(self, presented: str | None, scopes: Collection[Scope]) -> ApiKey | Denied:
        parts = access.read(presented) if presented is not None else None
        if parts is None:
            return Denied(Denial.NO_KEY, None)
        prefix, secret = parts
        key, kept = await self._book.find(prefix) or (None, None)
        # why before anything else: whoever does not know the secret learns nothing about the key.
        if not access.is_right(secret, kept) or key is None:
            return Denied(Denial.UNKNOWN_KEY, None)
        now = self._clock.now()
        if (why := key.unusable(now)) is not None:
            return Denied(why, key)
        if (wait := await self._wait(key)) is not None:
            return Denied(Denial.TOO_MANY_CALLS, key, wait)
        if key.scopes.isdisjoint(scopes):
            return Denied(Denial.MISSING_SCOPE, key)
        if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
            await self._book.used(key)
        return key

    async def _wait(self, key: ApiKey) -> timedelta | None:
        try:
            return await self._rates.take(key)
        except LimitsUnavailable:
            return None

    async def create(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        rate: Rate = DEFAULT_RATE,
        expires_at: datetime | None = None,
        giver: ApiKey | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and the one time that it is written out. Raises BadValue.

        giver: the key that creates it, which cannot give what it has not got; None for an operator's command.
        """
        if not name.strip() or len(name) > NAME_MOST_CHARS:
            raise BadValue(f"a key needs a name of at most {NAME_MOST_CHARS} characters; nothing was created")
        if not scopes:
            raise BadValue("a key without scopes opens nothing; nothing was created")
        if expires_at is not None and expires_at <= self._clock.now():
            raise BadValue("the key would have expired already; nothing was created")
        if giver is not None and (missing := sorted(set(scopes) - giver.scopes)):
            raise BadValue(
                f"a key cannot give what it has not got: {', '.join(missing)}; nothing was created"
            )
        prefix = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        secret = secrets.token_urlsafe(32)
        key = await self._book.add(
            NewKey(name.strip(), prefix, access.digest(secret), scopes, rate, expires_at)
        )
        return key, access.written(prefix, secret)

    async def all(self) -> Sequence[ApiKey]:
        """The oldest first, revoked ones too."""
        return await self._book.all()

    async def revoke(self, key_id: KeyId, *, by: ApiKey | None = None) -> ApiKey:
        """From now on it opens nothing, in all processes. Raises NotFound.

        by: the key that revokes it, which must be another one, so that nobody locks himself out; None for a command.
        """
        if by is not None and by.id == key_id:
            raise Conflict(
                "a key does not revoke itself; nothing was done",
                hint="use another key, or `dispatch keys revoke`",
            )
        return await self._book.revoke(key_id)

    async def audit(self, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """The audit log, the newest entries first; only those before this one."""
        return await self._audit.page(before, limit)


def actor_of(key: ApiKey) -> Actor:
    """Who acts with this key."""
    return Actor(ActorKind.KEY, f"{key.prefix} {key.name}")


class _Refusals:
    """Refused calls on their way into the log: the first of a kind at once, then at most once a second."""

    def __init__(self, audit: AuditBook) -> None:
        self._audit = audit
        self._waiting: Counter[_Kind] = Counter()
        self._later: dict[_Kind, asyncio.Task[None]] = {}

    async def write(self, kind: _Kind) -> None:
        """One more of this kind."""
        self._waiting[kind] += 1
        if kind not in self._later:
            # why before the first one is written: whoever comes meanwhile is counted, and does not write as well.
            self._later[kind] = asyncio.create_task(self._write_later(kind))
            await self._write(kind)

    async def _write_later(self, kind: _Kind) -> None:
        await asyncio.sleep(WRITE_EVERY_S)
        del self._later[kind]
        if kind in self._waiting:
            with suppress(LedgerUnavailable):  # nobody waits for this one
                await self._write(kind)

    async def _write(self, kind: _Kind) -> None:
        actor, call, why = kind
        await self._audit.refuse(actor, call, why, self._waiting.pop(kind))
