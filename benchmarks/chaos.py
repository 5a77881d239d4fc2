"""Never twice, never lost, whatever breaks: a campaign while workers, servers and Meta fail, judged by the sandbox.

Every second or so one thing happens: a lane worker, an intake worker, upkeep or the HTTP process is killed; Valkey loses
its memory or is restarted empty; PostgreSQL is restarted, in order or as by a power cut. Meanwhile the sandbox breaks
connections, accepts without answering, answers 5xx in storms, and reports late, doubled, in the wrong order or not at all.
All chance comes from `--seed`. A hundred times and more during the run the ledger's arithmetic is proved from its rows.

What is counted at the end, by the sandbox's record: `duplicates`, people who got a message twice; `lost`, people whom the
ledger calls accepted and who got nothing, or who are in no final state; `unsure_left`, messages that nobody has settled.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from redis import Redis

from benchmarks.stage import add_campaign, add_senders, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, DispatcherError
from dispatcher.domain.ids import CampaignId
from dispatcher.leash import Leash, stop_all
from dispatcher.processes import start_api, start_workers
from dispatcher.rehearsal import Rehearsal, rehearsal

SECRET = "chaos-secret"  # noqa: S105 - signs webhooks of a sandbox
EVERY_S = 1.0
"""Between two disruptions."""
STILL_S = 90.0
"""How long everything may take to come to rest afterwards."""
GRACE_S = 12.0
"""After which policies decide about unsure messages."""
LOOKS = 100

WEATHER = {
    "faults": {
        "closed_unread": 0.02,
        "closed_accepted": 0.01,
        "silent_accepted": 0.002,
        "bare_5xx": 0.01,
        "bare_5xx_accepted": 0.005,
    },
    "latency": {"shape": "lognormal", "ms": 20, "sigma": 0.6},
    "webhooks": {
        "sent": {"shape": "lognormal", "ms": 200, "sigma": 0.8},
        "delivered": {"shape": "lognormal", "ms": 500, "sigma": 1.0},
        "read": {"shape": "lognormal", "ms": 1000, "sigma": 1.0},
        "read_share": 0.3,
        "read_only_share": 0.2,
        "failures": {"131026": 0.01},
        "failed_too_share": 0.01,
        "duplicate_share": 0.1,
        "late_share": 0.1,
        "late_by": {"shape": "uniform", "ms": 100, "to_ms": 4000},
        "lost_share": 0.02,
        "retry_after_s": 0.3,
        "retry_at_most_s": 2.0,
        "updates_per_post": 20,
    },
}
"""What Meta does all the time."""
STORM = {"faults": {"bare_5xx": 0.4, "bare_5xx_accepted": 0.1}}
SLOW = {"latency": {"shape": "uniform", "ms": 500, "to_ms": 2500}}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--minutes", type=float, default=2.0, help="how long things go wrong")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Break everything, and see what is left."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text(SECRET)
        with rehearsal(
            None,
            lanes=0,
            lease_s=2,
            post_timeout_s=3,
            connect_timeout_s=1,
            unsure_grace_s=GRACE_S,
            stop_grace_s=3,
            webhook_secrets=[f"file:{secret}"],
            log_level="error",
        ) as stage:
            return uvloop.run(_run(stage, given))


class Crew:
    """Processes that are killed and replaced."""

    def __init__(self, stage: Rehearsal, workers: int) -> None:
        self._settings = stage.settings
        self._makers: dict[str, Callable[[], Leash]] = {
            **{f"lanes-{n}": lambda: start_workers(self._settings, "lanes", 1) for n in range(workers)},
            **{f"intake-{n}": lambda: start_workers(self._settings, "intake", 1) for n in range(2)},
            "upkeep": lambda: start_workers(self._settings, "upkeep", 1),
        }
        self.running = {name: make() for name, make in self._makers.items()}
        self.running["api"], self.api_url = start_api(self._settings)
        port = int(self.api_url.rpartition(":")[2])
        self._makers["api"] = lambda: start_api(self._settings, port)[0]

    def kill(self, name: str) -> None:
        """As the system's out-of-memory killer would."""
        self.running[name].send_signal(signal.SIGKILL)

    def revive(self) -> None:
        """Replace the dead; what cannot be started now is started at the next call."""
        for name, leash in self.running.items():
            if leash.poll() is not None:
                try:
                    self.running[name] = self._makers[name]()
                except BadValue:  # a server that it needs is away
                    continue

    def stop(self) -> None:
        """The end."""
        stop_all(list(self.running.values()))


@dataclass(slots=True)
class Story:
    """What was done, and what was seen meanwhile."""

    done: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    wrong: list[str] = field(default_factory=list)


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    # why faster than needed: the campaign is to last about as long as the disruptions, with all its waits.
    rate = max(1, round(given.people / given.senders / (given.minutes * 60 * 0.75)))
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, given.senders, rate=f"{rate}/s", tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", given.people)
        campaign_id, _ = await add_campaign(app, audience, senders)
        crew = await asyncio.to_thread(Crew, stage, given.workers)
        try:
            stage.sandbox.send(
                "PUT", "callback", {"url": f"{crew.api_url}/webhooks/whatsapp", "app_secret": SECRET}
            )
            stage.sandbox.send("POST", "reset", {"seed": given.seed})
            stage.sandbox.send("PATCH", "behaviour", WEATHER)
            stage.sandbox.send("POST", "weather", _phases(given))
            story = Story()
            began = time.monotonic()
            await app.campaigns.start(campaign_id)
            await _while_things_break(app, stage, crew, given, campaign_id, story)
            seconds_to_rest = await _rest(app, stage, crew, campaign_id)
            story.wrong += [fault.what for fault in await app.campaigns.check()]
            result = await _judge(app, stage, campaign_id)
            webhooks = stage.sandbox.get("webhooks")
            seconds = time.monotonic() - began
        finally:
            await asyncio.to_thread(crew.stop)
    holds = (
        result["duplicates"] == result["lost"] == result["unsure_left"] == 0
        and not result["violations"]
        and not story.wrong
        and story.looks >= LOOKS
    )
    return {
        "minutes": given.minutes,
        "seed": given.seed,
        "people": given.people,
        **result,
        "kills": sum(n for what, n in story.done.items() if what.startswith("kill")),
        "restarts": sum(n for what, n in story.done.items() if what.startswith("restart")),
        "flushes": story.done["flush"],
        "disruptions": dict(story.done),
        "sums_checked": story.looks,
        "sums_wrong": len(story.wrong),
        "wrong": story.wrong[:5],
        "webhooks": webhooks,
        "seconds": round(seconds, 1),
        "seconds_to_rest": seconds_to_rest,
        "holds": holds,
    }


def _phases(given: argparse.Namespace) -> Sequence[dict[str, Any]]:
    """Storms and slow hours in the weather, a tenth of the time each."""
    length = given.minutes * 60 / 20
    return [
        {"after_s": (2 * n + 1) * length * 2, "for_s": length, **(STORM if n % 2 else SLOW)} for n in range(5)
    ]


# what breaks


async def _while_things_break(
    app: App, stage: Rehearsal, crew: Crew, given: argparse.Namespace, campaign_id: CampaignId, story: Story
) -> None:
    dice = random.Random(given.seed)
    ends = time.monotonic() + given.minutes * 60
    looking = asyncio.create_task(_look(app, campaign_id, story, every_s=given.minutes * 60 / (LOOKS * 1.5)))
    try:
        while (now := time.monotonic()) < ends:
            what = _drawn(dice, crew)
            await asyncio.to_thread(_disrupt, what, stage, crew)
            story.done[what.partition("-")[0]] += 1
            await asyncio.sleep(max(0.0, EVERY_S * dice.uniform(0.5, 1.5) - (time.monotonic() - now)))
            await asyncio.to_thread(crew.revive)
    finally:
        looking.cancel()
        await asyncio.wait([looking])
    if not looking.cancelled() and (error := looking.exception()) is not None:
        raise error


def _drawn(dice: random.Random, crew: Crew) -> str:
    """Mostly kills; restarts of PostgreSQL seldom, for they stop everything for a moment."""
    kind = dice.choices(
        ["kill", "flush", "restart_valkey", "restart_postgres_fast", "restart_postgres_immediate"],
        weights=[70, 10, 10, 5, 5],
    )[0]
    return f"kill_{dice.choice(sorted(crew.running))}" if kind == "kill" else kind


def _disrupt(what: str, stage: Rehearsal, crew: Crew) -> None:
    postgres, valkey = stage.servers.postgres, stage.servers.valkey
    match what:
        case "flush":
            _flush(stage)
        case "restart_valkey":
            valkey.crash()
            valkey.start()
        case "restart_postgres_fast":
            postgres.stop()
            postgres.start()
        case "restart_postgres_immediate":
            postgres.crash()
            postgres.start()
        case _:
            crew.kill(what.removeprefix("kill_"))


def _flush(stage: Rehearsal) -> None:
    assert stage.settings.redis_url is not None
    with Redis.from_url(stage.settings.redis_url) as redis:
        redis.flushall()


# what is seen


async def _look(app: App, campaign_id: CampaignId, story: Story, *, every_s: float) -> None:
    """Prove the sums from the rows, again and again, whatever is going on."""
    while True:
        await asyncio.sleep(every_s)
        try:
            view = await app.campaigns.view(campaign_id)
            faults = await app.campaigns.check()
        except DispatcherError:
            continue  # the ledger is away
        story.looks += 1
        story.wrong += [fault.what for fault in faults]
        if not view.counts.adds_up:
            story.wrong.append(f"does not add up: {view.counts}")


async def _rest(app: App, stage: Rehearsal, crew: Crew, campaign_id: CampaignId) -> float:
    """Fair weather, and all processes alive: until nothing moves any more. Returns how long it took."""
    stage.sandbox.send("POST", "weather", [])
    stage.sandbox.send("PATCH", "behaviour", {"faults": {}, "latency": {"ms": 0}})
    began = time.monotonic()
    while time.monotonic() - began < STILL_S:
        await asyncio.to_thread(crew.revive)
        await asyncio.sleep(0.25)
        view = await app.campaigns.view(campaign_id)
        counts = view.counts
        is_quiet = not (counts.pending or counts.claimed or counts.unsure)
        if not is_quiet or view.campaign.state is not CampaignState.COMPLETED:
            continue
        if not stage.sandbox.get("webhooks")["pending"] and not (await app.inbox.waiting()).bodies:
            break
    return round(time.monotonic() - began, 1)


async def _judge(app: App, stage: Rehearsal, campaign_id: CampaignId) -> dict[str, Any]:
    """Person by person: what the ledger says against what arrived."""
    arrived = Counter(message["to"] for message in stage.sandbox.accepted())
    states: Counter[str] = Counter()
    lost = given_up_but_arrived = 0
    async for chunk in app.campaigns.export(campaign_id):
        for row in chunk:
            states[row["state"]] += 1
            has_arrived = arrived[row["phone"].removeprefix("+")] > 0
            lost += row["state"] in ("pending", "claimed") or (row["state"] == "accepted" and not has_arrived)
            given_up_but_arrived += row["state"] == "refused" and has_arrived
    reported: Counter[str] = Counter()
    for one in (await app.campaigns.report(campaign_id)).reported:
        reported[str(one.state or "none")] += one.people
    record = stage.sandbox.get("record?per_campaign=1")
    quarantined = Counter(one.piece.reason for one in await app.inbox.quarantined(10_000))
    return {
        "accepted": states["accepted"],
        "given_up": states["refused"],
        "given_up_but_arrived": given_up_but_arrived,
        "arrived": len(arrived),
        "duplicates": sum(times - 1 for times in arrived.values()),
        "lost": lost,
        "unsure_left": states["unsure"],
        "reported": dict(reported),
        "quarantined": dict(quarantined),
        "violations": {kind: n for kind, n in record["violations"].items() if n},
    }
