"""Many conversations over several reply workers that are killed: in order within each, nobody twice, nothing lost.

Replies are queued for some time, so many a second, each conversation's in order; meanwhile one reply worker after the other is
killed and replaced, and Meta breaks connections before and after it has taken a message. What is unsure is settled by
Meta's reports; of the few that no report will ever come of, since they were never posted, an operator learns from Meta's
record, and has them sent. The judge is the sandbox's record: per person, the order and number of what arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import signal
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import uvloop

from benchmarks.stage import add_senders, number_id
from dispatcher.app import App, open_app
from dispatcher.domain.ids import REPLIES, MessageId, Token
from dispatcher.domain.queued_reply import NewReply, Queued
from dispatcher.domain.reply import Text
from dispatcher.leash import Leash, stop_all
from dispatcher.processes import start_workers
from dispatcher.rehearsal import Rehearsal, rehearsal

SENDERS = 4
CALLERS = 16
"""Tasks that queue replies, each for conversations of its own."""
KILL_EVERY_S = 1.0
STILL_S = 120.0
"""How long everything may take to come to rest afterwards."""
WEATHER = {
    "faults": {"closed_unread": 0.01, "closed_accepted": 0.01},
    "latency": {"shape": "lognormal", "ms": 20, "sigma": 0.6},
    "webhooks": {"sent": {"ms": 100}, "delivered": {"ms": 200}, "duplicate_share": 0.1, "retry_after_s": 0.3},
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--replies", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--per-s", type=float, default=300.0, help="replies that are queued per second")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Queue, kill, and compare."""
    with rehearsal(
        None, lanes=0, webhooks=True, lease_s=2, post_timeout_s=3, connect_timeout_s=1, log_level="error"
    ) as stage:
        return uvloop.run(_run(stage, given))


class Crew:
    """Reply workers of which one after the other is killed and replaced."""

    def __init__(self, stage: Rehearsal, workers: int, seed: int) -> None:
        self._settings = stage.settings
        self._dice = random.Random(seed)
        self.running = [self._start() for _ in range(workers)]
        self.kills = 0

    async def suffer(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(KILL_EVERY_S * self._dice.uniform(0.5, 1.5))
            place = self._dice.randrange(len(self.running))
            self.running[place].send_signal(signal.SIGKILL)
            self.kills += 1
            self.running[place] = self._start()

    def _start(self) -> Leash:
        return start_workers(self._settings, "replies", 1)


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, SENDERS, rate="1000/s", tier="unlimited")
        stage.sandbox.send("POST", "reset", {"seed": given.seed})
        stage.sandbox.send("PATCH", "behaviour", WEATHER)
        people = await _people_write(app, stage, senders, given.conversations)
        crew = Crew(stage, given.workers, given.seed)
        try:
            began_s = time.monotonic()
            suffering = asyncio.create_task(crew.suffer())
            queued = await _queue(app, people, given)
            suffering.cancel()
            await asyncio.wait([suffering])
            released = await _rest(app, stage)
            seconds = time.monotonic() - began_s
        finally:
            await asyncio.to_thread(stop_all, crew.running)
        faults = [fault.what for fault in await app.replies.check()]
        states = await app.database.fetch("SELECT state, count(*) AS n FROM replies GROUP BY state")
    result = _judge(stage, queued)
    bad = result["duplicates"] + result["lost"] + result["out_of_order"] + len(faults)
    return {
        "replies": sum(map(len, queued.values())),
        "conversations": len(queued),
        "workers": given.workers,
        "kills": crew.kills,
        **result,
        "released_by_operator": released,
        "states": {row["state"]: row["n"] for row in states},
        "faults": faults,
        "seconds": round(seconds, 1),
        "holds": not bad and not result["violations"],
    }


async def _people_write(
    app: App, stage: Rehearsal, senders: Sequence[str], conversations: int
) -> Sequence[tuple[str, str]]:
    """So many people, each to one of the senders. Returns sender and person of each."""
    people = [(senders[n % len(senders)], f"+4916{900_000_000 + n}") for n in range(conversations)]
    for n, (_, person) in enumerate(people):
        window = {"phone_number_id": number_id(n % len(senders)), "person": person}
        await asyncio.to_thread(stage.sandbox.send, "POST", "windows", window)
    await app.database.execute(
        """INSERT INTO conversations (sender_id, person_key, person, window_ends_at)
        SELECT s.id, p.person, p.person, ledger_now() + interval '1 day'
        FROM unnest($1::text[], $2::text[]) AS p (sender, person)
        JOIN senders s ON s.name = p.sender""",
        *(list(column) for column in zip(*people, strict=True)),
    )
    return people


async def _queue(
    app: App, people: Sequence[tuple[str, str]], given: argparse.Namespace
) -> Mapping[str, Sequence[MessageId]]:
    """Every person's replies one after the other, those of different people side by side. Returns them in order."""
    queued: defaultdict[str, list[MessageId]] = defaultdict(list)
    began_s = time.monotonic()
    turns = itertools.count()

    async def talk(mine: Sequence[tuple[str, str]]) -> None:
        for round_ in range(-(-given.replies // len(people))):
            for sender, person in mine:
                n = next(turns)
                if n >= given.replies:
                    return
                await asyncio.sleep(max(0.0, began_s + n / given.per_s - time.monotonic()))
                answer = await app.replies.queue(NewReply(sender, person, Text(f"Reply {round_}")))
                assert isinstance(answer, Queued), answer
                queued[person].append(answer.id)

    async with asyncio.TaskGroup() as callers:
        for n in range(CALLERS):
            callers.create_task(talk(people[n::CALLERS]))
    return queued


async def _rest(app: App, stage: Rehearsal) -> int:
    """Fair weather, until nothing moves any more. Returns how many an operator had to release."""
    stage.sandbox.send("PATCH", "behaviour", {"faults": {}})
    released = 0
    ends_s = time.monotonic() + STILL_S
    while time.monotonic() < ends_s:
        await asyncio.sleep(0.25)
        open_ones = await app.database.fetchval(
            "SELECT count(*) FROM replies WHERE state IN ('pending', 'claimed', 'unsure')"
        )
        if not open_ones:
            break
        if stage.sandbox.get("webhooks")["pending"] or (await app.inbox.waiting()).bodies:
            continue
        # All has been reported that ever will be: what is unsure now is not in Meta's record.
        _, unsure = await app.unsure_replies.list(10_000)
        arrived = {token.message_id for token in _tokens(stage)}
        stray = [one.ref.message_id for one in unsure if one.ref.message_id not in arrived]
        released += await app.unsure_replies.release(stray) if stray else 0
    return released


def _tokens(stage: Rehearsal) -> Sequence[Token]:
    """Of all replies that arrived, in the order of their arrival."""
    found = (Token.parse(message["token"]) for message in stage.sandbox.accepted())
    return [token for token in found if token is not None and token.campaign_id == REPLIES]


def _judge(stage: Rehearsal, queued: Mapping[str, Sequence[MessageId]]) -> dict[str, Any]:
    """By the receiver's record."""
    arrived: defaultdict[str, list[MessageId]] = defaultdict(list)
    for message in stage.sandbox.accepted():
        token = Token.parse(message["token"])
        assert token is not None
        arrived[f"+{message['to']}"].append(token.message_id)
    got = sum(map(len, arrived.values()))
    distinct = sum(len(set(ids)) for ids in arrived.values())
    return {
        "arrived": got,
        "duplicates": got - distinct,
        "lost": sum(len({*ids} - {*arrived[person]}) for person, ids in queued.items()),
        "out_of_order": sum(ids != sorted(ids) for ids in arrived.values()),
        "violations": {k: n for k, n in stage.sandbox.get("record")["violations"].items() if n},
    }
