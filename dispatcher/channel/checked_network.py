"""Connections into networks that were looked at: the only way out for requests whose address a stranger has chosen.

Which addresses a name stands for is asked when a connection is made, and the connection is made to an address that was
found good: between a check and a connection nobody can have the name point elsewhere. Where one of the addresses of a
name is forbidden, none is used. Proxies are not asked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from ipaddress import ip_address

import httpcore
import httpx

from dispatcher.domain.callback import Address, Network, refusal

RESOLVE_WITHIN_S = 5.0
"""How long a name may take to be resolved."""
KEPT_S = 20.0
"""How long a connection is kept that nobody uses."""


class Forbidden(Exception):
    """Nothing may be sent there. The text says why, and names the host and nothing else of the address."""


class Unknown(Exception):
    """The name stands for no address, or nobody has answered in time."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """A transport of httpx over checked connections. Raises `Forbidden`, `Unknown` and what httpcore raises."""

    def __init__(self, allowed: Sequence[Network], *, max_connections: int) -> None:
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=httpx.create_ssl_context(trust_env=False) if is_encrypted else None,
                max_connections=max_connections,
                keepalive_expiry=KEPT_S,
                network_backend=_CheckedNetwork(allowed, is_encrypted=is_encrypted),
            )
            for scheme, is_encrypted in (("https", True), ("http", False))
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        answer = await self._pools[request.url.scheme].handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(answer))

    async def aclose(self) -> None:
        """Give all connections up."""
        for pool in self._pools.values():
            await pool.aclose()


class _Stream(httpx.AsyncByteStream):
    """The body of an answer, as httpx wants it."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_stream():
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to what a name stands for, once all of it was found good."""

    def __init__(self, allowed: Sequence[Network], *, is_encrypted: bool) -> None:
        self._allowed = allowed
        self._is_encrypted = is_encrypted
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """To the first address that takes it. Raises Forbidden, Unknown, and what httpcore raises."""
        addresses = await resolve(host, port)
        for address in addresses:
            if (why := refusal(address, host, self._allowed, is_encrypted=self._is_encrypted)) is not None:
                raise Forbidden(why)
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not left:
                    raise
        raise Unknown(f"{host} stands for no address")

    async def sleep(self, seconds: float) -> None:
        """For a pool that tries again, which ours do not."""
        await asyncio.sleep(seconds)


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses that a name stands for just now, in the order in which they are to be tried. Raises Unknown."""
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise Unknown(f"{host} stands for no address that could be found") from error
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))
