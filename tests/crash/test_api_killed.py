"""The HTTP process dies in mid-request: nothing is half done, and the same call made again is done once.

`python -m benchmarks killed` does so fifty times.
"""

from __future__ import annotations

import asyncio
import random

from support.street import served
from support.world import World

from benchmarks.killed import Killing
from dispatcher.domain.access import Scope
from dispatcher.domain.rate import Rate


async def test_a_process_that_dies_in_a_request_leaves_all_or_nothing(world: World) -> None:
    await world.a_sender("sender-0")
    await world.meta.has_template(
        {
            "name": "offer",
            "language": "en_US",
            "category": "MARKETING",
            "components": [{"type": "BODY", "text": "Dear {{1}}, take {{2}} off everything until Sunday."}],
        }
    )
    await world.app.senders.sync_templates("sender-0")
    _, key = await world.app.access.create("test", set(Scope), rate=Rate.parse("100000/s"))
    settings = world.app.settings.model_copy(update={"webhook_secrets": frozenset(), "seal_key": None})
    async with served(world.app) as url:
        killing = Killing(settings, key, url, random.Random())
        for n in range(3):
            await asyncio.to_thread(killing.once, n)
    assert killing.faults == []
    assert killing.became.total() == 3
