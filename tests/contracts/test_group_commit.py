"""Group commit: one transaction for many, nobody told too early, nobody failed for somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from support.brakes import Brake

from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.ledger import group_commit
from dispatcher.ledger.database import Database
from dispatcher.ledger.group_commit import LOADS_AT_ONCE, InboxWriter
from dispatcher.ledger.inbox import LedgerInbox

PATIENCE = timedelta(seconds=10)


class BrakedInbox(LedgerInbox):
    """The inbox, with a brake before each load is written, and a list of loads that are lost there."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.brake = Brake()
        self.loads: list[list[bytes]] = []
        self.lost: set[int] = set()

    async def add(
        self, bodies: Sequence[bytes], *, within: timedelta, urgent: Sequence[bool] | None = None
    ) -> None:
        self.loads.append(list(bodies))
        number = len(self.loads)
        await self.brake.stop()
        if number in self.lost:
            raise LedgerUnavailable("the connection broke")
        await super().add(bodies, within=within, urgent=urgent)

    async def stored(self) -> list[bytes]:
        async with self.batch(1_000) as batch:
            return [body.content for body in batch.bodies]


@pytest.fixture
def inbox(database: Database) -> BrakedInbox:
    return BrakedInbox(database)


@pytest.fixture
def writer(inbox: BrakedInbox) -> InboxWriter:
    return InboxWriter(inbox, patience=PATIENCE)


async def begun(writer: InboxWriter, *bodies: bytes) -> list[asyncio.Task[None]]:
    """Bodies handed in, all in one moment."""
    tasks = [asyncio.create_task(writer.write(body)) for body in bodies]
    await asyncio.sleep(0)
    return tasks


async def until_stopped(inbox: BrakedInbox, loads: int) -> None:
    """Wait until so many loads stand at the brake."""
    while inbox.brake.waiting < loads:
        inbox.brake.reached.clear()
        await inbox.brake.reached.wait()


async def test_what_comes_in_together_is_one_load(inbox: BrakedInbox, writer: InboxWriter) -> None:
    inbox.brake.open.set()
    await asyncio.gather(*(writer.write(b"%d" % n) for n in range(50)))
    assert inbox.loads == [[b"%d" % n for n in range(50)]]
    assert await inbox.stored() == inbox.loads[0]


async def test_nobody_is_told_before_the_commit(inbox: BrakedInbox, writer: InboxWriter) -> None:
    [task] = await begun(writer, b"one")
    await until_stopped(inbox, 1)
    assert not task.done()
    inbox.brake.open.set()
    await task
    assert await inbox.stored() == [b"one"]


async def test_behind_two_loads_on_their_way_everything_gathers(
    inbox: BrakedInbox, writer: InboxWriter
) -> None:
    tasks = []
    for n in range(LOADS_AT_ONCE):
        tasks += await begun(writer, b"%d" % n)
        await until_stopped(inbox, n + 1)
    tasks += await begun(writer, b"a", b"b")
    tasks += await begun(writer, b"c")
    inbox.brake.open.set()
    await asyncio.gather(*tasks)
    assert inbox.loads == [[b"0"], [b"1"], [b"a", b"b", b"c"]]


async def test_a_load_that_fails_fails_its_own_bodies_alone(inbox: BrakedInbox, writer: InboxWriter) -> None:
    inbox.lost = {1}
    lost = await begun(writer, b"lost", b"lost, too")
    await until_stopped(inbox, 1)
    kept = await begun(writer, b"kept")
    await until_stopped(inbox, 2)
    inbox.brake.open.set()
    told = await asyncio.gather(*lost, *kept, return_exceptions=True)
    assert [type(each) for each in told] == [LedgerUnavailable, LedgerUnavailable, type(None)]
    assert told[0] is not told[1]
    assert await inbox.stored() == [b"kept"]


async def test_nobody_waits_longer_than_the_patience(inbox: BrakedInbox) -> None:
    writer = InboxWriter(inbox, patience=timedelta(milliseconds=50))
    on_their_way: list[asyncio.Task[None]] = []
    for n in range(LOADS_AT_ONCE):
        on_their_way += await begun(writer, b"%d" % n)
        await until_stopped(inbox, n + 1)
    in_line = await begun(writer, b"in line")
    told = await asyncio.gather(*on_their_way, *in_line, return_exceptions=True)
    assert {str(each) for each in told} == {"PostgreSQL did not answer within 0.05 s"}
    assert b"in line" not in [body for load in inbox.loads for body in load]


async def test_who_no_longer_waits_disturbs_nobody(inbox: BrakedInbox, writer: InboxWriter) -> None:
    gone, stays = await begun(writer, b"gone", b"stays")
    gone.cancel()
    inbox.brake.open.set()
    await stays
    assert await inbox.stored() == [b"gone", b"stays"]


async def test_a_full_load_takes_no_more(
    inbox: BrakedInbox, writer: InboxWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LOAD_BYTES", 8)
    inbox.brake.open.set()
    await asyncio.gather(*(writer.write(body) for body in (b"1234", b"5678", b"9", b"0")))
    assert inbox.loads == [[b"1234", b"5678"], [b"9", b"0"]]
