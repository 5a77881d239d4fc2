"""Calls that create something, each with its answer, in the transaction that carries it out.

So a process that dies leaves either the effect with its answer, or neither. The statements are in `sql/answers.sql`.
"""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from dispatcher.domain.answer import KEPT, Call, KeptAnswer
from dispatcher.domain.errors import BadValue, Busy
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load

SQL = load("answers")

PATIENCE = timedelta(seconds=10)
"""How long a call waits for another one: under the same name, or that adds to the same campaign."""


class LedgerAnswers:
    """Kept answers, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def be_patient(self) -> None:
        """For the whole transaction: whatever it waits for, the caller will not wait for ever."""
        await self._db.execute(SQL["wait_at_most"], str(int(PATIENCE.total_seconds() * 1000)))

    async def begin(self, call: Call) -> KeptAnswer | None:
        """None: nobody has asked this before, and nobody else carries it out now. Otherwise what it was answered.

        Raises Busy where it is still being carried out, BadValue where something else was asked under this name.
        """
        await self.be_patient()
        try:
            is_new = await self._db.fetchval(
                SQL["begin"], call.key_id, call.idempotency_key, call.fingerprint
            )
        except asyncpg.LockNotAvailableError:
            raise Busy(
                f"the call with the Idempotency-Key {call.idempotency_key!r} is still being carried out",
                hint="come again in some seconds; you will get its answer",
            ) from None
        if is_new:
            await self._db.execute(SQL["forget_old"], KEPT)
            return None
        row = await self._db.fetchrow(SQL["find"], call.key_id, call.idempotency_key)
        if row is None:  # it was forgotten at this very moment
            return await self.begin(call)
        if row["fingerprint"] != call.fingerprint:
            raise BadValue(
                f"the Idempotency-Key {call.idempotency_key!r} was used for something else; nothing was changed",
                hint="a new call needs a new key; a repetition must be the same, byte for byte",
            )
        return KeptAnswer(row["status"], row["body"], row["headers"])

    async def finish(self, call: Call, answer: KeptAnswer) -> None:
        """Keep the answer; it commits with what it tells of."""
        await self._db.execute(
            SQL["finish"],
            call.key_id,
            call.idempotency_key,
            answer.status,
            dict(answer.headers),
            answer.body,
        )
