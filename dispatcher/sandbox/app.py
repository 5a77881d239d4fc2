"""The sandbox as one ASGI application: Meta's API and the console over the same world.

Use it in one process with an HTTP client's ASGI transport, or serve it with `server`. Messages take a short
way of their own; everything else goes through Starlette's router.
"""

import re
import time
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .behaviour import Behaviour
from .console.io import problem
from .console.people import PeopleConsole
from .console.record import RecordConsole
from .console.weather import WeatherConsole
from .console.webhooks import WebhookConsole
from .console.world import WorldConsole
from .dice import Dice
from .graph import Graph
from .judge import Judge
from .record import Record
from .refusals import error_body, http_status, not_visible
from .said import Sayings
from .weather import Clock, Weather
from .webhooks.deliveries import Deliveries
from .webhooks.receipts import Receipts
from .world import SandboxWorld

_MESSAGES = re.compile(r"/v\d+\.\d+/(\d+)/messages")


class Sandbox:
    """A simulator of Meta's Cloud API, and its record of what it was sent."""

    def __init__(
        self,
        world: SandboxWorld,
        behaviour: Behaviour | None = None,
        *,
        seed: int | None = None,
        clock_ms: Clock | None = None,
    ) -> None:
        """world: changed by the console, so give each sandbox its own.

        seed: makes what is drawn repeatable. clock_ms: for tests that move time.
        """
        clock = clock_ms or steady_clock()
        self.world = world
        self.record = Record()
        self.sayings = Sayings()
        self.weather = Weather(behaviour or Behaviour(), clock)
        self.dice = Dice(self.weather, seed)
        self.deliveries = Deliveries(world, self.weather, seed)
        receipts = Receipts(self.weather, self.deliveries)
        self.judge = Judge(world, self.record, clock, receipts)
        self.graph = Graph(world, self.judge, self.dice)
        self.console: Sequence[Route] = [
            *RecordConsole(self.judge, self.dice, self.deliveries, self.sayings).routes,
            *WorldConsole(world, self.judge, self.deliveries).routes,
            *WeatherConsole(self.weather).routes,
            *WebhookConsole(world, self.judge, self.deliveries).routes,
            *PeopleConsole(world, self.judge, self.deliveries, self.sayings).routes,
        ]
        self._rest = Starlette(
            routes=[
                *self.console,
                Route("/_sandbox/{rest:path}", _no_such_page),
                *self.graph.routes,
                Route("/{rest:path}", _no_such_object, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ],
            exception_handlers={HTTPException: problem},
        )

    @property
    def app(self) -> ASGIApp:
        """The application; also the sandbox itself."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] == "http" and scope["method"] == "POST":
            messages = _MESSAGES.fullmatch(scope["path"])
            if messages is not None:
                await self.graph.post_message(scope, receive, send, messages[1])
                return
        await self._rest(scope, receive, send)


def steady_clock() -> Clock:
    """Milliseconds since 1970 that only go forward, whatever is done to the system's time meanwhile."""
    start_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (start_ns + time.monotonic_ns()) // 1_000_000


async def _no_such_page(request: Request) -> Response:
    raise HTTPException(404, f"the console has no {request.url.path}")


async def _no_such_object(request: Request) -> Response:
    refusal = not_visible(request.url.path, request.method.lower())
    return Response(error_body(refusal, "Sandbox"), http_status(refusal), media_type="application/json")
