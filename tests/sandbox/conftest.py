"""A sandbox in this process, with two numbers, one template and a clock that stands still."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dispatcher.sandbox import Behaviour, Number, Portfolio, Sandbox, SandboxWorld, Waba

from .builders import NUMBER, PORTFOLIO, SISTER, TOKEN, WABA, Client, MovedClock, a_template


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def world() -> SandboxWorld:
    world = SandboxWorld()
    world.put_portfolios([Portfolio(PORTFOLIO, tier_limit=3)])
    world.put_wabas([Waba(WABA, PORTFOLIO)])
    world.put_numbers(
        [
            Number(NUMBER, WABA, "+1 202-555-0100", token=TOKEN),
            Number(SISTER, WABA, "+1 202-555-0101", token=TOKEN),
        ]
    )
    world.put_templates([a_template()])
    return world


@pytest.fixture
def a_client(world: SandboxWorld, clock: MovedClock) -> Callable[..., Client]:
    def build(errors: Mapping[int, float] | None = None, **behaviour: Any) -> Client:
        return Client(
            Sandbox(world, Behaviour(errors=errors or {}, **behaviour), seed=7, clock_ms=clock), clock
        )

    return build


@pytest.fixture
def client(a_client: Callable[..., Client]) -> Client:
    return a_client()
