"""A worker that is killed in the middle of a delivery: another one goes on, in order, under the same ids."""

from __future__ import annotations

import signal

import pytest
from support.outbox import Post
from support.waiting import wait_until
from support.world import World

from benchmarks.receiver import Weather, out_of_order, receiving
from dispatcher.domain.event import EventKind
from dispatcher.vault import new_key

EVENTS = 12


@pytest.mark.settings(events_networks=["127.0.0.0/8"], events_batch_most=4, events_timeout_s=1)
async def test_what_a_killed_worker_had_on_the_way_is_delivered_by_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAL_KEY", new_key())
    async with receiving(weather=Weather(delay_s=0.8)) as receiver:
        shop, secret = await world.app.subscriptions.create(receiver.url, ["campaign.*"])
        receiver.secrets.append(secret)
        post = Post(world.app.database)
        for n in range(EVENTS):
            await post.outbox.tell(EventKind.CAMPAIGN_STARTED, None, {"n": n})
        async with world.workers(1, role="events") as [doomed]:
            await wait_until(lambda: len(receiver.got) >= 1, description="the first batch is taken")

            async def second_is_on_its_way() -> bool:
                """The first has left the outbox, and the receiver keeps the answer to the second back."""
                return len(receiver.got) == 1 and len(await post.waiting(shop)) < EVENTS

            await wait_until(second_is_on_its_way, description="the second batch is on its way")
            doomed.send_signal(signal.SIGKILL)
        receiver.weather = Weather()
        async with world.workers(1, role="events"):
            await wait_until(
                lambda: len(receiver.first_times) == EVENTS, description="the other one delivers the rest"
            )
        assert [event["data"]["n"] for event in receiver.first_times] == list(range(EVENTS))
        assert out_of_order(receiver.first_times, lambda event: event["kind"]) == []
        assert {got.status for got in receiver.got} == {200}
