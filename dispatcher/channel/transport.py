"""The seam of one method under the hot ``POST``, with two implementations.

A transport hands one request to the network and says in which of three ways that ended: an answer, ``NotWritten``
(certainly not handed over, may be posted again), ``AnswerLost`` (may have been handed over: whoever posts again may
send twice). What an answer *means* and whether something is tried again is left to the channel's client.

Invariant: a transport never repeats a request, follows no redirect, and calls a failure ``NotWritten`` only where the
library proves that no connection was ready for it; every doubt is ``AnswerLost``. Each implementation has one function
that decides this; ``tests/channel/test_transport_faults.py`` holds them to it, fault by fault, at socket level.

Both speak HTTP/1.1, keep no cookies, ignore proxies from the environment and return the body as it came over the wire
(no compression is asked for, none is undone).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol, assert_never

import httpx
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PoolTimeoutError, RequestError
from pyreqwest.http import Url

_USER_AGENT = "whatsapp-dispatcher"


class HttpAnswer(NamedTuple):
    """What came back: the HTTP status, and the body as bytes. A tuple, for there is one per message."""

    status: int
    body: bytes


class NotWritten(Exception):
    """Certainly not handed over: nothing of the request was written. ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AnswerLost(Exception):
    """The request may have been written; what became of it is unknown. ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Transport(Protocol):
    """Posts bytes and returns the answer; safe for many tasks of one event loop at once."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Hand over one request and wait for the whole answer, whatever its status.

        url: absolute. headers: complete but for ``Host``, ``Content-Length`` and ``User-Agent``.
        Raises NotWritten or AnswerLost, and ValueError when url or headers can never be sent.
        A cancelled task leaves the same doubt as AnswerLost, for as long as ``timeout``.
        """
        ...

    async def close(self) -> None:
        """Close all connections; posts under way end as AnswerLost."""
        ...


def open_transport(
    kind: Literal["pyreqwest", "httpx"],
    *,
    timeout: timedelta,
    connect_timeout: timedelta,
    max_connections: int,
    idle_timeout: timedelta,
) -> Transport:
    """Open a transport; ``close()`` it when done.

    timeout: for one post, from connecting to the last byte of the answer.
    connect_timeout: for name, TCP and TLS, and before that for a free connection. Shorter than ``timeout``, or else a
    failure to connect could not be told from a lost answer: ValueError.
    max_connections: posts under way at once; more wait.
    idle_timeout: an unused connection is dropped after this. Well below the server's own: a request written into a
    connection that the far side is just closing is lost.
    """
    if connect_timeout >= timeout:
        raise ValueError(f"connect_timeout ({connect_timeout}) must be shorter than timeout ({timeout})")
    match kind:
        case "pyreqwest":
            return PyreqwestTransport(timeout, connect_timeout, max_connections, idle_timeout)
        case "httpx":
            return HttpxTransport(timeout, connect_timeout, max_connections, idle_timeout)
        case _:
            assert_never(kind)


class PyreqwestTransport:
    """The default: reqwest and hyper, in Rust.

    Cancelling the awaiting task ends the waiting, not the request: pyreqwest (0.15.1, tried here) lets it run on in its
    own thread, so it may even be *written* after the cancellation, and keeps its connection until the answer or
    ``timeout``. Whoever cancels must leave the message in doubt for that long; better let posts under way finish.
    """

    def __init__(
        self, timeout: timedelta, connect_timeout: timedelta, max_connections: int, idle_timeout: timedelta
    ) -> None:
        self._client = (
            ClientBuilder()
            .http1_only()
            .user_agent(_USER_AGENT)
            .timeout(timeout)
            .connect_timeout(connect_timeout)
            .max_connections(max_connections)
            .pool_timeout(connect_timeout)
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(max_connections)
            .follow_redirects(False)
            .referer(False)
            .default_cookie_store(False)
            .no_proxy()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .error_for_status(False)
            .build()
        )
        # why: each sender has one, and to read it anew for every post took a tenth of the bare client's time.
        self._url = lru_cache(maxsize=4096)(Url)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        try:
            response = (
                await self._client.post(self._url(url)).headers(headers).body_bytes(body).build().send()
            )
            return HttpAnswer(response.status, bytes(await response.bytes()))
        except RequestError as error:
            raise _of_pyreqwest(error) from error

    async def close(self) -> None:
        await self._client.close()


def _of_pyreqwest(error: RequestError) -> NotWritten | AnswerLost:
    """The class of the exception does not tell: a reset *after* the body is a ``ConnectError``, too.

    Only hyper's own word in the chain of causes does (pyreqwest 0.15.1, checked by the tests named above).
    A ``PoolTimeoutError`` is raised before hyper sees the request.
    """
    causes = [cause["message"] for cause in error.details["causes"] or ()]
    reason = ": ".join([error.message, *causes])
    if "client error (Connect)" in causes or isinstance(error, PoolTimeoutError):
        return NotWritten(reason)
    return AnswerLost(reason)


class HttpxTransport:
    """The fallback, pure Python. It uses httpx's transport without its client, which would add cookies and headers.

    One httpx transport per connection, the most recently used first: httpx's own pool looks at every connection on
    every post, so its cost grows with the square of those in use.
    """

    def __init__(
        self, timeout: timedelta, connect_timeout: timedelta, max_connections: int, idle_timeout: timedelta
    ) -> None:
        self._timeout_s = timeout.total_seconds()
        self._connect_s = connect_timeout.total_seconds()
        # why: reading and writing are bounded by the total alone, which httpx does not know
        self._extensions = {"timeout": {"connect": self._connect_s, "read": None, "write": None}}
        tls = httpx.create_ssl_context(trust_env=False)
        limits = httpx.Limits(max_connections=1, keepalive_expiry=idle_timeout.total_seconds())
        self._connections = [
            httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits)
            for _ in range(max_connections)
        ]
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        for connection in self._connections:
            self._free.put_nowait(connection)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        if any(breaker in value for value in headers.values() for breaker in "\r\n\0"):
            # why here: httpx would tell only after connecting, in words that leave a doubt
            raise ValueError("a header's value contains a line break")
        try:
            request = httpx.Request(
                "POST",
                url,
                headers={"User-Agent": _USER_AGENT, **headers},
                content=body,
                extensions=self._extensions,
            )
        except httpx.InvalidURL as error:
            raise ValueError(f"cannot post to {url!r}: {error}") from error
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._free.get()
        except TimeoutError as error:
            raise NotWritten(f"no connection became free within {self._connect_s} s") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await connection.handle_async_request(request)
                try:
                    return HttpAnswer(
                        response.status_code, b"".join([part async for part in response.aiter_raw()])
                    )
                finally:
                    await response.aclose()
        except httpx.UnsupportedProtocol as error:
            raise ValueError(f"cannot post to {url!r}: {error}") from error
        except (httpx.TransportError, TimeoutError) as error:
            raise _of_httpx(error) from error
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        for connection in self._connections:
            await connection.aclose()


def _of_httpx(error: httpx.TransportError | TimeoutError) -> NotWritten | AnswerLost:
    """Here the class tells, but only these: they are raised before the request's first byte."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return NotWritten(reason)
    return AnswerLost(reason)
