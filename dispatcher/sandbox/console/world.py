"""The console's part about the world: what there is, and how it changes.

A change counts from the next post on; posts already judged stay as they were. Meta's own webhook about a change is
sent when `?event=1` asks for it.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..judge import Judge
from ..settings import (
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
from ..webhooks.account_events import events_of_number, events_of_template
from ..webhooks.deliveries import Deliveries
from ..webhooks.updates import Event
from ..world import Number, Portfolio, SandboxWorld, Waba
from .io import answer_json, is_asked, read


class WorldConsole:
    """Shows and changes the world."""

    def __init__(self, world: SandboxWorld, judge: Judge, deliveries: Deliveries) -> None:
        """All three are shared with Meta's side."""
        self._world = world
        self._judge = judge
        self._deliveries = deliveries
        self.routes = [
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
        ]

    async def put_portfolios(self, request: Request) -> Response:
        """Add or replace portfolios."""
        said = await read(request, list[PortfolioInput])
        self._world.put_portfolios(Portfolio(**portfolio.given()) for portfolio in said)
        return answer_json({"portfolios": len(said)})

    async def change_portfolio(self, request: Request) -> Response:
        """Change some fields of a portfolio."""
        portfolio = self._world.portfolios.get(request.path_params["id"])
        if portfolio is None:
            raise HTTPException(404, f"there is no portfolio {request.path_params['id']}")
        said = await read(request, PortfolioChange)
        changed = replace(portfolio, **said.given())
        self._world.put_portfolios([changed])
        return answer_json(asdict(changed))

    async def put_wabas(self, request: Request) -> Response:
        """Add or replace accounts."""
        said = await read(request, list[WabaInput])
        try:
            self._world.put_wabas(Waba(**waba.given()) for waba in said)
        except KeyError as missing:
            raise HTTPException(422, f"there is no portfolio {missing}") from missing
        return answer_json({"wabas": len(said)})

    async def list_numbers(self, _: Request) -> Response:
        """All numbers."""
        return answer_json({"numbers": [self._number(number) for number in self._world.numbers.values()]})

    async def put_numbers(self, request: Request) -> Response:
        """Add or replace numbers; those not named stay."""
        said = await read(request, list[NumberInput])
        try:
            self._world.put_numbers(Number(**number.given()) for number in said)
        except KeyError as missing:
            raise HTTPException(422, f"there is no waba {missing}") from missing
        return answer_json({"numbers": len(said)})

    async def show_number(self, request: Request) -> Response:
        """One number, with the people it has reached."""
        return answer_json(self._number(self._known_number(request.path_params["id"])))

    async def change_number(self, request: Request) -> Response:
        """Change some fields of a number: status, tier, rate and so on; with `?event=1` its account is told."""
        number = self._known_number(request.path_params["id"])
        said = await read(request, NumberChange)
        changed = self._world.change_number(number.id, **said.given())
        self._tell(request, events_of_number(number, changed, self._judge.now_ms()))
        return answer_json(self._number(changed))

    async def put_templates(self, request: Request) -> Response:
        """Add or replace templates by (waba, name, language); those not named stay; with `?event=1` accounts are told."""
        templates = [template.template() for template in await read(request, list[TemplateInput])]
        before = [self._world.templates.get(template.key) for template in templates]
        try:
            self._world.put_templates(templates)
        except KeyError as missing:
            raise HTTPException(422, f"there is no waba {missing}") from missing
        for was, template in zip(before, templates, strict=True):
            self._tell(request, events_of_template(was, template, self._judge.now_ms()))
        return answer_json({"templates": len(templates)})

    async def change_people(self, request: Request) -> Response:
        """Who is not on WhatsApp, who wants no marketing; a list that is said replaces the one there is."""
        said = await read(request, PeopleInput)
        if "unknown" in said.model_fields_set:
            self._world.unknown_people = people_of(said.unknown)
        if "opted_out" in said.model_fields_set:
            self._world.opted_out_people = people_of(said.opted_out)
        return answer_json(
            {"unknown": len(self._world.unknown_people), "opted_out": len(self._world.opted_out_people)}
        )

    async def open_window(self, request: Request) -> Response:
        """A person has written to a number: open their service window."""
        said = await read(request, WindowInput)
        number = self._known_number(said.phone_number_id)
        until_ms = max(self._judge.open_window(number.id, person) for person in people_of([said.person]))
        return answer_json({"open_until_ms": until_ms})

    async def change_timing(self, request: Request) -> Response:
        """Shorten or lengthen the day and the pair limit."""
        said = await read(request, TimingInput)
        self._world.timing = replace(self._world.timing, **said.given())
        return answer_json(asdict(self._world.timing))

    def _known_number(self, number_id: str) -> Number:
        number = self._world.numbers.get(number_id)
        if number is None:
            raise HTTPException(404, f"there is no number {number_id}")
        return number

    def _tell(self, request: Request, events: Iterable[Event]) -> None:
        """Report these, if they are asked for and there is somebody to report to."""
        if is_asked(request, "event") and self._world.callback is not None:
            for event in events:
                self._deliveries.add(event, event.at_ms)

    def _number(self, number: Number) -> dict[str, Any]:
        """A number as it was put, and how many people count against its limit now."""
        shown = asdict(number)
        del shown["digits"]
        if number.tier_limit is None:
            shown["tier_limit"] = "unlimited"
        return {**shown, "people_reached": self._judge.people_reached(number)}
