"""The dispatcher itself against a sink: private servers as durable as in production, worker processes, campaigns.

Senders have limits that do not bind: an unlimited tier, and a rate that Meta gives nobody where few of them are to carry
everything. All guarantees are on; when the last message has arrived, the ledger still has to write it down and to prove
itself (`dispatch check`) before the round counts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from benchmarks.far_side import FarSide
from benchmarks.harness import Ready
from benchmarks.stage import TEMPLATE, add_campaign, book_senders, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.ids import CampaignId
from dispatcher.embedded import Embedded
from dispatcher.leash import stop_all
from dispatcher.processes import start_workers
from dispatcher.rehearsal import TOKEN
from dispatcher.settings import Settings

TOGETHER_PER_S = 40_000
"""What the senders' rates add up to, at least: more than any machine here can send."""
_LOOK_EVERY_S = 0.05
_WORKERS_WITHIN_S = 30.0
_SETTLED_WITHIN_S = 120.0
_CERTIFICATES = "SSL_CERT_FILE"
"""Names a file of certificates to trust; pyreqwest reads it as OpenSSL does."""

_OPENED = "SELECT count(DISTINCT application_name) - 1 FROM pg_stat_activity WHERE application_name LIKE 'dispatcher %'"

T = TypeVar("T")


class House:
    """A running dispatcher, seen from its commands. Calls are synchronous: between them nothing of it runs here."""

    def __init__(
        self,
        home: Path,
        app: App,
        runner: asyncio.Runner,
        senders: Sequence[str],
        processes: Mapping[str, Sequence[int]],
    ) -> None:
        self.app = app
        self.processes = processes
        """Role → process ids."""
        self._home = home
        self._runner = runner
        self._senders = senders
        self._people = 0

    def run(self, order: Coroutine[Any, Any, T]) -> T:
        """Give an order and wait for it."""
        return self._runner.run(order)

    def draft(self, people: int) -> CampaignId:
        """A campaign to people who are in no other, on all senders."""
        audience = write_audience(self._home / "audience.csv", people, first=self._people)
        self._people += people
        campaign_id, _ = self.run(add_campaign(self.app, audience, self._senders))
        return campaign_id

    def is_settled(self, campaign_id: CampaignId) -> bool:
        """Whether the ledger knows what became of everybody."""
        view = self.run(self.app.campaigns.view(campaign_id))
        return view.campaign.state is CampaignState.COMPLETED

    def wait_until_settled(self, campaigns: Sequence[CampaignId]) -> None:
        """Raises TimeoutError."""
        ends_s = time.monotonic() + _SETTLED_WITHIN_S
        for campaign_id in campaigns:
            while not self.is_settled(campaign_id):
                if time.monotonic() > ends_s:
                    raise TimeoutError(f"campaign {campaign_id} is not completed though all has arrived")
                time.sleep(_LOOK_EVERY_S)


@contextmanager
def open_house(
    sink: FarSide, *, senders: int, rate: str, lanes: int, replies: int = 0, **settings: Any
) -> Iterator[House]:
    """A new one, with `lanes` worker processes for turns, `replies` for replies and one for upkeep.

    settings: what differs from the defaults.
    """
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="dispatcher-"))
        home.chmod(0o711)  # for root, PostgreSQL runs as another user, who must be able to pass through
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        servers = stack.enter_context(Embedded(home / "data"))
        token = home / "token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        found = Settings.load(
            database_url=servers.database_url, redis_url=servers.redis_url, graph_url=sink.url, **settings
        )
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        # why another address: only posts of messages go by TLS here, templates are read over the console's port.
        opened = open_app(found.model_copy(update={"graph_url": sink.console_url}))
        app = runner.run(opened.__aenter__())
        stack.callback(lambda: runner.run(opened.__aexit__(None, None, None)))
        sink.put_templates([TEMPLATE])
        names = runner.run(book_senders(app, f"file:{token}", senders, rate=rate, tier="unlimited"))
        with _trusting(sink.certificate):
            workers = [start_workers(found, "lanes", 1) for _ in range(lanes)]
            upkeep = start_workers(found, "upkeep", 1)
            answering = [start_workers(found, "replies", 1) for _ in range(replies)]
        stack.callback(stop_all, [*workers, *answering, upkeep])
        processes = {
            "lanes": [worker.pid for worker in workers],
            "upkeep": [upkeep.pid],
            **({"replies": [worker.pid for worker in answering]} if answering else {}),
            "postgres": [_postmaster(home / "data")],
            "valkey": [runner.run(_valkey(app))],
        }
        _wait_for_workers(runner, app, lanes + replies + 1)
        yield House(home, app, runner, names, processes)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The dispatcher as a contestant."""

    name: str
    people: int
    """Of all campaigns together."""
    senders: int
    workers: int = 1
    campaigns: int = 1
    in_flight: int | None = None
    """None: as the settings have it."""
    one_core: bool = False
    """Whether each worker keeps to a core of its own."""

    @property
    def messages(self) -> int:
        """One for each person."""
        return self.people

    @contextmanager
    def ready(self, sink: FarSide) -> Iterator[Ready]:
        """Campaigns with their people imported; go starts them."""
        rate = f"{max(1_000, TOGETHER_PER_S // self.senders)}/s"
        settings: dict[str, Any] = {} if self.in_flight is None else {"in_flight": self.in_flight}
        settings["one_core"] = self.one_core
        with open_house(sink, senders=self.senders, rate=rate, lanes=self.workers, **settings) as house:
            drafts = [house.draft(self.people // self.campaigns) for _ in range(self.campaigns)]

            def go() -> None:
                for draft in drafts:
                    house.run(house.app.campaigns.start(draft))

            yield Ready(go, house.processes, finish=lambda: house.wait_until_settled(drafts))
            faults = house.run(house.app.campaigns.check())
            assert not faults, [fault.what for fault in faults]
            record = sink.record()
            assert record["accepted"] == self.people, record


def _wait_for_workers(runner: asyncio.Runner, app: App, processes: int) -> None:
    """Until one takes jobs and all have opened the ledger, beside ourselves. Raises TimeoutError."""
    ends_s = time.monotonic() + _WORKERS_WITHIN_S
    while not (runner.run(app.has_workers()) and runner.run(app.database.fetchval(_OPENED)) >= processes):
        if time.monotonic() > ends_s:
            raise TimeoutError("worker processes did not get ready")
        time.sleep(_LOOK_EVERY_S)


def _postmaster(data: Path) -> int:
    return int(next(data.glob("**/postmaster.pid")).read_text().splitlines()[0])


async def _valkey(app: App) -> int:
    return int((await app.redis.info("server"))["process_id"])


@contextmanager
def _trusting(certificate: str | None) -> Iterator[None]:
    """Processes started within trust it."""
    if certificate is None:
        yield
        return
    before = os.environ.get(_CERTIFICATES)
    os.environ[_CERTIFICATES] = certificate
    try:
        yield
    finally:
        del os.environ[_CERTIFICATES]
        if before is not None:
            os.environ[_CERTIFICATES] = before
