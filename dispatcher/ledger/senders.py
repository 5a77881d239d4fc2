"""Senders, templates and holds in the ledger.

A change of a sender pokes its lanes in the same transaction, so that a hold ends as soon as its cause does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from dispatcher.domain.audit import Order
from dispatcher.domain.errors import Conflict, NotFound, Outdated
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import LaneId, PoolKey, SenderId
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template, parse_template
from dispatcher.domain.turn import DueLane
from dispatcher.ledger.audit import differences, note, some
from dispatcher.ledger.database import Connection, Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import hold_of, sender_of

SQL = load("senders")


class LedgerSenders:
    """The port `Senders` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def add(self, sender: Sender) -> Sender:
        """Store a new sender; its id is given here. Raises Conflict for a name or number id that exists."""
        try:
            async with self._db.transaction() as connection:
                row = await connection.fetchrow(SQL["add_sender"], *_fields(sender))
                assert row is not None
                added = sender_of(row)
                await note(connection, Order.SENDER_ADDED, _subject(added), after=_told(added))
        except asyncpg.UniqueViolationError as error:
            taken = "name" if "name" in str(error.constraint_name) else "phone number id"
            raise Conflict(
                f"a sender with this {taken} exists already",
                hint="`dispatch senders list` shows it; `dispatch senders set` changes it",
            ) from error
        return added

    async def all(self) -> Sequence[Sender]:
        """Every sender, by name."""
        return [sender_of(row) for row in await self._db.fetch(SQL["all_senders"])]

    async def named(self, name: str) -> Sender:
        """The sender of this name. Raises NotFound."""
        return sender_of(_found(await self._db.fetchrow(SQL["sender_by_name"], name), name))

    async def change(
        self, name: str, changes: Mapping[str, Any], expected: Sender | None = None
    ) -> tuple[Sender, Sequence[DueLane]]:
        """Replace fields of a sender. Returns it with the lanes that have to look again. Raises NotFound, Outdated."""
        async with self._db.transaction() as connection:
            before = sender_of(_found(await connection.fetchrow(SQL["lock_sender"], name), name))
            if expected is not None and before != expected:
                raise Outdated(f"sender {name!r} was changed meanwhile; nothing was changed now")
            after = replace(before, **changes)
            row = await connection.fetchrow(SQL["change_sender"], after.id, *_changeable(after))
            assert row is not None
            changed = differences(_told(before), _told(after))
            await note(connection, Order.SENDER_CHANGED, _subject(after), **changed)
            return sender_of(row), await _poke(connection, [after.id])

    async def reseal(self, renew: Callable[[str], str]) -> Sequence[str]:
        """Replace each sealed token by what `renew` makes of it, all or none. Returns the senders' names."""
        async with self._db.transaction() as connection:
            senders = [sender_of(row) for row in await connection.fetch(SQL["lock_sealed"])]
            for sender in senders:
                after = replace(sender, token_ref=renew(sender.token_ref))
                await connection.execute(SQL["change_sender"], after.id, *_changeable(after))
            names = [sender.name for sender in senders]
            await note(connection, Order.TOKENS_RESEALED, "senders", after={"senders": some(names)})
        return names

    async def holds(self, sender: Sender) -> Sequence[Hold]:
        """Holds in force on the sender, its account, its portfolio and its account's templates."""
        rows = await self._db.fetch(SQL["holds_of_sender"], *_hold_keys(sender))
        return [hold_of(row) for row in rows]

    async def binding_holds(self, sender: Sender, template: str, language: str) -> Sequence[Hold]:
        """Holds in force on what sends this template from this sender."""
        keys = (*_hold_keys(sender), template_key(sender.waba_id, template, language))
        return [hold_of(row) for row in await self._db.fetch(SQL["binding_holds"], *keys)]

    async def standing(self) -> Sequence[tuple[Sender, Sequence[Hold]]]:
        """Every sender with the holds on it, its account and its portfolio."""
        async with self._db.transaction("repeatable_read") as connection:
            senders = [sender_of(row) for row in await connection.fetch(SQL["all_senders"])]
            held: dict[SenderId, list[Hold]] = {sender.id: [] for sender in senders}
            for row in await connection.fetch(SQL["held_senders"]):
                held[row["sender_id"]].append(hold_of(row))
        return [(sender, held[sender.id]) for sender in senders]

    async def lift_holds(self, sender: Sender) -> Sequence[DueLane]:
        """Forget these holds: an operator says that the cause is gone."""
        async with self._db.transaction() as connection:
            rows = await connection.fetch(SQL["lift_holds"], *_hold_keys(sender))
            was = {"holds": some([dict(row) for row in rows])}
            await note(connection, Order.HOLDS_LIFTED, _subject(sender), before=was)
            return await _poke(connection, [sender.id])

    async def put_templates(
        self, waba_id: str, templates: Sequence[tuple[Template, Mapping[str, Any]]]
    ) -> Sequence[DueLane]:
        """Replace all templates of an account by what it lists now, each with the body it answered."""
        async with self._db.transaction() as connection:
            await connection.executemany(
                SQL["put_template"],
                [(waba_id, t.name, t.language, t.status, t.category, dict(body)) for t, body in templates],
            )
            await connection.execute(
                SQL["forget_other_templates"],
                waba_id,
                [t.name for t, _ in templates],
                [t.language for t, _ in templates],
            )
            await connection.execute(SQL["lift_template_holds"], waba_id)
            await note(
                connection,
                Order.TEMPLATES_READ,
                f"account {waba_id}",
                after=some([f"{t.name} ({t.language})" for t, _ in templates]),
            )
            senders = await connection.fetch(SQL["senders_of_account"], waba_id)
            return await _poke(connection, [row["id"] for row in senders])

    async def templates(self) -> Sequence[tuple[str, Template, datetime]]:
        """Every known template: account, template, when it was read."""
        rows = await self._db.fetch(SQL["all_templates"])
        return [(row["waba_id"], parse_template(row["body"]), row["synced_at"]) for row in rows]

    async def template(self, waba_id: str, name: str, language: str) -> Template | None:
        """One template of an account."""
        body = await self._db.fetchval(SQL["template"], waba_id, name, language)
        return None if body is None else parse_template(body)


def template_key(waba_id: str, name: str, language: str) -> str:
    """How a template is named in `holds.key`."""
    return f"{waba_id}/{name}/{language}"


def pool_filter(pool: PoolKey) -> tuple[str | None, int | None]:
    """A pool's portfolio, or else the one sender it consists of."""
    kind, name = pool[0], pool[1:]
    return (name, None) if kind == "p" else (None, int(name))


async def _poke(connection: Connection, senders: Sequence[SenderId]) -> Sequence[DueLane]:
    rows = await connection.fetch(SQL["poke_lanes_of_senders"], senders)
    return [DueLane(LaneId(row["id"]), row["generation"]) for row in rows]


def _found(row: asyncpg.Record | None, name: str) -> asyncpg.Record:
    if row is None:
        raise NotFound(
            f"there is no sender {name!r}",
            hint="`dispatch senders list` names them; `dispatch senders add` makes one",
        )
    return row


def _changeable(sender: Sender) -> tuple[object, ...]:
    return (
        sender.phone,
        sender.waba_id,
        sender.portfolio_id,
        sender.status,
        sender.lifecycle,
        sender.quality,
        sender.tier.limit,
        sender.tier.label,
        sender.limit_scope,
        sender.rate.milli_per_s,
        sender.enabled,
        sender.token_ref,
    )


def _fields(sender: Sender) -> tuple[object, ...]:
    return (sender.name, sender.phone_number_id, *_changeable(sender), sender.origin)


def _hold_keys(sender: Sender) -> tuple[str, str, str | None]:
    return str(sender.id), sender.waba_id, sender.portfolio_id


def _subject(sender: Sender) -> str:
    return f"sender {sender.name}"


def _told(sender: Sender) -> Mapping[str, object]:
    """What the audit log tells of a sender; of its token only where it is."""
    return {
        "phone_number_id": sender.phone_number_id,
        "phone": sender.phone,
        "waba_id": sender.waba_id,
        "portfolio_id": sender.portfolio_id,
        "status": sender.status,
        "lifecycle": sender.lifecycle,
        "quality": sender.quality,
        "tier": str(sender.tier),
        "limit_scope": sender.limit_scope,
        "rate": str(sender.rate),
        "enabled": sender.enabled,
        "token": sender.token_place,
    }
