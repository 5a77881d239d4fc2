"""Calls that create something: carried out once for each Idempotency-Key, whatever breaks and however often they come.

Effect, audit entry and answer commit together (`orders.py`), so a process that dies in the middle leaves nothing, and a
repetition either finds the first answer or carries the call out as the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from dispatcher.app import App
from dispatcher.domain.access import ApiKey
from dispatcher.domain.answer import Call, KeptAnswer
from dispatcher.orders import Orders

REPEATED = "Idempotent-Replayed"
"""The header of an answer that was given before."""


async def create_once(
    request: Request,
    house: App,
    caller: ApiKey,
    idempotency_key: str,
    work: Callable[[Orders], Awaitable[BaseModel]],
    *,
    body_digest: bytes | None = None,
) -> Response:
    """Carry out a call, or give the answer that it was given before. Raises what `work` raises, Busy and BadValue.

    body_digest: SHA-256 of the body, where it was read as a stream.
    """
    if body_digest is None:
        body_digest = hashlib.sha256(await request.body()).digest()
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body_digest
    call = Call(caller.id, idempotency_key, hashlib.sha256(asked).digest())

    async def made(orders: Orders) -> KeptAnswer:
        return KeptAnswer(201, (await work(orders)).model_dump_json().encode())

    return await answered_once(house, call, made)


async def answered_once(
    house: App, call: Call | None, work: Callable[[Orders], Awaitable[KeptAnswer]]
) -> Response:
    """The same of a call that is known already, and of one without a name (None), which is carried out each time."""
    async with house.altogether() as orders:
        answer = None
        if call is None:
            await orders.answers.be_patient()
        else:
            answer = await orders.answers.begin(call)
        is_repeated = answer is not None
        if answer is None:
            answer = await work(orders)
            if call is not None:
                await orders.answers.finish(call, answer)
    return Response(
        answer.body,
        answer.status,
        {**answer.headers, **({REPEATED: "true"} if is_repeated else {})},
        media_type="application/json",
    )
