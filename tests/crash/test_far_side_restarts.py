"""Meta's side is restarted piece by piece while a campaign runs, as it is whenever somebody there deploys."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.processes import worker_processes
from support.waiting import wait_until
from support.world import World

from dispatcher.leash import Leash

GATEWAY = Path(__file__).with_name("gateway.py")
DRAIN_S = 10.0
IDLE_S = 0.5
"""After which we drop an idle connection: long before the far side does, as the defaults do it."""


class FarSide:
    """Gateways before the sandbox, all at one address; the newest takes new connections."""

    def __init__(self, listener: socket.socket, upstream_port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        self._upstream_port = upstream_port
        self._folder = folder
        self._gateways: list[Leash] = []

    async def restart(self) -> None:
        """The next begins, then the one before it begins to drain."""
        said = self._said(len(self._gateways))
        with said.open("wb") as output:
            number = self._listener.fileno()
            command = [sys.executable, GATEWAY, str(number), str(self._upstream_port), str(DRAIN_S)]
            self._gateways.append(Leash(command, output=output, pass_fds=[number]))
        await wait_until(lambda: "ready" in said.read_text(), description="a gateway is ready")
        if len(self._gateways) > 1:
            self._gateways[-2].send_signal(signal.SIGTERM)

    async def cut_off(self) -> Sequence[int]:
        """How many connections each had to cut off, once all but the last have drained."""
        for gateway in self._gateways[:-1]:
            assert await asyncio.to_thread(gateway.wait, timedelta(seconds=30)) == 0
        said = [self._said(n).read_text() for n in range(len(self._gateways) - 1)]
        return [int(text.partition("cut off ")[2].split()[0]) for text in said]

    async def stop(self) -> None:
        """End all of them."""
        for gateway in self._gateways:
            await asyncio.to_thread(gateway.stop)

    def _said(self, n: int) -> Path:
        return self._folder / f"gateway-{n}.log"


@asynccontextmanager
async def far_side(sandbox_url: str, folder: Path) -> AsyncIterator[FarSide]:
    """The sandbox behind one gateway, for a start."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        far_side = FarSide(listener, urlsplit(sandbox_url).port or 0, folder)
        try:
            await far_side.restart()
            yield far_side
        finally:
            await far_side.stop()


@pytest.mark.settings(idle_timeout_s=IDLE_S)
@pytest.mark.parametrize("transport", ["pyreqwest", "httpx"])
async def test_a_rolling_restart_of_the_far_side_costs_no_message(
    world: World, sandbox_url: str, transport: str
) -> None:
    """Five times in one campaign. Everybody gets the message, nobody twice, and nobody is in doubt."""
    await world.meta.behaves(latency_ms=50)
    await world.a_sender(rate="150/s")
    campaign = await world.a_campaign(people=500)
    async with far_side(sandbox_url, world.folder) as far:
        there = world.app.settings.model_copy(update={"graph_url": far.url, "transport": transport})
        async with worker_processes(there, log=world.folder / "workers.log"):
            for accepted in range(60, 360, 60):
                await world.accepts(campaign, accepted)
                await far.restart()
            counts = await world.becomes(campaign)
            assert (counts.accepted, counts.unsure) == (500, 0)
            # why not httpx: it looks at an idle connection when it wants to use it, and then takes none that is old.
            if transport == "pyreqwest":
                assert await far.cut_off() == [0] * 5, "we drop idle connections before the far side does"
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)
