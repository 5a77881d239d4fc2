"""The way to Meta for messages: one post, tried again only while nothing was written.

Whatever Meta *answers* goes through the verdicts; only connections that failed before a byte was handed over are
repeated here, a few times within a second. Anything less certain is unsure.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from dispatcher.channel.answers import read_answer, read_mark
from dispatcher.channel.transport import AnswerLost, HttpAnswer, NotWritten, Transport
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import SenderId
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.sender import Sender

_CONNECTING = AsyncRetrying(
    retry=retry_if_exception_type(NotWritten),
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(multiplier=0.1, max=0.5),
    reraise=True,
)


class CloudChannel:
    """The port `Channel` on Meta's Cloud API.

    read_secret: from a sender's `token_ref` to its token; asked once per sender and process, and again after a change.
    """

    def __init__(
        self, transport: Transport, read_secret: Callable[[str], str], *, graph_url: str, graph_version: str
    ) -> None:
        self._transport = transport
        self._read_secret = read_secret
        self._base = f"{graph_url.rstrip('/')}/{graph_version}"
        self._targets: dict[tuple[SenderId, str], tuple[str, dict[str, str]]] = {}

    # why these two are no coroutines of their own: one more would be entered and left for each message.

    def post(self, sender: Sender, body: bytes) -> Coroutine[Any, Any, Posted]:
        """Post one message; `NOT_WRITTEN` also where our own configuration stands in the way."""
        return self._hand_over(sender, body, read_answer)

    def mark(self, sender: Sender, body: bytes) -> Coroutine[Any, Any, Posted]:
        """Post a mark, which is no message and is answered without a wamid. Repeating it does no harm."""
        return self._hand_over(sender, body, read_mark)

    async def _hand_over(self, sender: Sender, body: bytes, read: Callable[[HttpAnswer], Posted]) -> Posted:
        try:
            url, headers = self._target(sender)
        except BadValue as error:
            return Posted(PostedKind.NOT_WRITTEN, detail=str(error))
        try:
            answer = await self._transport.post(url, headers, body)
        except NotWritten:
            return await self._hand_over_again(url, headers, body, read)
        except AnswerLost as error:
            return Posted(PostedKind.UNSURE, detail=error.reason)
        return read(answer)

    async def _hand_over_again(
        self, url: str, headers: dict[str, str], body: bytes, read: Callable[[HttpAnswer], Posted]
    ) -> Posted:
        """Off the happy path, so that tenacity costs nothing there."""

        async def once() -> HttpAnswer:
            return await self._transport.post(url, headers, body)

        try:
            return read(await _CONNECTING.copy()(once))
        except NotWritten as error:
            return Posted(PostedKind.NOT_WRITTEN, detail=error.reason)
        except AnswerLost as error:
            return Posted(PostedKind.UNSURE, detail=error.reason)

    def _target(self, sender: Sender) -> tuple[str, dict[str, str]]:
        key = (sender.id, sender.token_ref)
        target = self._targets.get(key)
        if target is None:
            token = self._read_secret(sender.token_ref)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            target = self._targets[key] = (f"{self._base}/{sender.phone_number_id}/messages", headers)
        return target

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()
