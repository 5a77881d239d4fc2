"""The promises of the port `FenceBook`, and what turns and claims make of a ledger that was moved."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.ledger import LEASE, RUN_OUT, Ledger, as_dead
from support.waiting import wait_until

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Conflict, LeaseLost
from dispatcher.domain.fence import Fence, PlacePart
from dispatcher.domain.message import MessageState, accepted
from dispatcher.embedded import EmbeddedPostgres
from dispatcher.ledger.database import Database
from dispatcher.ledger.fence import GAP, LedgerFence

BECAUSE = "restored"


@pytest.fixture
async def fence(ledger: Ledger) -> LedgerFence:
    """Of a ledger that was opened where it is."""
    fence = LedgerFence(ledger.database)
    await fence.learn()
    return fence


async def move(ledger: Ledger, part: PlacePart = PlacePart.TIMELINE) -> None:
    """As the ledger finds itself after a fail-over, say: the confirmed place is another one."""
    await ledger.database.execute(
        "UPDATE instance SET place = place || jsonb_build_object($1::text, '77')", part.value
    )


# The place


async def test_the_first_to_open_a_ledger_confirms_its_place(ledger: Ledger) -> None:
    fence = LedgerFence(ledger.database)
    assert (await fence.state()).confirmed == {PlacePart.HISTORY: "0"}
    await fence.learn()
    first = await fence.state()
    assert first.confirmed.keys() == set(PlacePart)
    assert first.confirmed == first.here
    assert (first.epoch, first.is_up, first.confirmed_at) == (1, False, None)
    await fence.learn()
    assert await fence.state() == first


@pytest.mark.parametrize("part", sorted(set(PlacePart) - {PlacePart.HISTORY}))
async def test_each_part_of_the_place_puts_the_fence_up(
    ledger: Ledger, fence: LedgerFence, part: PlacePart
) -> None:
    await move(ledger, part)
    assert (await fence.state()).moved == [part]
    await fence.learn()
    assert (await fence.state()).moved == [part], "opening a moved ledger confirms nothing"


async def test_what_a_role_may_not_read_is_not_compared(ledger: Ledger, fence: LedgerFence) -> None:
    """The folder is for roles that may read all settings; every role may read the rest."""
    plain = "pg_signal_backend"  # a role that PostgreSQL brings along, without that right
    async with ledger.database.transaction() as connection:
        await connection.execute(f"GRANT SELECT ON instance TO {plain}; SET LOCAL ROLE {plain}")
        row = await connection.fetchrow("SELECT ledger_place() AS here, ledger_moved() AS moved")
    assert row is not None
    assert row["here"].keys() == set(PlacePart) - {PlacePart.DIRECTORY, PlacePart.HISTORY}
    assert row["moved"] == []


async def test_a_part_that_can_be_read_at_last_is_learned(ledger: Ledger, fence: LedgerFence) -> None:
    await ledger.database.execute("UPDATE instance SET place = place - 'directory'")
    await fence.learn()
    state = await fence.state()
    assert state.confirmed == state.here


@dataclass(frozen=True, slots=True)
class Files:
    """A ledger on a server of its own that has been stopped, and room for copies."""

    folder: Path

    def copied(self, *, is_recovered: bool = False) -> EmbeddedPostgres:
        """A copy of the files; recovered: as a backup is that was brought back with PostgreSQL's own means."""
        home = self.folder / ("recovered" if is_recovered else "copied")
        home.mkdir(mode=0o711)
        # why cp: for root, the files belong to the user nobody, and shall stay so.
        subprocess.run(["cp", "-a", self.folder / "original/postgres", home / "postgres"], check=True)  # noqa: S607
        if is_recovered:
            (home / "postgres/recovery.signal").touch()
            with (home / "postgres/postgresql.auto.conf").open("a") as settings:
                settings.write("restore_command = 'false'\n")
        return EmbeddedPostgres(home, durable=False)


@pytest.fixture(scope="module")
def files(server_folder: Path) -> Iterator[Files]:
    """One ledger, confirmed where it was born."""
    folder = server_folder / "fence"
    original = folder / "original"
    for path in (folder, original):
        path.mkdir(mode=0o711)
    with EmbeddedPostgres(original, durable=False) as server:
        asyncio.run(bear(server.url))
    yield Files(folder)
    shutil.rmtree(folder)


async def bear(url: str) -> None:
    database = await Database.open(url, connections=1)
    await database.migrate()
    await LedgerFence(database).learn()
    await database.close()


async def look(url: str) -> Fence:
    database = await Database.open(url, connections=1)

    async def is_recovered() -> bool:
        return not await database.fetchval("SELECT pg_is_in_recovery()")

    await wait_until(is_recovered, description="the server may be written to")
    fence = await LedgerFence(database).state()
    await database.close()
    return fence


async def test_a_copy_of_the_files_is_elsewhere(files: Files) -> None:
    with files.copied() as server:
        assert (await look(server.url)).moved == [PlacePart.DIRECTORY]


async def test_a_recovered_backup_is_on_a_timeline_of_its_own(files: Files) -> None:
    with files.copied(is_recovered=True) as server:
        fence = await look(server.url)
    assert fence.moved == [PlacePart.DIRECTORY, PlacePart.TIMELINE]
    assert (fence.confirmed[PlacePart.TIMELINE], fence.here[PlacePart.TIMELINE]) == ("1", "2")


# The witness outside


async def test_a_ledger_that_has_come_less_far_than_redis_remembers_is_behind_the_fence(
    ledger: Ledger, fence: LedgerFence
) -> None:
    """A snapshot was brought back where it was taken: nothing else about its place differs."""
    filled = await ledger.a_campaign()
    assert [await fence.beat(0), await fence.beat(1), await fence.beat(0)] == [1, 2, 3]
    assert not (await ledger.a_turn(filled.lanes[0])).moved
    assert await fence.beat(40) is None
    state = await fence.state()
    assert state.moved == [PlacePart.HISTORY]
    assert (state.confirmed[PlacePart.HISTORY], state.here[PlacePart.HISTORY]) == ("40", "3")
    assert await fence.beat(0) is None, "a Redis that forgets takes nothing back"


async def test_the_first_turn_sees_it_and_the_ledger_keeps_it(ledger: Ledger, fence: LedgerFence) -> None:
    filled = await ledger.a_campaign()
    turn = await ledger.turns.open_turn(filled.lanes[0], "a test", LEASE, remembered=1)
    assert turn is not None
    assert turn.moved == [PlacePart.HISTORY]
    assert (await fence.state()).moved == [PlacePart.HISTORY]


async def test_a_confirmed_ledger_leaps_beyond_whatever_redis_may_remember(
    ledger: Ledger, fence: LedgerFence
) -> None:
    await fence.recall(40)
    await fence.confirm(1, because=BECAUSE)
    pulse = await fence.beat(41)
    assert pulse is not None
    assert pulse > GAP


# Behind the fence


async def test_a_turn_knows_that_the_ledger_was_moved(ledger: Ledger, fence: LedgerFence) -> None:
    filled = await ledger.a_campaign()
    await move(ledger)
    turn = await ledger.a_turn(filled.lanes[0])
    assert turn.moved == [PlacePart.TIMELINE]


async def test_a_turn_that_runs_on_after_a_fail_over_claims_nothing_more(
    ledger: Ledger, fence: LedgerFence
) -> None:
    """Its connections broke and new ones lead to the standby, where its last claims may be missing."""
    filled = await ledger.a_campaign()
    turn = await ledger.a_turn(filled.lanes[0])
    assert len(await ledger.turns.claim(turn, 2)) == 2
    await move(ledger)
    with pytest.raises(LeaseLost):
        await ledger.turns.claim(turn, 2)
    assert (await ledger.counts(filled)).claimed == 2


async def test_a_copy_reaps_nothing_for_the_turns_are_the_originals(
    ledger: Ledger, fence: LedgerFence
) -> None:
    filled = await ledger.a_campaign()
    await ledger.a_turn(filled.lanes[0], RUN_OUT)
    assert len(await ledger.turns.dead_turns()) == 1
    await move(ledger)
    assert await ledger.turns.dead_turns() == []


# Confirming


async def test_confirming_pauses_what_runs_and_doubts_what_was_claimed(
    ledger: Ledger, fence: LedgerFence
) -> None:
    running = await ledger.a_campaign(people=10, senders=2)
    draft = await ledger.a_campaign(people=3, state=CampaignState.DRAFT)
    turn = await ledger.a_turn(running.lanes[0])
    claimed = await ledger.turns.claim(turn, 4)
    await ledger.turns.settle(turn, [accepted(claimed[0].id, "wamid.1")])
    await move(ledger)

    confirmed = await fence.confirm(1, because=BECAUSE)

    assert (confirmed.epoch, confirmed.unsure, confirmed.paused) == (2, 3, [running.campaign.id])
    state = await fence.state()
    assert (state.epoch, state.is_up) == (2, False)
    assert state.confirmed_at is not None
    campaign = await ledger.campaigns.find(running.campaign.id)
    assert (campaign.state, campaign.paused_because) == (CampaignState.PAUSED, BECAUSE)
    assert (await ledger.campaigns.find(draft.campaign.id)).state is CampaignState.DRAFT
    counts = await ledger.counts(running)
    assert (counts.accepted, counts.unsure, counts.claimed, counts.pending) == (1, 3, 0, 6)
    doubted = await ledger.campaigns.message(running.campaign.id, claimed[1].id)
    assert (doubted.state, doubted.reason) == (MessageState.UNSURE, "restored")
    assert await ledger.turns.heartbeat([(turn.lane_id, turn.turn_id)], LEASE) == {}


async def test_after_a_pause_lanes_go_on_with_a_generation_of_their_own(
    ledger: Ledger, fence: LedgerFence
) -> None:
    filled = await ledger.a_campaign()
    await ledger.a_turn(filled.lanes[0])
    await move(ledger)
    await fence.confirm(1, because=BECAUSE)
    assert await ledger.turns.due_lanes() == []
    await ledger.campaigns.move(filled.campaign.id, CampaignState.RUNNING)
    [due] = await ledger.turns.due_lanes()
    assert (due.lane_id, due.generation) == (filled.lanes[0], 1)
    assert (await ledger.campaigns.find(filled.campaign.id)).paused_because == ""


async def test_where_nothing_was_lost_campaigns_go_on_and_claims_are_left_to_reaping(
    ledger: Ledger, fence: LedgerFence
) -> None:
    filled = await ledger.a_campaign(people=10, senders=2)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    claimed = await ledger.turns.claim(turn, 4)
    await move(ledger)
    confirmed = await fence.confirm(1, because=None)
    assert (confirmed.paused, confirmed.unsure) == ([], 0)
    assert {due.lane_id for due in confirmed.lanes} == set(filled.lanes)
    assert [dead.turn_id for dead in await ledger.turns.dead_turns()] == [turn.turn_id]
    await ledger.turns.reap(as_dead(turn), frozenset({claimed[0].id}))
    counts = await ledger.counts(filled)
    assert (counts.unsure, counts.pending) == (1, 9)


async def test_a_place_is_confirmed_once(ledger: Ledger, fence: LedgerFence) -> None:
    await move(ledger)
    await fence.confirm(1, because=BECAUSE)
    filled = await ledger.a_campaign()
    with pytest.raises(Conflict):
        await fence.confirm(1, because=BECAUSE)
    assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.RUNNING


async def test_numbers_that_the_lost_future_has_used_are_not_met_again(
    ledger: Ledger, fence: LedgerFence
) -> None:
    """A receipt for a message that is unknown here must not be booked to one that got its number."""
    before = await ledger.a_campaign(people=1)
    old = await ledger.a_turn(before.lanes[0])
    [message] = await ledger.turns.claim(old, 1)
    await fence.confirm(1, because=BECAUSE)
    after = await ledger.a_campaign(people=1)
    new = await ledger.a_turn(after.lanes[0])
    [other] = await ledger.turns.claim(new, 1)
    assert other.id > message.id + GAP
    assert new.turn_id > old.turn_id + GAP
    assert new.lane_id > old.lane_id + GAP
