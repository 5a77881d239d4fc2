"""A bot that was written for Meta's API moves in: an address and a key are changed, and everything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pywa.errors import (
    ExpiredAccessToken,
    MessageUndeliverable,
    RateLimitHit,
    ReEngagementMessage,
    TemplateNotExists,
    WhatsAppError,
)
from pywa_async import types
from pywa_async.types.templates import BodyText, TemplateLanguage
from support.builders import a_phone
from support.meta import WEBHOOKS
from support.pywa_bot import APP_SECRET, VERIFY_TOKEN, Bot, a_bot
from support.waiting import wait_until
from support.world import World

from dispatcher.api import webhooks
from dispatcher.domain.access import Scope
from dispatcher.domain.event import EventFormat
from dispatcher.domain.gateway import GatewayId
from dispatcher.domain.relay import RelayTo
from dispatcher.processes import start_api
from dispatcher.vault import new_key

ANN, BOB, EVE, KIM = (a_phone(n).removeprefix("+") for n in range(4))
"""As a client of Meta knows people: by their digits."""
PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
LANGUAGE = TemplateLanguage.ENGLISH_US
LOOPBACK = {"events_networks": ["127.0.0.1"], "gateway_waiting_most": 30}


@pytest.fixture
async def bot(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    """The bot at the gateway of a real HTTP process, and the gateway at Meta; what happens is relayed to the bot."""
    monkeypatch.setenv("SEAL_KEY", new_key())
    harbour = await world.a_sender("harbour")
    _, key = await world.app.access.create("bot", {Scope.READ, Scope.MESSAGES_WRITE, Scope.REPLIES_WRITE})
    process, url = await asyncio.to_thread(start_api, world.app.settings)
    try:
        await world.meta.reports_to(url + webhooks.PATH)
        async with a_bot(url, key, harbour.phone_number_id, world.meta.waba_id) as (bot, hook):
            # As the bot would tell Meta where its webhook is; its own answer to the handshake is looked at.
            await world.app.subscriptions.create(
                hook, (), None, EventFormat.META, relay=RelayTo(APP_SECRET, VERIFY_TOKEN)
            )
            yield bot
        await world.meta.reports_nowhere()
    finally:
        await asyncio.to_thread(process.stop)


async def has(what: Callable[[], bool], description: str) -> None:
    """Wait until it is so at the bot."""

    async def is_so() -> bool:
        return what()

    await wait_until(is_so, description=description, timeout=40)


@pytest.mark.settings(**LOOPBACK)
async def test_a_bot_moves_in(world: World, bot: Bot, tmp_path: Path) -> None:
    """My bot answers people with texts, pictures and buttons, and sends offers. I gave it another address and another key."""
    wa, number_id = bot.wa, str(bot.wa.phone_id)
    async with world.workers():
        # Ann writes, and the bot hears of it as if Meta had called.
        wamid = await world.meta.writes(number_id, f"+{ANN}", "Is it open today?", name="Ann")
        await has(lambda: bool(bot.messages), "the bot has heard of Ann")
        [question] = bot.messages
        assert (question.id, question.text, question.from_user.wa_id) == (wamid, "Is it open today?", ANN)

        # It answers in every way it knows.
        await wa.mark_message_as_read(message_id=question.id)
        await wa.indicate_typing(message_id=question.id)
        upload = await wa.upload_media(PIXELS, mime_type="image/png", filename="map.png")
        sent = [
            await question.reply_text("It is, until eight."),
            await wa.send_image(ANN, upload, caption="Here"),
            await wa.send_document(ANN, "https://shop.example/menu.pdf", filename="menu.pdf"),
            await wa.send_message(
                ANN,
                "When do you come?",
                header="Harbour",
                footer="We are at the quay.",
                buttons=[types.Button("Morning", "am"), types.Button("Evening", "pm")],
            ),
            await wa.send_message(
                ANN,
                "Which table?",
                buttons=types.SectionList(
                    "Tables", [types.Section("Outside", [types.SectionRow("Window", "t1", "With a view")])]
                ),
            ),
            await wa.send_message(ANN, "Our menu", buttons=types.URLButton("Open", "https://shop.example")),
            await wa.send_location(ANN, 53.54, 9.98, name="Harbour", address="Quay 1"),
            await wa.send_reaction(ANN, "👍", question.id, tracker="thumb"),
        ]
        offer = await wa.send_template(
            EVE, "autumn", LANGUAGE, [BodyText.params("Eve", "20%")], tracker="campaign:7"
        )

        # All of it arrives at Meta, in order, and what Meta reports of it comes back under the ids that the bot was given.
        await has(
            lambda: all("delivered" in bot.known_of(each.id) for each in [*sent[:-1], offer]),
            "everything is delivered",
        )
        told = {status.id: status for status in bot.statuses}
        assert told.keys() >= {each.id for each in sent}
        assert (told[offer.id].tracker, told[sent[-1].id].tracker, told[sent[0].id].tracker) == (
            "campaign:7",
            "thumb",
            None,
        )
        assert told[offer.id].from_user.wa_id == EVE
        assert await world.meta.contents() == {
            "text": 1, "image": 1, "document": 1, "interactive": 3, "location": 1, "reaction": 1,
            "template:autumn:en_US": 1,
        }  # fmt: skip
        assert await world.meta.violations() == {}

        # Ann presses a button: Meta knows its message by another id than the bot does.
        asked = sent[3]
        theirs = next(
            each.wamid
            for each in await world.meta.arrived()
            if str(each.token.message_id) == reply_number(asked.id)
        )
        pressed = {"type": "button_reply", "button_reply": {"id": "pm", "title": "Evening"}}
        await world.meta.writes(number_id, f"+{ANN}", interactive=pressed, context_id=theirs)
        await has(lambda: bool(bot.pressed), "the bot has heard of the button")
        assert bot.pressed[0].data == "pm"
        assert bot.pressed[0].reply_to_message is not None
        assert bot.pressed[0].reply_to_message.id == asked.id

        # What Ann has sent is fetched through the gateway, with the bot's key.
        photo = {"type": "image", "image": {"id": upload.id, "mime_type": "image/png", "sha256": "x"}}
        await world.meta.writes(number_id, f"+{ANN}", message=photo)
        await has(lambda: len(bot.messages) == 2, "the bot has got the picture")
        picture = bot.messages[1].image
        assert picture is not None
        assert (await picture.download(path=tmp_path, filename="ann.png")).read_bytes() == PIXELS

        # News of the account come as they came.
        event = {"event": "PAUSED", "message_template_id": 1, "message_template_name": "autumn"}
        value = {**event, "message_template_language": "en_US", "reason": "NONE"}
        await world.meta.tells(world.meta.waba_id, "message_template_status_update", value)
        await has(lambda: bool(bot.news), "the bot has heard of the template")
        assert bot.news[0].template_name == "autumn"


@pytest.mark.settings(**LOOPBACK)
async def test_errors_are_the_bots_own(world: World, bot: Bot) -> None:
    """My bot knows what to do about each of Meta's errors, so it gets Meta's errors, at once or as a status."""
    wa, number_id = bot.wa, str(bot.wa.phone_id)
    offer = [BodyText.params("you", "20%")]
    with pytest.raises(ReEngagementMessage):
        await wa.send_message(BOB, "May we help you?")
    with pytest.raises(TemplateNotExists):
        await wa.send_template(BOB, "winter", LANGUAGE, offer)
    with pytest.raises(WhatsAppError) as wrong:
        await wa.send_template(BOB, "autumn", LANGUAGE, [BodyText.params("you")])
    assert wrong.value.code == 132000

    async with world.workers():
        # Kim says stop, and no offer goes to her any more.
        await world.meta.writes(number_id, f"+{KIM}", "STOP")

        async def is_heard() -> bool:
            return bool(await world.app.database.fetchval("SELECT count(*) FROM suppressions"))

        await wait_until(is_heard, description="Kim is heard")
        with pytest.raises(WhatsAppError) as stopped:
            await wa.send_template(KIM, "autumn", LANGUAGE, offer)
        assert (stopped.value.code, type(stopped.value).__name__) == (131050, "UserStoppedMarketingMessages")

        # What Meta refuses, or cannot deliver, after the gateway has taken it, is told as failed.
        await world.meta.behaves(errors={131009: 1.0})
        refused = await wa.send_template(BOB, "autumn", LANGUAGE, offer, tracker="t1")
        await has(lambda: bot.known_of(refused.id) == ["failed"], "the refusal is told")
        assert bot.statuses[-1].error is not None
        assert (bot.statuses[-1].error.code, bot.statuses[-1].tracker) == (131009, "t1")
        await world.meta.behaves(errors={}, webhooks={**WEBHOOKS, "failures": {131026: 1.0}})
        lost = await wa.send_template(EVE, "autumn", LANGUAGE, offer)
        await has(lambda: "failed" in bot.known_of(lost.id), "the failure is told")
        assert isinstance(
            next(s for s in bot.statuses if s.id == lost.id and s.error).error, MessageUndeliverable
        )

    # Nobody sends any more: the queue fills, and then says when to come again.
    async def goes_on() -> None:
        for n in range(100, 140):
            await wa.send_template(a_phone(n), "autumn", LANGUAGE, offer)

    with pytest.raises(RateLimitHit) as full:
        await goes_on()
    assert full.value.raw_response is not None
    assert int(full.value.raw_response.headers["retry-after"]) >= 1
    [key] = [each for each in await world.app.access.all() if each.name == "bot"]
    await world.app.access.revoke(key.id)
    with pytest.raises(ExpiredAccessToken):
        await wa.send_message(ANN, "Hello")


def reply_number(message_id: str) -> str:
    """Which reply of ours an id names."""
    named = GatewayId.parse(message_id)
    assert named is not None
    assert named.is_reply
    return str(named.message_id)
