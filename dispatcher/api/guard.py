"""The door in front of every operation of the API: key, scope and rate first, then the body, within its limits.

What an operation needs stands beside it (`needs`), is part of the OpenAPI document, and is what is checked: an operation
that needs nothing cannot be written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import Message

from dispatcher.api.problems import MEDIA_TYPE, PROBLEM_REF, Refusal, denied
from dispatcher.app import App
from dispatcher.domain.access import ApiKey, Denied, Scope
from dispatcher.engine.access import actor_of
from dispatcher.ledger.audit import acting_as

BODY_MOST_BYTES = 8 * 2**20
"""Of a JSON body; streams of people have limits of their own."""
READ_WITHIN_S = 30.0
"""How long a JSON body may take to arrive."""
PREFIX = "/v1"
SECURITY = "key"
"""How the OpenAPI document calls it."""
_STREAMED = "x-streamed"


def needs(scope: Scope, *, is_streamed: bool = False, **extra: Any) -> dict[str, Any]:
    """What an operation is declared with: `@router.get("/campaigns", **needs(Scope.READ))`.

    is_streamed: the operation reads its body by itself. extra: more of the operation's OpenAPI object.
    """
    described = {
        "security": [{SECURITY: [str(scope)]}],
        **({_STREAMED: True} if is_streamed else {}),
        **extra,
    }
    return {"openapi_extra": described, "responses": _refusals(scope, is_streamed=is_streamed)}


def _refusals(scope: Scope, *, is_streamed: bool) -> dict[int | str, dict[str, Any]]:
    told = {
        400: "The request does not fit its schema.",
        401: "There is no key, or it opens nothing any more.",
        403: f"The key does not have the scope `{scope}`.",
        404: "There is no such thing.",
        409: "Its state does not allow this.",
        410: "It was dropped as old: the campaign's people are not kept any more.",
        412: "It was changed meanwhile; look again.",
        408: "The body came too slowly.",
        413: "The body is larger than we take.",
        **({415: "The body is none of the kinds that we take."} if is_streamed else {}),
        422: "It fits the schema, and cannot be all the same.",
        429: "The key is used faster than its rate allows.",
        503: "Something that is needed is away; nothing was done.",
    }
    return {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}}}
        for status, text in told.items()
    }


class Guarded(APIRoute):
    """An operation behind the door."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, once the call was let in."""
        handle = super().get_route_handler()
        described = self.openapi_extra or {}
        scope = Scope(described["security"][0][SECURITY][0])
        is_streamed = bool(described.get(_STREAMED))
        call = f"{min(self.methods or ())} {self.path_format}"

        async def guarded(request: Request) -> Response:
            house: App = request.app.state.house
            key = await house.access.admit(presented(request), scope, call)
            if isinstance(key, Denied):
                raise denied(key)
            request.state.key = key
            if not is_streamed:
                request = await _whole(request)
            with acting_as(actor_of(key)):
                return await handle(request)

        return guarded


def presented(request: Request) -> str | None:
    """The key that comes with a call; None without one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


async def _whole(request: Request) -> Request:
    """The same request with its body read, so that a slow or endless one ends here. Raises Refusal."""
    if (
        int(request.headers.get("content-length", "0")) > BODY_MOST_BYTES
    ):  # a number, as the server has proved
        raise too_large(BODY_MOST_BYTES)
    pieces: list[bytes] = []
    size_bytes = 0
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            async for piece in request.stream():
                pieces.append(piece)
                size_bytes += len(piece)
                if size_bytes > BODY_MOST_BYTES:
                    raise too_large(BODY_MOST_BYTES)
    except TimeoutError:
        raise Refusal(
            408,
            "too_slow",
            "The body came too slowly",
            f"the body did not arrive within {READ_WITHIN_S:g} s; nothing was done",
            headers={"Connection": "close"},
        ) from None
    read = {"type": "http.request", "body": b"".join(pieces), "more_body": False}
    later = request.receive

    async def receive() -> Message:
        nonlocal read
        message, read = read, {}
        return message or await later()

    return Request(request.scope, receive)


def too_large(most_bytes: int) -> Refusal:
    """For a body beyond what is taken. What is left of it is thrown away as it comes, so that the caller reads the answer."""
    return Refusal(
        413,
        "too_large",
        "The body is too large",
        f"the body is larger than {most_bytes:,} bytes; nothing was done",
    )


def _house(request: Request) -> App:
    house: App = request.app.state.house
    return house


def _key(request: Request) -> ApiKey:
    key: ApiKey = request.state.key
    return key


House = Annotated[App, Depends(_house)]
"""The open house."""
Caller = Annotated[ApiKey, Depends(_key)]
"""Whose call it is."""
