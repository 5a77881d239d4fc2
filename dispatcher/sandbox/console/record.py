"""The console's part about what was sent: the record, the violations, and forgetting both."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ..dice import Dice
from ..inputs import ResetInput
from ..judge import Judge
from ..said import Sayings
from ..webhooks.deliveries import Deliveries
from .io import answer_json, is_asked, read

_LINES_PER_CHUNK = 2000


class RecordConsole:
    """Reads the judge's record."""

    def __init__(self, judge: Judge, dice: Dice, deliveries: Deliveries, sayings: Sayings) -> None:
        """All are shared with Meta's side; dice and deliveries are told of a new seed."""
        self._judge = judge
        self._dice = dice
        self._deliveries = deliveries
        self._sayings = sayings
        self._record = judge.record
        self.routes = [
            Route("/_sandbox/health", self.health),
            Route("/_sandbox/record", self.show_record),
            Route("/_sandbox/violations", self.show_violations),
            Route("/_sandbox/reset", self.reset, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        """Whether the sandbox is there, and what is in it."""
        world = self._judge.world
        return answer_json(
            {
                "ok": True,
                "numbers": len(world.numbers),
                "templates": len(world.templates),
                "accepted": len(self._record),
            }
        )

    async def show_record(self, request: Request) -> Response:
        """The record in numbers, with `?per_campaign=1` also by campaign; with `?detail=1` every accepted message, one JSON object a line."""
        if is_asked(request, "detail"):
            return StreamingResponse(_chunks(self._record.detail()), media_type="application/x-ndjson")
        summary = self._record.summary()
        if is_asked(request, "per_campaign"):
            summary["by_campaign"] = self._record.by_campaign()
        return answer_json(summary)

    async def show_violations(self, _: Request) -> Response:
        """Every violation, oldest first."""
        return answer_json({"violations": [asdict(violation) for violation in self._record.violations]})

    async def reset(self, request: Request) -> Response:
        """Forget what was sent and said: record, buckets, people reached, open windows, webhooks. The world stays. With `{"seed": 7}` all chance starts anew."""
        said = await read(request, ResetInput) if await request.body() else ResetInput()
        self._record.reset()
        self._judge.reset()
        self._deliveries.reset()
        self._sayings.reset()
        if said.seed is not None:
            self._dice.seed(said.seed)
            self._deliveries.seed(said.seed)
        return answer_json({"ok": True})


async def _chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := b"".join(islice(lines, _LINES_PER_CHUNK)):
        yield chunk
