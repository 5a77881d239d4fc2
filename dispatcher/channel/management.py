"""Meta's management API, as far as it is used: templates of an account.

Slow by design: asyncio-throttle keeps this process far below Graph's hourly budgets, tenacity repeats what only reads.
Source: Meta, "Message templates" (WhatsApp Business Management API), read 2026-09.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from asyncio_throttle import Throttler
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from dispatcher.domain.errors import ChannelRefused, ChannelUnavailable
from dispatcher.domain.sender import Sender

CALLS_PER_S = 5
"""This process's own cap; an account's budget is 5,000 calls an hour, or 200 while it has no registered number."""
PAGE = 100
MOST_PAGES = 100
"""An account holds at most 6,000 templates."""
_FIELDS = "id,name,language,status,category,parameter_format,components,quality_score"
_BAD_CURSOR = 131059


class GraphManagement:
    """The port `Management` by httpx."""

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
        self._throttle = Throttler(rate_limit=CALLS_PER_S)

    async def templates(self, sender: Sender) -> Sequence[Mapping[str, Any]]:
        """All templates of the sender's account, page by page. Raises ChannelRefused, ChannelUnavailable, BadValue."""
        templates: list[Mapping[str, Any]] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._get(sender, f"{sender.waba_id}/message_templates", _page(after))
            templates.extend(page.get("data", []))
            paging = page.get("paging", {})
            after = paging.get("cursors", {}).get("after")
            # why not the cursor: Meta gives one on the last page too.
            if "next" not in paging or not after:
                return templates
        raise ChannelRefused(f"the account lists more than {MOST_PAGES * PAGE} templates", code=None)

    async def _get(self, sender: Sender, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._read_secret(sender.token_ref)}"}
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_attempt(4),
            wait=wait_random_exponential(multiplier=0.2, max=3),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    async with self._throttle:
                        answer = await self._client.get(
                            f"{self._base}/{path}", params=params, headers=headers
                        )
                    if answer.is_server_error:
                        answer.raise_for_status()
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            raise ChannelUnavailable(
                f"Meta cannot be reached at {self._base}: {error}",
                hint="is graph_url right, and is there a way to it? `dispatch doctor` looks into it",
            ) from error
        return _read(answer)


def _page(after: str | None) -> dict[str, str]:
    return {"fields": _FIELDS, "limit": str(PAGE), **({"after": after} if after else {})}


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, httpx.TransportError | httpx.HTTPStatusError)


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as error:
        raise ChannelUnavailable(
            f"Meta answered HTTP {answer.status_code} with something unreadable"
        ) from error
    if answer.is_success and isinstance(body, dict):
        return body
    refusal = body.get("error", {}) if isinstance(body, dict) else {}
    code = refusal.get("code")
    if code == _BAD_CURSOR:
        raise ChannelUnavailable("the account's templates changed while they were read", hint="try again")
    raise ChannelRefused(
        f"Meta refused ({code}): {refusal.get('message', f'HTTP {answer.status_code}')}",
        code=code,
        hint="is the sender's token valid for its account (waba_id)?",
    )
