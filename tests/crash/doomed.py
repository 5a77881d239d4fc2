"""A process of ours that dies at a named point: `python doomed.py POINT OCCASION [arguments of the HTTP process]`.

It opens the house as `python -m workers` and `python -m dispatcher.serve` do, with one port wrapped: on the n-th occasion
the wrapper kills the whole process with SIGKILL, so that nothing is closed, settled or given back. What it does until
then is the real thing. A line on standard error says that it was this, and not something else, that ended it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Literal
from unittest.mock import patch

import uvloop

from dispatcher import asgi, serve
from dispatcher.app import App, open_app
from dispatcher.channel.client import CloudChannel
from dispatcher.channel.transport import HttpxTransport
from dispatcher.engine.settling import Settling
from dispatcher.ledger.database import Database
from dispatcher.ledger.inbox import LedgerBatch, LedgerInbox
from dispatcher.settings import Settings, secret
from dispatcher.telemetry import set_up_logging
from workers.intake import take_in
from workers.lanes import lane_worker
from workers.runtime import serve as serve_jobs
from workers.runtime import stop_when_asked


class Point(StrEnum):
    """Where it dies."""

    BEFORE_OPEN = "before_open"
    """arq has given the job away; the ledger does not know of a turn."""
    BEFORE_CLAIM = "before_claim"
    """The turn has its lease, and nobody yet."""
    AFTER_CLAIM = "after_claim"
    """Claimed in the ledger; the answer was not looked at."""
    AFTER_GRANT = "after_grant"
    """Granted by the limits; the answer was not looked at."""
    BEFORE_FIRST_BYTE = "before_first_byte"
    """Connected to Meta; nothing of the request is written."""
    AFTER_LAST_BYTE = "after_last_byte"
    """The whole request is written; no answer was read."""
    AFTER_ANSWER = "after_answer"
    """Meta's answer is there; the ledger does not know it."""
    AFTER_SETTLE = "after_settle"
    """Outcomes are committed in the ledger; the turn does not know that."""
    AFTER_CLOSE = "after_close"
    """The ledger has closed the turn; the limits have not, and nobody has asked for the next one."""
    BEFORE_INTAKE_COMMIT = "before_intake_commit"
    """A batch of webhooks is applied, in a transaction that is still open."""
    AFTER_INTAKE_COMMIT = "after_intake_commit"
    """It is committed; the limits were not told what follows from it."""
    BEFORE_200 = "before_200"
    """Webhooks are committed in the inbox; Meta has not got its 200."""


CALLS: Mapping[Point, tuple[Literal["turns", "limits", "channel"], str, Literal["before", "after"]]] = {
    Point.BEFORE_OPEN: ("turns", "open_turn", "before"),
    Point.BEFORE_CLAIM: ("turns", "claim", "before"),
    Point.AFTER_CLAIM: ("turns", "claim", "after"),
    Point.AFTER_GRANT: ("limits", "grant", "after"),
    Point.AFTER_ANSWER: ("channel", "post", "after"),
    Point.AFTER_SETTLE: ("turns", "settle_accepted", "after"),
    Point.AFTER_CLOSE: ("turns", "close_turn", "after"),
}
"""Points around one call of a port that turns use."""
BYTES: Mapping[str, Point] = {
    "http11.send_request_headers.started": Point.BEFORE_FIRST_BYTE,
    "http11.send_request_body.complete": Point.AFTER_LAST_BYTE,
}
"""Points on the wire. httpx tells when it comes there, pyreqwest does not."""


class Doom:
    """Ends this process when its point is reached for the n-th time."""

    def __init__(self, point: Point, occasion: int) -> None:
        self.point = point
        self._left = occasion

    def at(self, point: Point) -> None:
        """Die, if this is the point and the occasion."""
        if point is self.point:
            self._left -= 1
            if self._left == 0:
                os.write(2, f"dies at {point}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)


class DoomedPort:
    """A real port, before or after one of whose calls the process dies."""

    def __init__(self, port: object, doom: Doom) -> None:
        self._port = port
        self._doom = doom
        _, self._method, self._when = CALLS[doom.point]

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return self._doomed(real) if name == self._method else real

    def _doomed(self, real: Any) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if self._when == "before":
                self._doom.at(self._doom.point)
            answer = await real(*arguments, **named)
            if self._when == "after":
                self._doom.at(self._doom.point)
            return answer

        return call


class DoomedTransport(HttpxTransport):
    """The way to Meta, byte by byte."""

    def __init__(self, settings: Settings, doom: Doom) -> None:
        super().__init__(
            settings.post_timeout,
            timedelta(seconds=settings.connect_timeout_s),
            settings.in_flight,
            timedelta(seconds=settings.idle_timeout_s),
        )

        async def trace(event: str, _told: object) -> None:
            if event in BYTES:
                doom.at(BYTES[event])

        self._extensions: dict[str, Any] = {**self._extensions, "trace": trace}


class DoomedInbox(LedgerInbox):
    """The inbox, on its way in and on its way out."""

    def __init__(self, database: Database, doom: Doom) -> None:
        super().__init__(database)
        self._doom = doom

    async def add(self, *arguments: Any, **named: Any) -> None:
        """The port's promise."""
        await super().add(*arguments, **named)
        self._doom.at(Point.BEFORE_200)

    @asynccontextmanager
    async def batch(self, most: int) -> AsyncIterator[LedgerBatch]:
        """The port's promise."""
        async with super().batch(most) as batch:
            yield batch
            if batch.bodies:
                self._doom.at(Point.BEFORE_INTAKE_COMMIT)
        if batch.bodies:
            self._doom.at(Point.AFTER_INTAKE_COMMIT)


def doomed(app: App, doom: Doom) -> App:
    """The house, with one of its ports wrapped."""
    tools, settings = app.lane_tools, app.settings
    if doom.point in CALLS:
        name = CALLS[doom.point][0]
        wrapped: dict[str, Any] = {name: DoomedPort(getattr(tools, name), doom)}
        tools = replace(tools, **wrapped)
        settling = Settling(tools.turns, tools.limits, tools.telemetry)
        return replace(app, lane_tools=replace(tools, settling=settling))
    if doom.point in BYTES.values():
        graph = {"graph_url": settings.graph_url, "graph_version": settings.graph_version}
        channel = CloudChannel(DoomedTransport(settings, doom), secret, **graph)
        return replace(app, lane_tools=replace(tools, channel=channel))
    return replace(app, intake=replace(app.intake, inbox=DoomedInbox(app.database, doom)))


async def _work(settings: Settings, doom: Doom) -> None:
    async with open_app(settings, migrate=False) as opened:
        app = doomed(opened, doom)
        stop_when_asked(app)
        if app.intake is opened.intake:
            await serve_jobs(app, lambda: lane_worker(app))
        else:
            await take_in(app)


def main() -> int:
    """Exit status 0 after a graceful stop: its point was never reached."""
    point, occasion, *sys.argv[1:] = sys.argv[1:]
    doom = Doom(Point(point), int(occasion))
    if doom.point is Point.BEFORE_200:
        with patch.object(asgi, "LedgerInbox", partial(DoomedInbox, doom=doom)):
            return serve.main()
    settings = Settings.load()
    set_up_logging(settings.log_level)
    uvloop.run(_work(settings, doom))
    return 0


if __name__ == "__main__":
    sys.exit(main())
