"""Whether there is a way to Meta at all: one HEAD request, for `dispatch doctor`.

No credentials are sent; any answer counts, since an error page also proves the way.
"""

from __future__ import annotations

from datetime import timedelta

import httpx

from dispatcher.domain.errors import ChannelUnavailable


async def ask_head(url: str, timeout: timedelta) -> int:
    """The HTTP status that the server answered with. Raises ChannelUnavailable."""
    try:
        async with httpx.AsyncClient(timeout=timeout.total_seconds(), trust_env=False) as client:
            return (await client.head(url)).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ChannelUnavailable(
            f"no answer from {url}: {error or type(error).__name__}",
            hint="is DISPATCHER_GRAPH_URL right, and is there a way to it?",
        ) from error
