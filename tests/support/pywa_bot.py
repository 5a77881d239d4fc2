"""A bot as people write it with pywa, unmodified: it knows Meta's API, and nothing of ours but an address and a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from pywa_async import WhatsApp, types

from support.street import serving

APP_SECRET = "the secret of the bot's app"
VERIFY_TOKEN = "the bot's own word"
HOOK = "/hook"


class Bot:
    """The client, its webhook, and what has come there."""

    def __init__(self, gateway_url: str, key: str, number_id: str, waba_id: str) -> None:
        self.server = FastAPI()
        self._session = httpx.AsyncClient(trust_env=False, timeout=30)
        self.wa = WhatsApp(
            phone_id=number_id,
            token=key,
            waba_id=waba_id,
            session=self._session,
            server=self.server,
            webhook_endpoint=HOOK,
            verify_token=VERIFY_TOKEN,
            app_secret=APP_SECRET,
            api_version=25.0,
        )
        self._session.base_url = f"{gateway_url}/v25.0"  # all that a client changes, beside its token
        self.messages: list[types.Message] = []
        self.pressed: list[types.CallbackButton] = []
        self.chosen: list[types.CallbackSelection] = []
        self.statuses: list[types.MessageStatus] = []
        self.news: list[types.TemplateStatusUpdate] = []
        self.wa.on_message(self._message)
        self.wa.on_callback_button(self._button)
        self.wa.on_callback_selection(self._selection)
        self.wa.on_message_status(self._status)
        self.wa.on_template_status_update(self._template)

    async def close(self) -> None:
        """Give its connections up."""
        await self._session.aclose()

    def known_of(self, message_id: str) -> list[str]:
        """What was told of a message, in the order in which it was told."""
        return [str(status.status.value) for status in self.statuses if status.id == message_id]

    async def _message(self, _: WhatsApp, message: types.Message) -> None:
        self.messages.append(message)

    async def _button(self, _: WhatsApp, pressed: types.CallbackButton) -> None:
        self.pressed.append(pressed)

    async def _selection(self, _: WhatsApp, chosen: types.CallbackSelection) -> None:
        self.chosen.append(chosen)

    async def _status(self, _: WhatsApp, status: types.MessageStatus) -> None:
        self.statuses.append(status)

    async def _template(self, _: WhatsApp, update: types.TemplateStatusUpdate) -> None:
        self.news.append(update)


@asynccontextmanager
async def a_bot(gateway_url: str, key: str, number_id: str, waba_id: str) -> AsyncIterator[tuple[Bot, str]]:
    """The bot, and where its webhook is."""
    bot = Bot(gateway_url, key, number_id, waba_id)
    async with serving(bot.server) as url:
        yield bot, url + HOOK
    await bot.close()
