"""Telling others: a shop hears what becomes of its campaign, whatever its own server goes through meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest
from support.builders import a_phone
from support.waiting import wait_until
from support.world import World

from benchmarks.receiver import Weather, out_of_order, receiving
from dispatcher.vault import new_key

PEOPLE = 60
HIDDEN = "a-secret-in-the-address"


@pytest.mark.settings(events_networks=["127.0.0.0/8"], events_timeout_s=2, events_batch_most=10)
async def test_a_shop_hears_everything_once_its_server_is_well_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """My shop wants to know who got its offer, who read it and who wrote back.
    Its server is away when the offer goes out; when it is back, it fails half of the time, and breaks off after it has read.
    In the end it knows everything: each person's story in order, and what it heard twice it can tell by the id."""
    monkeypatch.setenv("SEAL_KEY", new_key())
    harbour = await world.a_sender("harbour")
    async with receiving() as shop, receiving() as office:
        for receiver in (shop, office):
            made, secret = await world.app.subscriptions.create(
                f"{receiver.url}?key={HIDDEN}", ["campaign.*", "message.*", "receipt.*", "inbound.message"]
            )
            receiver.secrets.append(secret)
        await shop.go_down()

        async with world.webhooks(), world.workers():
            offer = await world.a_campaign(people=PEOPLE)
            await world.becomes(offer)
            await world.meta.writes(harbour.phone_number_id, a_phone(3), "Is that true for shoes, too?")
            await world.meta.reported()

            # The office, whose server is well, has heard of it all the while.
            def office_knows() -> bool:
                kinds = Counter(event["kind"] for event in office.first_times)
                return (kinds["receipt.delivered"], kinds["inbound.message"]) == (PEOPLE, 1)

            await wait_until(office_knows, description="the office has heard everything")
            [_, (_, state)] = sorted(
                await world.app.subscriptions.all(0, 10), key=lambda each: each[0].url.startswith(shop.url)
            )
            assert state.failing_since is not None
            assert state.pending > PEOPLE
            assert "cannot be connected to" in (state.last_error or "")

            # The shop's server comes back, and is not well yet.
            shop.weather = Weather((200, 500), breaks=0.3)
            await shop.come_up()
            await wait_until(lambda: len(shop.got) >= 4, description="the shop hears something again")
            shop.weather = Weather()
            heard = {_what(event) for event in office.first_times}
            await wait_until(
                lambda: {_what(event) for event in shop.first_times} == heard,
                description="the shop knows what the office knows",
                timeout=90,
            )

    for receiver in (shop, office):
        kinds = Counter(event["kind"] for event in receiver.first_times)
        assert kinds == {
            "campaign.started": 1,
            "message.accepted": PEOPLE,
            "receipt.sent": PEOPLE,
            "receipt.delivered": PEOPLE,
            "campaign.completed": 1,
            "inbound.message": 1,
        }
        assert out_of_order(receiver.first_times, _subject) == []
        [question] = [event["data"] for event in receiver.first_times if event["kind"] == "inbound.message"]
        assert (question["person"], question["content"]["text"]) == (
            a_phone(3),
            {"body": "Is that true for shoes, too?"},
        )
    assert len(office.events) == len(office.first_times)
    assert made.is_enabled
    said = (world.folder / "workers.log").read_text()
    assert "events could not be delivered" in said
    assert not [secret for secret in (HIDDEN, *shop.secrets, *office.secrets) if secret in said]


def _what(event: dict[str, object]) -> tuple[object, ...]:
    """What an event says; its id is each subscription's own."""
    data = event["data"]
    assert isinstance(data, dict)
    return event["kind"], data.get("message_id"), data.get("wamid")


def _subject(event: dict[str, object]) -> tuple[object, ...]:
    """What the order is about: what becomes of one message, and what is reported of it."""
    data = event["data"]
    assert isinstance(data, dict)
    return str(event["kind"]).partition(".")[0], data.get("campaign_id"), data.get("message_id")
