"""The audit log in the ledger: an order writes its entry in its own transaction.

Who acts is said once, at the door (`acting_as`); where nobody was named, as in workers, nothing is noted. The statements
are in `sql/audit.sql`.
Invariant: what is noted commits or vanishes with what it tells of. Secrets are never passed in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dispatcher.domain.audit import Actor, ActorKind, AuditEntry, AuditOutcome, Order
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("audit")

SHOWN = 100
"""So many people, messages or pieces are named in one entry; beyond that it tells their number."""

# why not an argument: every order of every book would carry it, and forget it once.
_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Orders in this block, in this task, are this actor's."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def acting() -> Actor | None:
    """Who acts; for statements that write the entry themselves. None: nobody was named, and nothing is noted."""
    return _acting.get()


async def note(
    connection: Connection,
    order: Order,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an order within its transaction. before, after: only what matters, ready for JSON."""
    actor = _acting.get()
    if actor is not None:
        await connection.execute(SQL["note"], actor.kind, actor.name, order, subject, before, after)


def some(items: Sequence[Any], total: int | None = None) -> Mapping[str, Any]:
    """How many there are, and the first of them."""
    return {"number": len(items) if total is None else total, "first": list(items[:SHOWN])}


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """`before` and `after` of a change: the fields that are not the same, of two tellings with the same names."""
    changed = [field for field in was if was[field] != now[field]]
    return {
        "before": {field: was[field] for field in changed},
        "after": {field: now[field] for field in changed},
    }


class LedgerAudit:
    """The port `AuditBook` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def refuse(self, actor: Actor, call: str, cause: str, times: int) -> None:
        """Calls that were not let in."""
        await self._db.execute(SQL["refuse"], actor.kind, actor.name, call, cause, times)

    async def page(self, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """The newest first; only those before this one."""
        return [_entry_of(row) for row in await self._db.fetch(SQL["page"], before, limit)]


def _entry_of(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        actor=Actor(ActorKind(row["actor_kind"]), row["actor"]),
        outcome=AuditOutcome(row["outcome"]),
        action=row["action"],
        subject=row["subject"],
        before=row["before"],
        after=row["after"],
        times=row["times"],
        last_at=row["last_at"],
    )
