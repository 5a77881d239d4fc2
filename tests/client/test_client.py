"""The client, as a marketing system uses it; each claim holds of both clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import uvicorn
from support.builders import a_phone
from support.conversations import a_conversation, has_written
from support.waiting import wait_until

from dispatcher.client import Refused, Unreachable, campaigns, messages, replies, senders
from dispatcher.client.calls import Call
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.ids import CampaignId

from .conftest import Made, Wobbly

MAPPING = {"body.1": {"column": "first_name"}, "body.2": {"text": "20%"}}


def an_order(once: str | None = None) -> Call[campaigns.CampaignDetail]:
    return campaigns.order(
        "autumn", template="autumn", language="en_US", senders=["harbour"], mapping=MAPPING, once=once
    )


def people(number: int) -> Iterator[dict[str, str]]:
    """From an iterator that can be gone through once."""
    for n in range(number):
        yield {"phone": a_phone(n), "first_name": f"Zoë \u2028 {n}"}


async def test_a_campaign_from_an_iterator_to_its_export(made: Made) -> None:
    campaign = await made.do(an_order())
    told: list[tuple[int, int]] = []
    added = await made.do(
        campaigns.add_people(campaign["id"], people(50), progress=lambda *sent: told.append(sent))
    )
    assert (added["people"], added["rejected"]) == (50, {})
    assert told[-1][0] == told[-1][1] > 0
    assert (await made.do(campaigns.start(campaign["id"])))["state"] == "running"
    async with made.world.workers():
        seen = await made.each(campaigns.progress(campaign["id"]))
    assert seen[-1]["state"] == CampaignState.COMPLETED
    rows = await made.each(campaigns.export(campaign["id"]))
    assert [(row["phone"], row["state"]) for row in rows] == [(a_phone(n), "accepted") for n in range(50)]
    await made.world.both_ends_agree(await made.world.app.campaigns.find(CampaignId(campaign["id"])))


async def test_lists_are_read_to_their_end_page_by_page(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.client.campaigns.PAGE", 7)
    campaign = await made.do(an_order())
    await made.do(campaigns.add_page(campaign["id"], [*people(20), {"phone": "call me"}]))
    found = await made.each(campaigns.messages(campaign["id"]))
    assert [each["person"] for each in found] == [a_phone(n) for n in range(20)]
    [rejected] = await made.each(campaigns.rejected(campaign["id"]))
    assert (rejected["line"], rejected["reason"]) == (21, "not_a_number")
    assert [each["id"] for each in await made.each(campaigns.every())] == [campaign["id"]]
    waiting = await made.do(campaigns.message_to(campaign["id"], a_phone(3)))
    assert waiting["explanation"]["binding"]["reason"] == "not_started"


async def test_a_refusal_carries_what_the_api_said(made: Made) -> None:
    with pytest.raises(Refused) as refused:
        await made.do(campaigns.show(4711))
    assert (refused.value.status, refused.value.kind) == (404, "not_found")
    assert "there is no campaign 4711" in str(refused.value)
    with pytest.raises(Refused, match="401 unknown_key"):
        await replace(made, key=f"dk_{'0' * 12}_{'x' * 43}").do(campaigns.show(1))
    with pytest.raises(Refused, match="404 not_found"):
        await made.each(campaigns.export(4711))


async def test_nobody_there_is_said_after_some_tries(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="did not answer"):
        await replace(made, url=f"http://127.0.0.1:{port}", tries=2).do(campaigns.show(1))


async def test_senders_suppressions_and_single_messages(made: Made) -> None:
    assert [each["name"] for each in (await made.do(senders.every()))["items"]] == ["harbour"]
    assert (await made.do(senders.change("harbour", rate="20/s")))["rate_per_s"] == 20.0
    assert await made.do(senders.suppress([a_phone(1)])) == {"given": 1, "changed": 1}
    assert [each["person"] for each in await made.each(senders.suppressed())] == [a_phone(1)]
    assert (await made.do(senders.unsuppress([a_phone(1)])))["changed"] == 1
    told = (await made.do(senders.history(a_phone(1))))["items"]
    assert [each["change"] for each in told] == ["added", "removed"]
    with pytest.raises(Refused, match="for marketing"):
        await made.do(
            messages.send(
                a_phone(1),
                sender="harbour",
                template="autumn",
                language="en_US",
                values={"body.1": "Ann", "body.2": "20%"},
                once="order-1",
            )
        )


async def test_a_reply_from_the_conversation_to_its_end(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.client.replies.PAGE", 2)
    harbour = await made.world.app.senders.named("harbour")
    await has_written(made.world, harbour, a_phone(1))
    await a_conversation(made.world.app.database, harbour, a_phone(2), open_for=timedelta(hours=-1))
    [_, first] = await made.each(replies.conversations("harbour"))
    assert (first["person"], first["window"]["is_open"]) == (a_phone(1), True)
    said = [
        await made.do(replies.say(first["person"], text, sender="harbour", key=f"ticket-1-{text}"))
        for text in ("one", "two", "three")
    ]
    again = await made.do(replies.say(first["person"], "one", sender="harbour", key="ticket-1-one"))
    assert (again["id"], again["is_new"]) == (said[0]["id"], False)
    listed = await made.each(replies.every(sender="harbour", person=a_phone(1)))
    assert [each["id"] for each in listed] == [each["id"] for each in reversed(said)]
    assert (await made.do(replies.cancel(said[1]["id"])))["reply"]["state"] == "cancelled"
    assert (await made.do(replies.show(said[2]["id"])))["reply"]["waits_for"] == said[0]["id"]
    assert (await made.do(replies.transcript(first["id"], 5)))["messages"] == []
    with pytest.raises(Refused) as late:
        await made.do(replies.say(a_phone(2), "hello?", sender="harbour"))
    assert late.value.kind == "window_closed"
    assert late.value.window_closed_at is not None
    with pytest.raises(Refused) as bad:
        await made.do(replies.say(a_phone(1), {"type": "sticker", "source": "x"}, sender="harbour"))
    assert (bad.value.kind, bad.value.field) == ("bad_content", "source")
    with pytest.raises(Refused, match="nothing to mark"):
        await made.do(replies.mark_read(a_phone(3), sender="harbour"))


# What was done although nobody learned of it.


class _Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def wobbly(made: Made, *, lose: int) -> AsyncIterator[tuple[Made, Wobbly]]:
    """The same client behind a proxy that loses the first answers."""
    proxy = Wobbly(made.url, lose=lose)
    config = uvicorn.Config(proxy, lifespan="off", log_config=None, ws="none")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await wait_until(lambda: server.started, description="the proxy is up")
        yield replace(made, url="http://{}:{}".format(*listener.getsockname())), proxy
        server.should_exit = True
        await running


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_done_twice(made: Made) -> None:
    async with wobbly(made, lose=2) as (client, proxy):
        campaign = await client.do(an_order())
        assert proxy.asked == 3
    async with wobbly(made, lose=1) as (client, proxy):
        added = await client.do(campaigns.add_people(campaign["id"], people(20)))
        assert (added["people"], proxy.asked) == (20, 2)
    assert len(await made.each(campaigns.every())) == 1
    assert len(await made.each(campaigns.messages(campaign["id"]))) == 20


async def test_another_process_may_make_the_same_call_again_under_its_name(made: Made) -> None:
    first = await made.do(an_order(once="autumn-2026"))
    assert await made.do(an_order(once="autumn-2026")) == first
    once = "autumn-2026-people"
    added = await made.do(campaigns.add_people(first["id"], people(20), once=once))
    assert await made.do(campaigns.add_people(first["id"], people(20), once=once)) == added
    with pytest.raises(Refused, match="was used for something else"):
        await made.do(campaigns.add_people(first["id"], people(21), once=once))


async def test_what_is_not_safe_to_repeat_is_not_repeated(made: Made) -> None:
    call: Call[object] = Call("POST", "/keys", body={"name": "x", "scopes": ["read"]}, is_repeatable=False)
    async with wobbly(made, lose=1) as (client, proxy):
        with pytest.raises((Unreachable, Refused)):
            await client.do(call)
        assert proxy.asked == 1


async def test_who_asks_too_fast_waits_and_gets_the_answer(made: Made) -> None:
    written = await made.do(
        Call("POST", "/keys", body={"name": "slow", "scopes": ["read"], "rate": "20/s"}, is_repeatable=False)
    )
    slow = replace(made, key=written["key"], tries=50)
    answers = await asyncio.gather(*(slow.do(senders.every()) for _ in range(45)))
    assert len(answers) == 45
