"""A sandbox in this process, with two numbers, one template and a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio

from dispatcher.sandbox import Behaviour, Number, Portfolio, Sandbox, SandboxWorld, Waba

from .builders import (
    NUMBER,
    PORTFOLIO,
    SISTER,
    TOKEN,
    WABA,
    Client,
    MovedClock,
    ReportingClient,
    a_template,
)
from .receiver import SECRET, Receiver


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


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Somebody who listens to webhooks."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks/meta?app=1"
    yield receiver
    receiver.close()
    server.close()
    await server.wait_closed()


@pytest_asyncio.fixture
async def reporting(world: SandboxWorld, receiver: Receiver) -> AsyncIterator[ReportingClient]:
    """A client of a sandbox that reports to the receiver, on a clock that goes."""
    world.put_portfolios([Portfolio(PORTFOLIO, tier_limit=None)])
    for number in (NUMBER, SISTER):
        world.change_number(number, tier_limit=None, rate_per_s=1_000)
    client = ReportingClient(Sandbox(world, seed=7), MovedClock())
    await client.console(
        "PUT", "callback", {"url": receiver.url, "app_secret": SECRET, "verify_token": "kept"}
    )
    yield client
    await client.sandbox.deliveries.close()
