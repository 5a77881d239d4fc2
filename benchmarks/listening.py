"""What it costs a message that somebody listens: claim, settle and receipt, statement by statement, in batches of 500.

Nobody listens; somebody listens to campaigns alone; one, and two, hear of every message and every receipt. Rounds are
interleaved, each on a campaign of its own; the figures are medians. No worker runs and nothing is delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.stage import add_campaign, add_senders, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.event import EventFormat, NewSubscription, SubscriptionId
from dispatcher.domain.ids import CampaignId, LaneId
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported
from dispatcher.domain.turn import Taken
from dispatcher.ledger.receipts import LedgerReceipts
from dispatcher.rehearsal import Rehearsal, rehearsal
from dispatcher.vault import new_key

BATCH = 500
SOME_MORE = 1.15
"""How much more than with nobody it may cost where nobody hears of messages: what a busy machine makes of equal runs."""
LISTENERS: dict[str, Sequence[Sequence[str]]] = {
    "nobody": (),
    "campaigns alone": (("campaign.*",),),
    "one": (("message.*", "receipt.*"),),
    "two": (("message.*", "receipt.*"),) * 2,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=20_000, help="messages per round")
    parser.add_argument("--rounds", type=int, default=5)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with tempfile.TemporaryDirectory() as folder:
        seal_key = Path(folder) / "seal-key"
        seal_key.touch(mode=0o600)
        seal_key.write_text(new_key())
        with rehearsal(None, lanes=0, seal_key=f"file:{seal_key}") as stage:
            return asyncio.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    took_us: dict[str, list[tuple[float, float, float]]] = {name: [] for name in LISTENERS}
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="1000/s", tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", given.people)
        for _ in range(given.rounds):
            for name, all_kinds in LISTENERS.items():
                listeners = [await _subscribe(app, kinds) for kinds in all_kinds]
                campaign_id, _ = await add_campaign(app, audience, senders)
                await app.campaigns.start(campaign_id)
                took_us[name].append(await _carried_out(app, campaign_id, given.people))
                for number in listeners:
                    await app.subscriptions.remove(number)
                await app.database.execute("TRUNCATE outbox")
    medians = {
        name: {
            what: round(statistics.median(each[place] for each in rounds), 1)
            for place, what in enumerate(("claim_us", "settle_us", "receipt_us"))
        }
        for name, rounds in took_us.items()
    }
    ratio = sum(medians["campaigns alone"].values()) / sum(medians["nobody"].values())
    return {"per_message": medians, "unheard_ratio": round(ratio, 2), "holds": ratio <= SOME_MORE}


async def _subscribe(app: App, kinds: Sequence[str]) -> SubscriptionId:
    sealed = app.subscriptions.seal(app.subscriptions.new_secret())
    new = NewSubscription("https://shop.example/", kinds, None, EventFormat.EVENTS, sealed)
    return (await app.subscriptions.book.add(new)).id


async def _carried_out(app: App, campaign_id: CampaignId, people: int) -> tuple[float, float, float]:
    """Claim, settle and book each batch. Returns the microseconds per message of each."""
    turns, receipts = app.lane_tools.turns, LedgerReceipts(app.database)
    lane = await app.database.fetchval("SELECT id FROM lanes WHERE campaign_id = $1", campaign_id)
    turn = await turns.open_turn(LaneId(lane), "a benchmark", timedelta(minutes=5))
    assert turn is not None
    took_s = [0.0, 0.0, 0.0]
    while True:
        began_s = time.perf_counter()
        claimed = await turns.claim(turn, BATCH)
        took_s[0] += time.perf_counter() - began_s
        if not claimed:
            break
        wamids = [f"wamid.HBgNNDkxNTEyMzQ1Njc4OVJRESOWRkY1{message.id}" for message in claimed]
        began_s = time.perf_counter()
        await turns.settle_accepted([Taken(turn, [message.id for message in claimed], wamids)])
        took_s[1] += time.perf_counter() - began_s
        reports = {
            AttemptRef(campaign_id, message.id, 1): (
                wamid,
                reported(ReceiptState.DELIVERED, datetime.now(UTC)),
            )
            for message, wamid in zip(claimed, wamids, strict=True)
        }
        began_s = time.perf_counter()
        await receipts.book(reports)
        took_s[2] += time.perf_counter() - began_s
    await turns.close_turn(turn, None)
    claim_us, settle_us, receipt_us = (each / people * 1e6 for each in took_s)
    return claim_us, settle_us, receipt_us
