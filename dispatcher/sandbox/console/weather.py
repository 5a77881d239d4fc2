"""The console's part about how the sandbox behaves: what lasts, and what is scheduled over it."""

from dataclasses import asdict
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..inputs import BehaviourInput, PhaseInput
from ..weather import Phase, Weather
from .io import answer_json, read


class WeatherConsole:
    """Changes the behaviour."""

    def __init__(self, weather: Weather) -> None:
        """weather: asked by everything that behaves."""
        self._weather = weather
        self.routes = [
            Route("/_sandbox/behaviour", self.show_behaviour),
            Route("/_sandbox/behaviour", self.change_behaviour, methods=["PATCH"]),
            Route("/_sandbox/weather", self.show_weather),
            Route("/_sandbox/weather", self.schedule, methods=["POST"]),
        ]

    async def show_behaviour(self, _: Request) -> Response:
        """What is done to posts and webhooks when no phase of the weather says otherwise."""
        return answer_json(asdict(self._weather.lasting))

    async def change_behaviour(self, request: Request) -> Response:
        """Change latency, shares of errors, shares of faults, webhooks; what is not said stays."""
        said = await read(request, BehaviourInput)
        try:
            self._weather.lasting = said.changed(self._weather.lasting)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return await self.show_behaviour(request)

    async def show_weather(self, _: Request) -> Response:
        """What counts now, and the phases to come."""
        return answer_json(
            {
                "now": asdict(self._weather.behaviour),
                "phases": [_shown(phase, self._weather.clock_ms()) for phase in self._weather.phases],
            }
        )

    async def schedule(self, request: Request) -> Response:
        """Schedule phases of another behaviour, `after_s` from now and `for_s` long, instead of those before; `[]` clears the sky."""
        said = await read(request, list[PhaseInput])
        now_ms = self._weather.clock_ms()
        try:
            self._weather.schedule(each.phase(now_ms, self._weather.lasting) for each in said)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return await self.show_weather(request)


def _shown(phase: Phase, now_ms: int) -> dict[str, Any]:
    """A phase as it was said, in seconds from now."""
    return {
        "after_s": max(0, phase.from_ms - now_ms) / 1000,
        "for_s": (phase.until_ms - max(phase.from_ms, now_ms)) / 1000,
        **asdict(phase.behaviour),
    }
