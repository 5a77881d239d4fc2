"""Deliveries to receivers of events: one request each, within a time limit, and what came of it.

Texts are ours alone, for people who look at a subscription: an answer may repeat what it was sent, and an address may hold
a secret, so neither is ever part of one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from dispatcher.channel.checked_network import CheckedTransport, Forbidden, Unknown, resolve
from dispatcher.domain.callback import CallbackAnswer, CallbackKind, Network, parse_target, refusal
from dispatcher.domain.delivery import Delivery
from dispatcher.domain.errors import BadValue
from dispatcher.ports import Clock

READ_MOST_BYTES = 64 * 1024
"""Of an answer, at which nobody looks; where more follows the connection is closed."""
_HINT = "docs/events.md tells where events may go"


class HttpCallbacks:
    """The port `Callbacks` by httpx. Receivers share a cap on connections, and nothing else."""

    def __init__(
        self, clock: Clock, allowed: Sequence[Network], *, timeout: timedelta, max_connections: int
    ) -> None:
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(allowed, max_connections=max_connections),
            # why none: one limit holds for all of it, and a receiver that drips cannot stretch it.
            timeout=httpx.Timeout(None),
            follow_redirects=False,
            trust_env=False,
            # why none: what one receiver would have us keep is nobody else's business, and might be much.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._clock = clock
        self._allowed = allowed
        self._timeout_s = timeout.total_seconds()

    async def close(self) -> None:
        """Give all connections up."""
        await self._client.aclose()

    async def check(self, url: str) -> None:
        """Whether events may go there at present. Raises BadValue that says why not."""
        target = parse_target(url)
        try:
            addresses = await resolve(target.host, target.port)
        except Unknown as error:
            raise BadValue(f"{error}; nothing was done", hint=_HINT) from None
        for address in addresses:
            why = refusal(address, target.host, self._allowed, is_encrypted=target.is_encrypted)
            if why is not None:
                raise BadValue(f"{why}; nothing was done", hint=_HINT)

    async def shake_hands(self, url: str, verify_token: str) -> None:
        """The handshake that Meta makes with a callback. Raises BadValue where it is not answered as Meta wants it.

        Source: Meta, "Create a webhook endpoint" (verification requests), read 2026-09.
        """
        challenge = str(secrets.randbelow(10**10))
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("GET", httpx.URL(url).copy_merge_params(asked)) as answer,
            ):
                said = await _read_some(answer)
        except (
            Forbidden, Unknown, TimeoutError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError,
            httpx.HTTPError,
        ):  # fmt: skip
            raise BadValue(
                "the callback did not answer the handshake; nothing was done", hint=_HINT
            ) from None
        if answer.status_code != 200 or said.strip() != challenge.encode():
            raise BadValue(
                f"the callback answered the handshake with {answer.status_code}, and not with its challenge; "
                "nothing was done",
                hint="does it know this verify_token, and answer GET with hub.challenge alone?",
            )

    async def post(self, url: str, delivery: Delivery) -> CallbackAnswer:
        """Deliver once, within the time limit; never raises for anything the receiver or the network does."""
        try:
            parse_target(url)  # as it was when it was ordered, by whichever version that was
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, delivery)
        except (Forbidden, BadValue) as error:
            return CallbackAnswer(CallbackKind.FORBIDDEN, str(error))
        except (Unknown, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return CallbackAnswer(CallbackKind.UNREACHABLE, f"it cannot be connected to: {error}"[:200])
        except TimeoutError:
            return CallbackAnswer(CallbackKind.LOST, f"no answer within {self._timeout_s:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, httpx.HTTPError):
            return CallbackAnswer(CallbackKind.LOST, "the connection broke before there was an answer")

    async def _post(self, url: str, delivery: Delivery) -> CallbackAnswer:
        async with self._client.stream(
            "POST", url, content=delivery.body, headers=dict(delivery.headers)
        ) as answer:
            status = answer.status_code
            if 200 <= status < 300:
                await _read_some(answer)
                return CallbackAnswer(CallbackKind.DELIVERED)
            kind = CallbackKind.GONE if status == 410 else CallbackKind.REFUSED
            text = f"it answered {status}" + (
                ", and redirects are not followed" if 300 <= status < 400 else ""
            )
            return CallbackAnswer(kind, text, self._retry_after(answer), is_defect=status >= 500)

    def _retry_after(self, answer: httpx.Response) -> timedelta | None:
        """What the receiver asks for, in seconds or as a date; None where it says nothing, or nothing sensible."""
        said = answer.headers.get("retry-after", "").strip()
        if said.isascii() and said.isdecimal():
            return timedelta(seconds=min(int(said[:9]), 10**8))
        try:
            return parsedate_to_datetime(said) - self._clock.now()
        except (TypeError, ValueError):  # no date, or one without its distance from UTC
            return None


async def _read_some(answer: httpx.Response) -> bytes:
    """Read a short answer to its end, so that the connection can be used again; a long one is left."""
    read = b""
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) > READ_MOST_BYTES:
            break
    return read
