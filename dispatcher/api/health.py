"""`/livez` and `/readyz`: whether this process answers, and whether what it needs does.

How long webhooks have been waiting to be taken in is told, but is no cause to be unready: an endpoint that is taken out of
service for what happens behind it would turn a delay into lost hours.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dispatcher.app import App, redis_version
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.inbox import Backlog
from dispatcher.ledger.inbox import LedgerInbox

LOOK_WITHIN_S = 2.0
_VERSION = version("whatsapp-dispatcher")


class Health:
    """Answers about one open house."""

    def __init__(self, app: App, inbox: LedgerInbox) -> None:
        self._app = app
        self._inbox = inbox

    @property
    def routes(self) -> list[Route]:
        """Both pages."""
        return [Route("/livez", self.livez), Route("/readyz", self.readyz)]

    async def livez(self, _request: Request) -> Response:
        """200 as long as requests are answered at all."""
        return JSONResponse({"ok": True, "version": _VERSION})

    async def readyz(self, _request: Request) -> Response:
        """200, or 503 with the causes."""
        inbox, redis = await asyncio.gather(self._inbox_or_cause(), self._redis_cause())
        causes = [cause for cause in (inbox, redis) if isinstance(cause, str)]
        now = self._app.lane_tools.clock.now()
        told = _told(inbox, now) if isinstance(inbox, Backlog) else None
        return JSONResponse(
            {"ok": not causes, "causes": causes, "inbox": told, "version": _VERSION},
            status_code=503 if causes else 200,
        )

    async def _inbox_or_cause(self) -> Backlog | str:
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                return await self._inbox.waiting()
        except DispatcherError as error:
            return str(error)
        except TimeoutError:
            return f"PostgreSQL did not answer within {LOOK_WITHIN_S:g} s"

    async def _redis_cause(self) -> str | None:
        try:
            await redis_version(self._app.settings)
        except DispatcherError as error:
            return str(error)
        return None


def _told(backlog: Backlog, now: datetime) -> dict[str, Any]:
    age_s = (now - backlog.oldest).total_seconds() if backlog.oldest is not None else 0.0
    return {"bodies": backlog.bodies, "oldest_s": round(max(0.0, age_s), 1)}
