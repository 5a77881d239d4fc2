"""Bodies in which people speak: taken in before all others, and answered when they are applied."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.waiting import wait_until
from support.webhooks import SAMPLES

from dispatcher.channel.urgency import people_speak_in
from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.domain.webhook import AccountNews, Inbound, News
from dispatcher.ledger.applied import AppliedWatch
from dispatcher.ledger.database import Database
from dispatcher.ledger.inbox import LedgerInbox

WITHIN, PATIENCE = timedelta(seconds=5), timedelta(seconds=30)


@pytest.fixture
def inbox(database: Database) -> LedgerInbox:
    return LedgerInbox(database)


async def taken(inbox: LedgerInbox, most: int = 10) -> list[bytes]:
    async with inbox.batch(most) as batch:
        return [body.content for body in batch.bodies]


async def test_urgent_bodies_are_taken_first_and_alone(inbox: LedgerInbox) -> None:
    await inbox.add([b"report 1", b"stop 1", b"report 2"], within=WITHIN, urgent=[False, True, False])
    await inbox.add([b"stop 2"], within=WITHIN, urgent=[True])
    assert await taken(inbox) == [b"stop 1", b"stop 2"]
    assert await taken(inbox) == [b"report 1", b"report 2"]


async def test_while_a_worker_has_the_urgent_ones_another_goes_on_with_the_rest(inbox: LedgerInbox) -> None:
    await inbox.add([b"report", b"stop"], within=WITHIN, urgent=[False, True])
    async with inbox.batch(10) as batch:
        assert [body.content for body in batch.bodies] == [b"stop"]
        assert await taken(inbox) == [b"report"]


async def test_the_watch_tells_when_a_body_was_applied_and_not_while_it_is(inbox: LedgerInbox) -> None:
    await inbox.add([b"stop"], within=WITHIN, urgent=[True])
    waiting = asyncio.create_task(AppliedWatch(inbox, patience=PATIENCE).applied())
    async with inbox.batch(10) as batch:
        assert batch.bodies
        for _ in range(5):
            assert await inbox.urgent() is not None
        assert not waiting.done()
    assert await waiting


async def test_nobody_waits_for_what_comes_later(inbox: LedgerInbox) -> None:
    watch = AppliedWatch(inbox, patience=PATIENCE)
    assert await watch.applied(), "nothing urgent is there"
    await inbox.add([b"one"], within=WITHIN, urgent=[True])
    first = asyncio.create_task(watch.applied())
    await wait_until(lambda: watch.waiting, description="the first one's place is known")
    await inbox.add([b"two"], within=WITHIN, urgent=[True])
    second = asyncio.create_task(watch.applied())
    assert await taken(inbox, most=1) == [b"one"]
    assert await first
    assert not second.done()
    assert await taken(inbox) == [b"two"]
    assert await second


async def test_patience_ends(inbox: LedgerInbox) -> None:
    await inbox.add([b"stop"], within=WITHIN, urgent=[True])
    assert not await AppliedWatch(inbox, patience=timedelta(milliseconds=50)).applied()


async def test_a_ledger_that_goes_away_keeps_nobody_waiting() -> None:
    class Away:
        async def urgent(self) -> tuple[int, int] | None:
            raise LedgerUnavailable("the connection broke")

    assert not await AppliedWatch(Away(), patience=PATIENCE).applied()


def test_what_people_say_and_prefer_is_urgent_and_reports_are_not() -> None:
    """Where it is told by the bytes alone, it may err towards urgent: a history holds old messages."""
    urgent = {sample for sample, body in SAMPLES.items() if people_speak_in(body)}
    spoken = {
        sample
        for sample, body in SAMPLES.items()
        if any(isinstance(news, Inbound) or _is_preference(news) for news in read_webhook(body))
    }
    assert urgent - spoken == {"history"}
    assert spoken <= urgent


def _is_preference(news: News) -> bool:
    return isinstance(news, AccountNews) and news.field == "user_preferences"
