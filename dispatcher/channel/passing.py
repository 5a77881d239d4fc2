"""Passes reads, uploads and downloads on to Meta for clients that have no token of Meta: the sender's own is put in.

Which sender's, and which reads, is decided by the caller; here an address is only ever built of the API's own host, one id
and one edge, and files are fetched from hosts of Meta alone. Answers are bounded and pages of lists lead back to us, since
Meta writes the token into them. Nothing is repeated: the client hears what Meta says.

Invariant: no token leaves this module but to Meta.
Source: Meta, "Media", "Message templates" and "Business phone numbers" (paging), read 2026-09.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
from asyncio_throttle import Throttler

from dispatcher.domain.errors import ChannelRefused, ChannelUnavailable
from dispatcher.domain.sender import Sender

CALLS_PER_S = 5
"""Reads of this process beside the house's own; an account's budget is 5,000 an hour."""
WAITING_MOST = 20
"""Reads that may wait for that; more are refused."""
ANSWER_MOST_BYTES = 8 * 2**20
ANSWER_WITHIN_S = 60.0
"""To an upload, once all of it is written: Meta looks into the file first."""
FILES_MOST_BYTES = 110_000_000
"""Documents may have 100 MB, and an upload has its frame around it. Source: Meta, "Media", read 2026-09."""
MEDIA_HOSTS = ("lookaside.fbsbx.com", ".whatsapp.net", ".fbcdn.net", ".facebook.com")
"""Where files of Meta are, beside the API's own host; those with a dot in front with all that end so."""
TOO_MANY_CALLS = 80007
_FILE_HEADERS = ("content-type", "content-length", "content-disposition")


class Passed(NamedTuple):
    """What Meta answered."""

    status: int
    body: bytes
    """JSON."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way to a client."""

    headers: Mapping[str, str]
    """Type, length and name, as far as Meta tells them."""
    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    """To be called at the end, however that comes."""


class GraphPassing:
    """Meta's API for clients that are known to us only."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        read_secret: Callable[[str], str],
        *,
        graph_url: str,
        graph_version: str,
    ) -> None:
        self._client = client
        self._read_secret = read_secret
        self._base = f"{graph_url.rstrip('/')}/{graph_version}"
        self._own_host = urlsplit(graph_url).netloc
        self._throttle = Throttler(rate_limit=CALLS_PER_S)
        self._waiting = 0

    async def read(self, sender: Sender, path: str, params: Mapping[str, str], back_to: str) -> Passed:
        """`GET` of one object or one list of it. back_to: our address of the same, for `paging.next` and `previous`.

        Raises ChannelUnavailable; ChannelRefused where too many reads wait already; BadValue for a token that is missing.
        """
        if self._waiting >= WAITING_MOST:
            raise ChannelRefused("too many reads wait for Meta already", code=TOO_MANY_CALLS)
        self._waiting += 1
        try:
            async with self._throttle:
                answer = await self._call("GET", sender, path, params=params)
        finally:
            self._waiting -= 1
        return Passed(answer.status_code, self._without_token(sender, answer.content, back_to))

    async def delete(self, sender: Sender, media_id: str) -> Passed:
        """`DELETE` of media. Raises as `read` does."""
        answer = await self._call("DELETE", sender, media_id)
        return Passed(answer.status_code, answer.content)

    async def upload(
        self, sender: Sender, content_type: str, length: str | None, pieces: AsyncIterator[bytes]
    ) -> Passed:
        """Media of a sender, as it comes: nothing of it is kept. Raises as `read` does."""
        headers = {"Content-Type": content_type, **({"Content-Length": length} if length is not None else {})}
        answer = await self._call(
            "POST",
            sender,
            f"{sender.phone_number_id}/media",
            content=pieces,
            headers=headers,
            timeout=ANSWER_WITHIN_S,
        )
        return Passed(answer.status_code, answer.content)

    async def file(self, sender: Sender, media_id: str) -> File | Passed:
        """Media as it comes from Meta, which the caller closes; or what Meta says instead. Raises as `read` does."""
        described = await self._call("GET", sender, media_id)
        url = _url_in(described)
        if url is None:
            return Passed(described.status_code, described.content)
        if not self._is_meta(url):
            raise ChannelUnavailable("Meta names a place for this file that is none of Meta's")
        # why identity: the file goes on as it comes, and its length with it.
        headers = {**self._headers(sender), "Accept-Encoding": "identity"}
        try:
            answer = await self._client.send(
                self._client.build_request("GET", url, headers=headers), stream=True
            )
        except httpx.TransportError as error:
            raise _away(self._base, error) from error
        if not answer.is_success:
            await answer.aclose()
            raise ChannelRefused(f"Meta does not give the file out: HTTP {answer.status_code}", code=None)
        told = {name: answer.headers[name] for name in _FILE_HEADERS if name in answer.headers}
        return File(told, _bounded(answer), answer.aclose)

    async def _call(self, method: str, sender: Sender, path: str, **how: Any) -> httpx.Response:
        headers = {**self._headers(sender), **how.pop("headers", {})}
        try:
            async with self._client.stream(method, f"{self._base}/{path}", headers=headers, **how) as answer:
                pieces = []
                size_bytes = 0
                async for piece in answer.aiter_bytes():
                    pieces.append(piece)
                    size_bytes += len(piece)
                    if size_bytes > ANSWER_MOST_BYTES:
                        raise ChannelUnavailable("Meta's answer is larger than we pass on")
        except httpx.TransportError as error:
            raise _away(self._base, error) from error
        return httpx.Response(answer.status_code, content=b"".join(pieces))

    def _headers(self, sender: Sender) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._read_secret(sender.token_ref)}"}

    def _without_token(self, sender: Sender, body: bytes, back_to: str) -> bytes:
        """The same answer, whose pages lead to us. Raises ChannelUnavailable where the token stands anywhere else."""
        if b'"paging"' in body:
            try:
                told = orjson.loads(body)
            except orjson.JSONDecodeError:
                raise ChannelUnavailable("Meta answered with something unreadable") from None
            _lead_back(told, back_to)
            body = orjson.dumps(told)
        if self._read_secret(sender.token_ref).encode() in body:
            raise ChannelUnavailable("Meta's answer holds the sender's token, so it is not passed on")
        return body

    def _is_meta(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.netloc == self._own_host:
            return True
        host = parts.hostname or ""
        known = any(host.endswith(each) if each.startswith(".") else host == each for each in MEDIA_HOSTS)
        return parts.scheme == "https" and known


def _lead_back(told: Any, back_to: str) -> None:
    paging = told.get("paging") if isinstance(told, dict) else None
    if not isinstance(paging, dict):
        return
    for name in ("next", "previous"):
        if isinstance(paging.get(name), str):
            asked = dict(parse_qsl(urlsplit(paging[name]).query))
            asked.pop("access_token", None)
            paging[name] = f"{back_to}?{httpx.QueryParams(asked)}"


def _url_in(answer: httpx.Response) -> str | None:
    if not answer.is_success:
        return None
    try:
        url = orjson.loads(answer.content).get("url")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return url if isinstance(url, str) else None


async def _bounded(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The pieces as they come, undone of nothing; cut off where they are more than any file of Meta."""
    left = FILES_MOST_BYTES
    async for piece in answer.aiter_raw():
        left -= len(piece)
        if left < 0:
            raise ChannelUnavailable("the file is larger than Meta's files are")
        yield piece


def _away(base: str, error: httpx.TransportError) -> ChannelUnavailable:
    return ChannelUnavailable(f"Meta cannot be reached at {base}: {error or type(error).__name__}")
