"""Meta's door for messages, as ours: what is taken arrives once, and the answer is the one that clients of Meta expect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from front_door import FrontDoor
from gateway_builders import ANN, BOB, EVE, Client, a_template, a_text
from support.conversations import a_conversation, has_written
from support.waiting import wait_until

from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import CampaignKind
from dispatcher.domain.gateway import GatewayId
from dispatcher.domain.ids import REPLIES


@pytest.fixture
async def client(door: FrontDoor) -> AsyncIterator[Client]:
    """Ann has written to harbour; Bob has, too, but his window has closed."""
    harbour = await door.world.app.senders.named("harbour")
    await has_written(door.world, harbour, ANN)
    await a_conversation(door.world.app.database, harbour, BOB, open_for=timedelta(hours=-1))
    return Client(door, harbour.phone_number_id)


async def test_a_template_and_a_text_arrive_under_the_ids_that_were_answered(client: Client) -> None:
    world = client.door.world
    async with world.workers():
        answer = await client.post(a_template(EVE.removeprefix("+")))
        assert answer.status_code == 200
        told = answer.json()
        assert told["contacts"] == [{"input": EVE.removeprefix("+"), "wa_id": EVE.removeprefix("+")}]
        [sent] = told["messages"]
        assert sent["message_status"] == "accepted"
        template = GatewayId.parse(sent["id"])
        text = GatewayId.parse(await client.sends(a_text()))
        assert template is not None
        assert text is not None
        assert text.is_reply

        async def have_arrived() -> bool:
            return await world.meta.accepted() == 2

        await wait_until(have_arrived, description="both have arrived")
    arrived = {
        (each.person, each.token.campaign_id, each.token.message_id) for each in await world.meta.arrived()
    }
    assert arrived == {
        (EVE, template.campaign_id, template.message_id),
        (ANN, REPLIES, text.message_id),
    }
    assert await world.meta.violations() == {}
    campaign = await world.app.campaigns.find(template.campaign_id)
    assert campaign.kind is CampaignKind.STANDING
    await world.both_ends_agree(campaign)


async def test_messages_of_one_form_share_a_campaign_and_a_person_opens_the_next(client: Client) -> None:
    first = [GatewayId.parse(await client.sends(a_template(to, "X", "20%"))) for to in (ANN, BOB, EVE)]
    again = GatewayId.parse(await client.sends(a_template(ANN, "X", "30%")))
    after = GatewayId.parse(await client.sends(a_template(BOB, "X", "30%")))
    assert len({each.campaign_id for each in first if each}) == 1
    assert again is not None
    assert after is not None
    assert again.campaign_id == after.campaign_id != first[0].campaign_id  # type: ignore[union-attr]
    listed = await client.door.get("/campaigns")
    assert listed["items"] == [], "lists of campaigns leave standing ones out"


async def test_a_campaign_that_is_done_goes_on_with_the_next_message(client: Client) -> None:
    world = client.door.world
    async with world.workers():
        first = GatewayId.parse(await client.sends(a_template(ANN)))
        assert first is not None
        campaign = await world.app.campaigns.find(first.campaign_id)
        await world.becomes(campaign)
        second = GatewayId.parse(await client.sends(a_template(BOB)))
        assert second is not None
        assert second.campaign_id == first.campaign_id

        async def both() -> bool:
            return (await world.counts(campaign)).accepted == 2

        await wait_until(both, description="both are accepted")
        await world.becomes(campaign)
    await world.both_ends_agree(campaign)


async def test_many_at_once_are_all_taken_and_counted(client: Client) -> None:
    """Some of them to the same person, for whom a campaign has one place."""
    people = [f"+49151200000{n:02d}" for n in range(30)] + [EVE] * 5
    ids = await asyncio.gather(*(client.sends(a_template(to)) for to in people))
    assert len(set(ids)) == len(people)
    assert await client.door.world.app.campaigns.check() == []
    rows = await client.door.world.app.database.fetch(
        "SELECT count(*) AS n, count(DISTINCT campaign_id) AS campaigns FROM messages"
    )
    assert rows[0]["n"] == len(people)
    assert rows[0]["campaigns"] == 5


async def test_under_one_name_a_message_is_sent_once(client: Client) -> None:
    once = {"headers": {"Idempotency-Key": "order-4711"}}
    answers = await asyncio.gather(*(client.post(a_template(), **once) for _ in range(5)))
    assert {answer.content for answer in answers} == {answers[0].content}
    texts = [await client.post(a_text(), headers={"Idempotency-Key": "text-1"}) for _ in range(2)]
    assert texts[0].content == texts[1].content
    other = await client.post(a_text(body="Another one."), headers={"Idempotency-Key": "text-1"})
    assert other.json()["error"]["code"] == 131009
    database = client.door.world.app.database
    assert await database.fetchval("SELECT count(*) FROM messages") == 1
    assert await database.fetchval("SELECT count(*) FROM replies") == 1


async def test_marks_and_answers_name_messages_by_either_id(client: Client) -> None:
    world = client.door.world
    harbour = await world.app.senders.named("harbour")
    async with world.workers(role="replies"):
        ours = await client.sends(a_text())

        async def is_accepted() -> bool:
            named = GatewayId.parse(ours)
            assert named is not None
            return await world.app.gateway.book.wamid_of(named) is not None

        await wait_until(is_accepted, description="Meta has it")
    mark = {"status": "read", "message_id": "wamid.IN.1", "typing_indicator": {"type": "text"}}
    answer = await client.post(mark)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    await client.sends(a_text(context={"message_id": ours}))
    await client.sends({"to": ANN, "type": "reaction", "reaction": {"message_id": ours, "emoji": "👍"}})
    template = GatewayId.parse(await client.sends(a_template(ANN, context={"message_id": ours})))
    assert template is not None
    page = await world.app.replies.recent(2, sender=harbour.name)
    named = GatewayId.parse(ours)
    assert named is not None
    wamid = await world.app.gateway.book.wamid_of(named)
    assert page[1].context_wamid == wamid
    assert page[0].content["reaction"]["message_id"] == wamid
    view = await world.app.explain.message(template.campaign_id, template.message_id)
    assert list(view.values) == ["Ann", "20%", wamid]
    too_early = await client.sends(a_text())
    code, details = await client.refused(a_text(context={"message_id": too_early}))
    assert code == 131009
    assert "context.message_id" in details


@pytest.mark.settings(gateway_waiting_most=3)
async def test_a_full_queue_says_when_to_come_again(client: Client) -> None:
    await client.sends(a_text())
    await client.sends(a_template(BOB))
    await client.sends(a_template(EVE))
    for said in (a_text(), a_template("+4915112345678")):
        answer = await client.post(said)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        error = answer.json()["error"]
        assert (error["code"], error["is_transient"]) == (130429, True)
        assert "come again in" in error["error_data"]["details"]
    async with client.door.world.workers():

        async def has_room() -> bool:
            return (await client.post(a_template("+4915112345678"))).status_code == 200

        await wait_until(has_room, description="there is room again")


async def test_each_kind_needs_its_scope(client: Client) -> None:
    door = client.door
    log = len(await door.log())
    for scope, taken, other in (
        (Scope.MESSAGES_WRITE, a_template(), a_text()),
        (Scope.REPLIES_WRITE, a_text(), a_template(BOB)),
    ):
        narrow = Client(door, client.number_id, await door.a_key(scope))
        await narrow.sends(taken)
        answer = await narrow.post(other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, 10)
    reader = Client(door, client.number_id, await door.a_key(Scope.READ))
    assert (await reader.post(a_text())).status_code == 403
    refused = [entry for entry in await door.log() if entry.subject == "missing_scope"]
    assert {entry.action for entry in refused} == {"POST /{version}/{phone_number_id}/messages"}
    assert len(refused) == 3
    assert len(await door.log()) > log
