"""A second deployment on a copy of the ledger, and a backup brought back: both believe to be the one. Neither sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.builders import a_phone
from support.waiting import wait_until
from support.world import World

from dispatcher.app import open_app
from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.fence import PlacePart
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PersonKey
from dispatcher.embedded import EmbeddedPostgres, EmbeddedValkey
from dispatcher.engine.lane import run_turn
from dispatcher.ledger.database import Database


class Copies:
    """Copies of a world's ledger as `CREATE DATABASE … TEMPLATE` makes them, with the same Redis and the same Meta."""

    def __init__(self, server: asyncpg.Connection[asyncpg.Record]) -> None:
        self._server = server
        self.names: list[str] = []

    async def make(self, world: World) -> str:
        """Copy it as it stands. Returns the copy's address."""
        url = urlsplit(str(world.app.settings.database_url))
        name = url.path[1:]
        copy = f"{name}_copy_{len(self.names)}"
        # why closed: PostgreSQL copies only what nobody is using.
        await world.app.database.close()
        await self._server.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
        world.app.database.pool = (await Database.open(url.geturl(), connections=4)).pool
        self.names.append(copy)
        return url._replace(path=f"/{copy}").geturl()

    async def drop(self) -> None:
        """All of them."""
        for name in self.names:
            await self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def copies(postgres: EmbeddedPostgres) -> AsyncIterator[Copies]:
    server = await asyncpg.connect(postgres.url)
    copies = Copies(server)
    yield copies
    await copies.drop()
    await server.close()


async def is_fenced(world: World, campaign: Campaign) -> bool:
    """Whether a turn has met the fence, and left."""
    [lane] = (await world.view(campaign)).lanes
    met = await world.app.database.fetchval(
        "SELECT hold_reason = 'fenced' FROM lanes WHERE campaign_id = $1", campaign.id
    )
    return bool(met) and not lane.is_running


async def test_workers_on_a_copy_send_nothing_and_say_why_until_an_operator_confirms(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    """Somebody tries the new version on a copy of the database, and forgets that it has the real senders in it."""
    await world.a_sender()
    campaign = await world.a_campaign(people=40)
    url = await copies.make(world)
    settings = world.app.settings.model_copy(update={"database_url": url})
    async with open_app(settings, migrate=False) as app:
        copy = World(app, world.meta, tmp_path)
        fence = await app.fence.state()
        assert fence.moved == [PlacePart.DATABASE]
        async with copy.workers():
            await wait_until(lambda: is_fenced(copy, campaign), description="the copy's lane met the fence")
            [waiting] = (await copy.view(campaign)).waiting
            assert waiting.people == 40
            assert waiting.hold == Hold(HoldReason.FENCED, None, "another database than confirmed")
            assert (await app.explain.explain_campaign(campaign.id)).binding == waiting.hold
            assert await world.meta.accepted() == 0

            confirmed = await app.fence.confirm(fence, keep_running=False)
            assert confirmed.paused == [campaign.id]
            [waiting] = (await copy.view(campaign)).waiting
            assert (waiting.hold.reason, "restored or copied" in waiting.hold.detail) == (
                HoldReason.PAUSED,
                True,
            )
            assert await world.meta.accepted() == 0

            await app.campaigns.resume(campaign.id)
            counts = await copy.becomes(campaign)
        assert counts.accepted == 40
        await copy.both_ends_agree(campaign)
        said = (tmp_path / "workers.log").read_text()
        assert said.count("nothing is sent: see `dispatch fence show`") == 1, "once per process is enough"


async def test_a_planned_move_goes_on_where_it_stood(world: World, copies: Copies, tmp_path: Path) -> None:
    """The workers were stopped, the ledger moved, and nothing was lost."""
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=80)
    async with world.workers():
        await world.accepts(campaign, 20)
    moved = world.app.settings.model_copy(update={"database_url": await copies.make(world)})
    async with open_app(moved, migrate=False) as app:
        copy = World(app, world.meta, tmp_path)
        async with copy.workers():
            await wait_until(lambda: is_fenced(copy, campaign), description="the moved lane met the fence")
            await app.fence.confirm(await app.fence.state(), keep_running=True)
            counts = await copy.becomes(campaign)
        assert (counts.accepted, counts.unsure) == (80, 0)
        assert (await world.meta.record())["duplicates"] == 0
        await copy.both_ends_agree(campaign)


async def test_a_backup_from_mid_campaign_knows_what_it_does_not_know(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    """Messages were sent after the backup was made. Its claims are unsure, the rest waits for its owner."""
    await world.a_sender(tier=1000)
    campaign = await world.a_campaign(people=60)
    lane = await world.lane_of(campaign)
    tools = world.app.lane_tools
    opened = await tools.turns.open_turn(lane, "a worker", tools.settings.lease)
    assert opened is not None
    claimed = await tools.turns.claim(opened, 25)
    url = await copies.make(world)
    # The original ends as it would have done: the turn dies, and everybody is messaged.
    await world.app.database.execute("UPDATE lanes SET lease_until = now() - interval '1 s'")
    await world.app.upkeep.reap()
    await run_turn(tools, lane)
    assert await world.meta.accepted() >= 35

    restored = world.app.settings.model_copy(update={"database_url": url})
    async with open_app(restored, migrate=False) as app:
        copy = World(app, world.meta, tmp_path)
        fence = await app.fence.state()
        confirmed = await app.fence.confirm(fence, keep_running=False)
        assert confirmed.unsure == len(claimed) == 25
        counts = await copy.counts(campaign)
        assert (counts.unsure, counts.pending, counts.claimed) == (25, 35, 0)
        message = await app.explain.message_to(campaign.id, PersonKey(a_phone(0)))
        assert (message.state, message.reason) == ("unsure", "restored")
        assert (await copy.view(campaign)).campaign.state is CampaignState.PAUSED
        assert await app.campaigns.check() == []


async def test_a_snapshot_that_was_brought_back_in_its_own_place_is_known_by_redis(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    """The disk was rolled back by an hour, and everything came up as if nothing had happened."""
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=200)
    await world.app.upkeep.beat()
    url = await copies.make(world)
    async with world.workers():
        await world.accepts(campaign, 30)
    await world.app.upkeep.beat()
    sent = await world.meta.accepted()
    restored = world.app.settings.model_copy(update={"database_url": url})
    async with open_app(restored, migrate=False) as app:
        copy = World(app, world.meta, tmp_path)
        await app.database.execute("UPDATE instance SET place = ledger_place()")
        assert (await app.fence.state()).moved == [PlacePart.HISTORY]
        async with copy.workers():
            await wait_until(lambda: is_fenced(copy, campaign), description="the lane met the fence")
        assert await world.meta.accepted() == sent


async def test_the_limits_still_know_whom_the_lost_future_has_reached(
    world: World, copies: Copies, tmp_path: Path
) -> None:
    """The tier was used up after the backup was made: the ledger has forgotten that, Redis and Meta have not."""
    await world.a_sender(tier=50)
    campaign = await world.a_campaign(people=80)
    url = await copies.make(world)
    await run_turn(world.app.lane_tools, await world.lane_of(campaign))
    assert await world.meta.accepted() == 50
    restored = world.app.settings.model_copy(update={"database_url": url})
    async with open_app(restored, migrate=False) as app:
        copy = World(app, world.meta, tmp_path)
        await app.campaigns.cancel(campaign.id)
        await app.fence.confirm(await app.fence.state(), keep_running=False)
        new = await copy.a_campaign(people=100, name="winter")
        await run_turn(app.lane_tools, await copy.lane_of(new))
        [lane] = (await copy.view(new)).lanes
        assert lane.hold is not None
        assert lane.hold.reason is HoldReason.TIER_EXHAUSTED
    assert "tier" not in await world.meta.violations()


async def test_confirming_needs_no_redis(world: World, copies: Copies, server_folder: Path) -> None:
    """It is confirmed first and foremost in the ledger; limits that are away grant nothing anyway."""
    await world.a_sender()
    await world.a_campaign(people=5)
    home = server_folder / "gone"
    home.mkdir()
    server = EmbeddedValkey(home)
    server.start()
    moved = world.app.settings.model_copy(
        update={"database_url": await copies.make(world), "redis_url": server.url}
    )
    async with open_app(moved, migrate=False) as app:
        server.stop()
        confirmed = await app.fence.confirm(await app.fence.state(), keep_running=False)
        assert (confirmed.epoch, (await app.fence.state()).is_up) == (2, False)
