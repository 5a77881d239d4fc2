"""The entry of the gateway: key and rate first, then the body within its limits; every error is one of Meta's.

Calls are admitted by the same keys, scopes and rates as those of `/v1`, and refused ones stand in the same audit log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dispatcher.api.gateway.errors import DEFECT, INVALID, NOT_VISIBLE, GatewayRefusal, denied, of_house
from dispatcher.api.guard import READ_WITHIN_S, presented
from dispatcher.app import App
from dispatcher.domain.access import ApiKey, Denied, Scope
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.sender import Sender
from dispatcher.engine.access import actor_of
from dispatcher.ledger.audit import acting_as

BODY_MOST_BYTES = 256 * 1024
"""Of a message; files come another way."""
SENDING = frozenset({Scope.MESSAGES_WRITE, Scope.REPLIES_WRITE})
"""Which of the two a message needs, its body tells."""
READING = frozenset({Scope.READ})

log = structlog.get_logger("gateway")

Handle = Callable[["Call"], Awaitable[Response]]


class Call:
    """One call that was let in."""

    def __init__(self, request: Request, house: App, key: ApiKey, name: str) -> None:
        self.request = request
        self.house = house
        self.key = key
        self._name = name

    async def must_open(self, scope: Scope) -> None:
        """Raises GatewayRefusal where the key does not open this."""
        if (refusal := await self.house.access.opens(self.key, scope, self._name)) is not None:
            raise denied(refusal)

    async def sender(self) -> Sender:
        """Whose number the address names. Raises GatewayRefusal."""
        number_id = self.request.path_params["number_id"]
        sender = await self.house.gateway.book.sender(number_id)
        if sender is None:
            raise GatewayRefusal(NOT_VISIBLE, f"no sender here has the phone number id {number_id}")
        return sender

    async def body(self) -> bytes:
        """The whole body. Raises GatewayRefusal where it is too large or too slow."""
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                async for piece in self.request.stream():
                    pieces.append(piece)
                    size_bytes += len(piece)
                    if size_bytes > BODY_MOST_BYTES:
                        raise GatewayRefusal(INVALID, f"the body is larger than {BODY_MOST_BYTES:,} bytes")
        except TimeoutError:
            raise GatewayRefusal(INVALID, "the body came too slowly; nothing was done") from None
        return b"".join(pieces)


def endpoint(scopes: frozenset[Scope], name: str, handle: Handle) -> Callable[[Request], Awaitable[Response]]:
    """An operation behind the entry; `name` stands in the audit log where a call is refused."""

    async def answer(request: Request) -> Response:
        house: App = request.app.state.house
        try:
            token = presented(request)
            key = await house.access.admit(token, scopes, name)
            if isinstance(key, Denied):
                return denied(key, is_bare=token is None).answer
            with acting_as(actor_of(key)):
                return await handle(Call(request, house, key, name))
        except GatewayRefusal as refusal:
            return refusal.answer
        except DispatcherError as error:
            known = of_house(error)
            return known.answer if known is not None else defect(error)
        except ClientDisconnect:
            return GatewayRefusal(
                INVALID, "the connection ended before the body did; nothing was done"
            ).answer
        except Exception as error:  # noqa: BLE001 - the edge of the process: clients read Meta's errors only
            return defect(error)

    return answer


def defect(error: Exception) -> Response:
    """Something went wrong that should not; it is in the log."""
    log.exception("a call of the gateway failed", exc_info=error)
    return GatewayRefusal(DEFECT, "a defect of the dispatcher; it is in the log of the HTTP process").answer


def json_of(body: bytes) -> Any:
    """Raises GatewayRefusal for what is no JSON, or holds what cannot be kept."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise GatewayRefusal(INVALID, "the body is no JSON") from None
    if b"\\u0000" in body and _has_nul(told):
        raise GatewayRefusal(INVALID, "a text of the body holds U+0000, which is no text")
    return told


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(_has_nul(item) for item in value)
        case dict():
            return any(_has_nul(item) for pair in value.items() for item in pair)
        case _:
            return False
