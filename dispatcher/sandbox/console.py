"""The console under `/_sandbox`: read the record, change the world, choose the behaviour.

Meta has no such thing; tests, the demo and rehearsals do. Input is validated by `settings`, and whatever is
wrong with it comes back as JSON, `{"error": …}`, with the status 404 (no such entry) or 422 (not as
described). A change counts from the next post on; posts already judged stay as they were.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .behaviour import Dice
from .judge import Judge
from .settings import (
    BehaviourInput,
    NumberChange,
    NumberInput,
    PeopleInput,
    PortfolioChange,
    PortfolioInput,
    TemplateInput,
    TimingInput,
    WabaInput,
    WindowInput,
    people_of,
)
from .world import Number, Portfolio, SandboxWorld, Waba

Said = TypeVar("Said")

_LINES_PER_CHUNK = 2000


class Console:
    """The operator's side of the sandbox."""

    def __init__(self, world: SandboxWorld, judge: Judge, dice: Dice) -> None:
        """All three are shared with `Graph`."""
        self._world = world
        self._judge = judge
        self._record = judge.record
        self._dice = dice
        self.routes = [
            Route("/_sandbox/health", self.health),
            Route("/_sandbox/record", self.show_record),
            Route("/_sandbox/violations", self.show_violations),
            Route("/_sandbox/reset", self.reset, methods=["POST"]),
            Route("/_sandbox/portfolios", self.put_portfolios, methods=["PUT"]),
            Route("/_sandbox/portfolios/{id}", self.change_portfolio, methods=["PATCH"]),
            Route("/_sandbox/wabas", self.put_wabas, methods=["PUT"]),
            Route("/_sandbox/numbers", self.list_numbers),
            Route("/_sandbox/numbers", self.put_numbers, methods=["PUT"]),
            Route("/_sandbox/numbers/{id}", self.show_number),
            Route("/_sandbox/numbers/{id}", self.change_number, methods=["PATCH"]),
            Route("/_sandbox/templates", self.put_templates, methods=["PUT"]),
            Route("/_sandbox/people", self.change_people, methods=["PATCH"]),
            Route("/_sandbox/windows", self.open_window, methods=["POST"]),
            Route("/_sandbox/timing", self.change_timing, methods=["PATCH"]),
            Route("/_sandbox/behaviour", self.show_behaviour),
            Route("/_sandbox/behaviour", self.change_behaviour, methods=["PATCH"]),
        ]

    async def health(self, _: Request) -> Response:
        """Whether the sandbox is there, and what is in it."""
        world = self._world
        return _json(
            {
                "ok": True,
                "numbers": len(world.numbers),
                "templates": len(world.templates),
                "accepted": len(self._record),
            }
        )

    async def show_record(self, request: Request) -> Response:
        """The record in numbers; with `?detail=1` every accepted message, one JSON object a line."""
        if request.query_params.get("detail") in {"1", "true"}:
            return StreamingResponse(_chunks(self._record.detail()), media_type="application/x-ndjson")
        return _json(self._record.summary())

    async def show_violations(self, _: Request) -> Response:
        """Every violation, oldest first."""
        return _json({"violations": [asdict(violation) for violation in self._record.violations]})

    async def reset(self, _: Request) -> Response:
        """Forget what was sent: record, buckets, people reached, open windows. The world stays."""
        self._record.reset()
        self._judge.reset()
        return _json({"ok": True})

    async def put_portfolios(self, request: Request) -> Response:
        """Add or replace portfolios."""
        said = await _read(request, list[PortfolioInput])
        self._world.put_portfolios(Portfolio(**portfolio.given()) for portfolio in said)
        return _json({"portfolios": len(said)})

    async def change_portfolio(self, request: Request) -> Response:
        """Change some fields of a portfolio."""
        portfolio = self._world.portfolios.get(request.path_params["id"])
        if portfolio is None:
            raise HTTPException(404, f"there is no portfolio {request.path_params['id']}")
        said = await _read(request, PortfolioChange)
        changed = replace(portfolio, **said.given())
        self._world.put_portfolios([changed])
        return _json(asdict(changed))

    async def put_wabas(self, request: Request) -> Response:
        """Add or replace accounts."""
        said = await _read(request, list[WabaInput])
        try:
            self._world.put_wabas(Waba(**waba.given()) for waba in said)
        except KeyError as missing:
            raise HTTPException(422, f"there is no portfolio {missing}") from missing
        return _json({"wabas": len(said)})

    async def list_numbers(self, _: Request) -> Response:
        """All numbers."""
        return _json({"numbers": [self._number(number) for number in self._world.numbers.values()]})

    async def put_numbers(self, request: Request) -> Response:
        """Add or replace numbers; those not named stay."""
        said = await _read(request, list[NumberInput])
        try:
            self._world.put_numbers(Number(**number.given()) for number in said)
        except KeyError as missing:
            raise HTTPException(422, f"there is no waba {missing}") from missing
        return _json({"numbers": len(said)})

    async def show_number(self, request: Request) -> Response:
        """One number, with the people it has reached."""
        return _json(self._number(self._known_number(request.path_params["id"])))

    async def change_number(self, request: Request) -> Response:
        """Change some fields of a number: status, tier, rate and so on."""
        number = self._known_number(request.path_params["id"])
        said = await _read(request, NumberChange)
        return _json(self._number(self._world.change_number(number.id, **said.given())))

    async def put_templates(self, request: Request) -> Response:
        """Add or replace templates by (waba, name, language); those not named stay."""
        said = await _read(request, list[TemplateInput])
        try:
            self._world.put_templates(template.template() for template in said)
        except KeyError as missing:
            raise HTTPException(422, f"there is no waba {missing}") from missing
        return _json({"templates": len(said)})

    async def change_people(self, request: Request) -> Response:
        """Who is not on WhatsApp, who wants no marketing; a list that is said replaces the one there is."""
        said = await _read(request, PeopleInput)
        if "unknown" in said.model_fields_set:
            self._world.unknown_people = people_of(said.unknown)
        if "opted_out" in said.model_fields_set:
            self._world.opted_out_people = people_of(said.opted_out)
        return _json(
            {"unknown": len(self._world.unknown_people), "opted_out": len(self._world.opted_out_people)}
        )

    async def open_window(self, request: Request) -> Response:
        """A person has written to a number: open their service window."""
        said = await _read(request, WindowInput)
        number = self._known_number(said.phone_number_id)
        until_ms = max(self._judge.open_window(number.id, person) for person in people_of([said.person]))
        return _json({"open_until_ms": until_ms})

    async def change_timing(self, request: Request) -> Response:
        """Shorten or lengthen the day and the pair limit."""
        said = await _read(request, TimingInput)
        self._world.timing = replace(self._world.timing, **said.given())
        return _json(asdict(self._world.timing))

    async def show_behaviour(self, _: Request) -> Response:
        """What is done to posts now."""
        return _json(asdict(self._dice.behaviour))

    async def change_behaviour(self, request: Request) -> Response:
        """Change latency, shares of errors, shares of faults; what is not said stays."""
        said = await _read(request, BehaviourInput)
        try:
            self._dice.use(said.changed(self._dice.behaviour))
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return await self.show_behaviour(request)

    def _known_number(self, number_id: str) -> Number:
        number = self._world.numbers.get(number_id)
        if number is None:
            raise HTTPException(404, f"there is no number {number_id}")
        return number

    def _number(self, number: Number) -> dict[str, Any]:
        """A number as it was put, and how many people count against its limit now."""
        shown = asdict(number)
        del shown["digits"]
        if number.tier_limit is None:
            shown["tier_limit"] = "unlimited"
        return {**shown, "people_reached": self._judge.people_reached(number)}


async def problem(_: Request, error: Exception) -> Response:
    """An error of the console as JSON."""
    status, detail = (
        (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "failed")
    )
    return Response(orjson.dumps({"error": detail}), status, media_type="application/json")


async def _read(request: Request, shape: type[Said]) -> Said:
    """The request's body in this shape, or 422 with where it is not."""
    try:
        return TypeAdapter(shape).validate_json(await request.body())
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
        raise HTTPException(422, "; ".join(faults)) from error


def _json(value: object) -> Response:
    return Response(
        orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_DATACLASS),
        media_type="application/json",
    )


async def _chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := b"".join(islice(lines, _LINES_PER_CHUNK)):
        yield chunk
