"""Events to a receiver that is down, slow, failing at random and breaking off, while another one takes them quickly.

A campaign runs at a steady rate, Meta reports what becomes of each message, and both receivers hear of messages and
receipts. In the end both must have heard the same, what became of each message in order and what was reported of it in order, nothing
twice but under the same id. How late the quick one hears is measured from the ledger's clock to its own, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.receiver import Receiver, Weather, out_of_order, receiving
from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.event import SubscriptionId
from dispatcher.domain.ids import CampaignId
from dispatcher.rehearsal import Rehearsal, rehearsal
from dispatcher.vault import new_key

P99_MS = 500
KINDS = ("message.*", "receipt.*", "campaign.*")
SLOW = Weather(delay_s=2.0)
FAILING = Weather((200, 500))
BREAKING = Weather(breaks=0.5)
_REST_WITHIN_S = 420.0
"""How long after the last disruption everything must have arrived: the longest wait between two attempts is five minutes."""
_WARM_UP_S = 2.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long things go wrong."""
    parser.add_argument("--down-s", type=float, default=60.0, help="the receiver is away")
    parser.add_argument("--others-s", type=float, default=20.0, help="slow, failing, breaking: each")
    parser.add_argument("--rate", type=int, default=100, help="messages per second")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with tempfile.TemporaryDirectory() as folder:
        seal_key = Path(folder) / "seal-key"
        seal_key.touch(mode=0o600)
        seal_key.write_text(new_key())
        with rehearsal(
            None,
            lanes=1,
            webhooks=True,
            events=True,
            seal_key=f"file:{seal_key}",
            events_networks=["127.0.0.0/8"],
            log_level="error",
        ) as stage:
            return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    seconds = given.down_s + 3 * given.others_s + _WARM_UP_S
    async with open_app(stage.settings) as app, receiving() as bad, receiving() as good:
        senders = await add_senders(app, stage, 1, rate=f"{given.rate}/s", tier="unlimited")
        stage.sandbox.send(
            "PATCH",
            "behaviour",
            {"webhooks": {"read_share": 0.5, "duplicate_share": 0.1, "updates_per_post": 20}},
        )
        for receiver in (bad, good):
            _, secret = await app.subscriptions.create(receiver.url, KINDS)
            receiver.secrets.append(secret)
        audience = write_audience(stage.home / "audience.csv", round(given.rate * seconds))
        campaign_id, _ = await add_campaign(app, audience, senders)
        began_s = time.monotonic()
        await app.campaigns.start(campaign_id)
        await asyncio.sleep(_WARM_UP_S)
        backlog = await _misbehave(app, bad, given)
        calm_s = time.monotonic()
        await _completes(app, campaign_id)
        await _all_delivered(app)
        return {
            **await _judged(app, campaign_id, bad, good),
            "backlog": backlog,
            "seconds_to_rest": round(time.monotonic() - calm_s, 1),
            "seconds": round(time.monotonic() - began_s, 1),
        }


async def _misbehave(app: App, bad: Receiver, given: argparse.Namespace) -> Mapping[str, int]:
    """One after the other, each counted from the first request that meets it. Returns how much waited at the end of each."""
    waiting = {}
    await bad.go_down()
    await asyncio.sleep(given.down_s)
    waiting["down"] = await _waiting(app)
    await bad.come_up()
    for name, weather in (("slow", SLOW), ("failing", FAILING), ("breaking", BREAKING)):
        bad.weather, seen = weather, len(bad.got)
        async with asyncio.timeout(_REST_WITHIN_S):
            while len(bad.got) == seen:  # noqa: ASYNC110 - another process asks
                await asyncio.sleep(0.1)
        await asyncio.sleep(given.others_s)
        waiting[name] = await _waiting(app)
    bad.weather = Weather()
    return waiting


async def _waiting(app: App) -> int:
    """How many events wait for the receiver that misbehaves."""
    return int(await app.database.fetchval("SELECT count(*) FROM outbox WHERE subscription_id = $1", _FIRST))


_FIRST = SubscriptionId(1)
"""The subscription of the receiver that misbehaves; the other one comes after it."""


async def _completes(app: App, campaign_id: CampaignId) -> None:
    await watch(
        app, campaign_id, lambda view: view.campaign.state is CampaignState.COMPLETED, most_s=_REST_WITHIN_S
    )
    async with asyncio.timeout(_REST_WITHIN_S):
        while (await app.inbox.waiting()).bodies:  # noqa: ASYNC110 - another process empties it, and tells nobody
            await asyncio.sleep(0.2)


async def _all_delivered(app: App) -> None:
    """Until nothing waits any more, and nothing more has come for a moment."""
    async with asyncio.timeout(_REST_WITHIN_S):
        quiet_s = time.monotonic()
        while time.monotonic() - quiet_s < 3:
            if (await app.deliveries.outbox.backlog())[0]:
                quiet_s = time.monotonic()
            await asyncio.sleep(0.1)


async def _judged(app: App, campaign_id: CampaignId, bad: Receiver, good: Receiver) -> dict[str, Any]:
    heard = {name: each.first_times for name, each in (("bad", bad), ("good", good))}
    told = {name: Counter(map(_what, events)) for name, events in heard.items()}
    rows = await app.database.fetch(
        """SELECT 'message.' || state AS kind, count(*) FROM messages WHERE campaign_id = $1 GROUP BY 1
        UNION ALL SELECT 'receipt.sent', count(sent_at) FROM receipts
        UNION ALL SELECT 'receipt.delivered', count(delivered_at) FROM receipts
        UNION ALL SELECT 'receipt.read', count(read_at) FROM receipts""",
        campaign_id,
    )
    true = {row["kind"]: row["count"] for row in rows if row["count"]}
    kinds = {
        name: Counter(event["kind"] for event in events if not event["kind"].startswith("campaign."))
        for name, events in heard.items()
    }
    disordered = {name: len(_disordered(each)) for name, each in (("bad", bad), ("good", good))}
    waits_ms = sorted(_waits_ms(good))
    p99_ms = waits_ms[int(len(waits_ms) * 0.99)]
    dead = sum(
        [(await app.subscriptions.find(each))[1].dead for each in (_FIRST, SubscriptionId(_FIRST + 1))]
    )
    lost = {name: sum((Counter(true) - heard_of).values()) for name, heard_of in kinds.items()}
    is_whole = all(dict(kinds[name]) == true for name in kinds) and told["bad"] == told["good"]
    return {
        "events": sum(told["bad"].values()),
        "lost": lost,
        "out_of_order": disordered,
        "repeated": {
            name: len(each.events) - len(each.first_times) for name, each in (("bad", bad), ("good", good))
        },
        "requests": {name: len(each.got) for name, each in (("bad", bad), ("good", good))},
        "answers_of_bad": dict(Counter(got.status for got in bad.got)),
        "kinds": true,
        "dead": dead,
        "quick_p50_ms": round(statistics.median(waits_ms), 1),
        "quick_p99_ms": round(p99_ms, 1),
        "quick_max_ms": round(waits_ms[-1], 1),
        "holds": is_whole and not any(disordered.values()) and not dead and p99_ms <= P99_MS,
    }


def _what(event: Mapping[str, Any]) -> tuple[object, ...]:
    """What an event says, without the id, which is each subscription's own."""
    data = event["data"]
    return event["kind"], data.get("message_id"), data.get("attempt"), data.get("state"), data.get("was")


def _disordered(receiver: Receiver) -> Sequence[str]:
    """By what has come, with repetitions: an event's first time is never after a later one's of the same message."""
    return out_of_order(
        receiver.first_times, lambda event: (event["data"].get("message_id"), event["kind"].partition(".")[0])
    )


def _waits_ms(receiver: Receiver) -> list[float]:
    """From when each event became true to when its request was answered, both by this machine's clock."""
    since_epoch_s = time.time() - time.monotonic()
    known: set[str] = set()
    waits = []
    for got in receiver.got:
        for event in got.events:
            if event["id"] not in known:
                known.add(event["id"])
                became_true_s = datetime.fromisoformat(event["at"]).timestamp()
                waits.append((got.at_s + since_epoch_s - became_true_s) * 1000)
    return waits
