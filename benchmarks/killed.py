"""The HTTP process killed in mid-request, again and again: nothing half done, nothing twice for one Idempotency-Key."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.front_door import an_order, front_door, people
from dispatcher.client import Client, DispatchError, campaigns
from dispatcher.client.calls import Call
from dispatcher.ledger.campaigns import LedgerCampaigns
from dispatcher.ledger.database import Database
from dispatcher.processes import start_api
from dispatcher.settings import Settings

PEOPLE = 3_000
"""Of a stream; enough for it to take a while, few enough for fifty of them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Kill it."""
    with front_door() as door:
        assert door.stage.settings.database_url is not None
        killing = Killing(door.stage.settings, door.key, door.url, random.Random(given.seed))
        for n in range(given.times):
            killing.once(n)
    return {
        "kills": given.times,
        "answered_before": killing.became["answered"],
        "done_and_not_answered": killing.became["done"],
        "not_done": killing.became["nothing"],
        "faults": killing.faults,
        "holds": not killing.faults,
    }


@dataclass(slots=True)
class Killing:
    """One campaign per kill, ordered and filled under names of its own, by a process that dies meanwhile."""

    settings: Settings
    key: str
    calm_url: str
    """Of another process, which lives."""
    dice: random.Random
    longest_s: float = 0.3
    """About what a request takes; the moment of the kill is drawn from it."""
    became: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def once(self, n: int) -> None:
        """Make a call, kill the process, look what it left, make the call again, look again."""
        campaign = self._calmly(an_order(once=f"order-{n}"))["id"] if n % 2 else None
        call: Callable[[], Call[Any]]
        if campaign is None:
            call = lambda: an_order(once=f"order-{n}")  # noqa: E731 - two of a kind
        else:
            call = lambda: campaigns.add_people(campaign, people(PEOPLE), once=f"people-{n}")  # noqa: E731
        answered = self._killed(call())
        done = asyncio.run(self._look(f"order-{n}", campaign))
        self.became["answered" if answered else "done" if done else "nothing"] += 1
        if answered and not done:
            self.faults.append(f"{n}: was answered and is not done")
        again = self._calmly(call())
        if answered is not None and again != answered:
            self.faults.append(f"{n}: the first answer was {answered}, the second {again}")
        if not asyncio.run(self._look(f"order-{n}", campaign)):
            self.faults.append(f"{n}: is not done after the second call")

    def _killed(self, call: Call[Any]) -> Any:
        """The answer, if there was one before the process died."""
        answers: list[Any] = []
        process, url = start_api(self.settings)
        with process, Client(url, self.key, tries=1) as client:

            def ask() -> None:
                try:
                    answers.append(client.do(call))
                except DispatchError:
                    answers.append(None)

            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(self.dice.uniform(0, self.longest_s))
            process.send_signal(signal.SIGKILL)
            asking.join()
        return answers[0]

    def _calmly(self, call: Call[Any]) -> Any:
        """The answer of a process that lives."""
        with Client(self.calm_url, self.key) as client:
            return client.do(call)

    async def _look(self, once: str, campaign: int | None) -> bool:
        """Whether it is done. What is half done, or done twice, is a fault."""
        assert self.settings.database_url is not None
        database = await Database.open(self.settings.database_url, connections=1)
        try:
            if faults := await LedgerCampaigns(database).check():
                self.faults.append(f"{once}: {faults}")
            calls = await database.fetchval("SELECT count(*) FROM answered_calls WHERE status IS NULL")
            if calls:
                self.faults.append(f"{once}: {calls} calls are begun and not finished")
            sql = """SELECT (SELECT count(*) FROM campaigns) - (SELECT count(*) FROM answered_calls
                WHERE idempotency_key LIKE 'order-%')"""
            if difference := await database.fetchval(sql):
                self.faults.append(f"{once}: {difference} campaigns more than answers")
            if campaign is None:
                sql = "SELECT count(*) > 0 FROM answered_calls WHERE idempotency_key = $1"
                return bool(await database.fetchval(sql, once))
            people_there = await database.fetchval(
                "SELECT count(*) FROM messages WHERE campaign_id = $1", campaign
            )
            if people_there not in (0, PEOPLE):
                self.faults.append(f"{once}: {people_there} people of {PEOPLE}")
            return bool(people_there == PEOPLE)
        finally:
            await database.close()
