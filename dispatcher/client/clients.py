"""The two clients: `Client` waits as threads do, `AsyncClient` as coroutines do.

What is asked is a `Call`; here is how it travels, when it is tried again, and how lists and streams are read on. A call is
tried again only where making it twice is as good as once, or where the API has said that nothing was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from dispatcher.client.calls import Call, Paged, Streamed
from dispatcher.client.errors import DispatchError, Refused, Unreachable

Answer = TypeVar("Answer")
Item = TypeVar("Item")

TRIES = 5
LONGEST_WAIT_S = 30.0
_PASSING = frozenset({502, 503, 504})
_TIMEOUT = httpx.Timeout(30.0, read=600.0)
"""Seconds; an answer about a million people takes some."""

_wait = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S)


class _Base:
    """What both clients know, and how they judge an answer."""

    def __init__(self, url: str, key: str, tries: int) -> None:
        self._url = f"{url.rstrip('/')}/v1"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tries = tries

    def _asked(self, call: Call[Any]) -> dict[str, Any]:
        """The arguments of an httpx request, without what is streamed."""
        asked: dict[str, Any] = {
            "method": call.method,
            "url": self._url + call.path,
            "params": dict(call.params),
            "headers": {**self._headers, **call.headers},
        }
        if call.content is not None:
            asked["headers"]["Content-Type"] = call.content.media_type
            asked["headers"]["Content-Length"] = str(call.content.size_bytes)
        elif call.body is not None:
            asked["json"] = call.body
        return asked

    def _retrying(self, call: Call[Any]) -> dict[str, Any]:
        """How a call is tried again, for either kind of tenacity."""
        return {
            "retry": retry_if_exception(lambda error: _is_worth_a_try(call, error)),
            "stop": stop_after_attempt(self._tries),
            "wait": _how_long,
            "reraise": True,
        }


class Client(_Base):
    """Makes calls, one after the other: `client.do(campaigns.start(12))`. Use it in a `with` block."""

    def __init__(self, url: str, key: str, *, tries: int = TRIES) -> None:
        """url: where the HTTP process is. key: as `dispatch keys create` wrote it. tries: of a call, at most."""
        super().__init__(url, key, tries)
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def do(self, call: Call[Answer]) -> Answer:
        """Make a call. Raises Refused, Unreachable."""
        with call.content or nullcontext():
            answer: Answer = Retrying(**self._retrying(call))(self._once, call)
            return answer

    def _once(self, call: Call[Answer]) -> Answer:
        content = call.content.pieces() if call.content is not None else None
        try:
            answer = self._http.request(**self._asked(call), content=content)
        except httpx.TransportError as error:
            raise _lost(error) from error
        return call.read(_judged(answer, answer.content))

    def each(self, listed: Paged[Item] | Streamed[Item]) -> Iterator[Item]:
        """Everything of a list, page by page, or of a stream, as it comes. Raises Refused, Unreachable."""
        if isinstance(listed, Streamed):
            yield from self._flowing(listed)
            return
        cursor: str | None = None
        while True:
            page = self.do(listed.page(cursor))
            yield from page["items"]
            if (cursor := page["next"]) is None:
                return

    def _flowing(self, streamed: Streamed[Item]) -> Iterator[Item]:
        try:
            with self._http.stream(**self._asked(streamed.call)) as answer:
                if not answer.is_success:
                    _judged(answer, answer.read())
                lines = _Lines()
                for piece in answer.iter_bytes():
                    yield from lines.items(piece, streamed)
        except httpx.TransportError as error:
            raise _lost(error) from error


class AsyncClient(_Base):
    """Makes calls, any number at a time: `await client.do(campaigns.start(12))`. Use it in an `async with` block."""

    def __init__(self, url: str, key: str, *, tries: int = TRIES) -> None:
        """url: where the HTTP process is. key: as `dispatch keys create` wrote it. tries: of a call, at most."""
        super().__init__(url, key, tries)
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def do(self, call: Call[Answer]) -> Answer:
        """Make a call. People that it brings are gone through in a thread. Raises Refused, Unreachable."""
        content = call.content
        if content is not None:
            await asyncio.to_thread(content.__enter__)
        try:
            answer: Answer = await AsyncRetrying(**self._retrying(call))(self._once, call)
            return answer
        finally:
            if content is not None:
                content.__exit__(None, None, None)

    async def _once(self, call: Call[Answer]) -> Answer:
        content = _slowly(call.content.pieces()) if call.content is not None else None
        try:
            answer = await self._http.request(**self._asked(call), content=content)
        except httpx.TransportError as error:
            raise _lost(error) from error
        return call.read(_judged(answer, answer.content))

    async def each(self, listed: Paged[Item] | Streamed[Item]) -> AsyncIterator[Item]:
        """Everything of a list, page by page, or of a stream, as it comes. Raises Refused, Unreachable."""
        if isinstance(listed, Streamed):
            async for item in self._flowing(listed):
                yield item
            return
        cursor: str | None = None
        while True:
            page = await self.do(listed.page(cursor))
            for item in page["items"]:
                yield item
            if (cursor := page["next"]) is None:
                return

    async def _flowing(self, streamed: Streamed[Item]) -> AsyncIterator[Item]:
        try:
            async with self._http.stream(**self._asked(streamed.call)) as answer:
                if not answer.is_success:
                    _judged(answer, await answer.aread())
                lines = _Lines()
                async for piece in answer.aiter_bytes():
                    for item in lines.items(piece, streamed):
                        yield item
        except httpx.TransportError as error:
            raise _lost(error) from error


class _Lines:
    """Lines of a stream. httpx would split at whatever Unicode calls a line's end, inside of texts too."""

    def __init__(self) -> None:
        self._rest = b""

    def items(self, piece: bytes, streamed: Streamed[Item]) -> Iterator[Item]:
        """What the lines tell that this piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if (item := streamed.read_line(line.decode())) is not None:
                yield item


async def _slowly(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _judged(answer: httpx.Response, body: bytes) -> bytes:
    if answer.is_success:
        return body
    raise Refused.of(answer.status_code, answer.headers, body)


def _lost(error: httpx.TransportError) -> DispatchError:
    return Unreachable(f"the dispatcher did not answer: {error or type(error).__name__}")


def _is_worth_a_try(call: Call[Any], error: BaseException) -> bool:
    match error:
        case Refused(status=429) | Refused(kind="busy"):
            return True  # it was not let in, or somebody else was at it: nothing was done
        case Refused(status=status):
            return call.is_repeatable and status in _PASSING
        case Unreachable():
            return call.is_repeatable
        case _:
            return False


def _how_long(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, Refused) and error.retry_after_s is not None:
        return min(error.retry_after_s, LONGEST_WAIT_S)
    return _wait(state)
