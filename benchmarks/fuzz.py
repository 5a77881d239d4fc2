"""The API against its own OpenAPI document: schemathesis asks what fits and what does not, with all checks."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.stage import WABA, add_senders, people_from
from dispatcher.app import App, open_app
from dispatcher.channel.event_envelopes import new_secret
from dispatcher.domain.access import Scope
from dispatcher.domain.audience import Row
from dispatcher.domain.campaign import CampaignKind
from dispatcher.domain.content import Column, Literal, SlotMapping
from dispatcher.domain.queued_reply import NewReply
from dispatcher.domain.rate import Rate
from dispatcher.domain.reply import Text
from dispatcher.engine.campaigns import Plan
from dispatcher.processes import start_api
from dispatcher.rehearsal import Rehearsal, rehearsal
from dispatcher.vault import new_key

HERE = Path(__file__).with_name("fuzzing")
ENDLESS = "follow_campaign"
"""Its answer ends when the campaign does; tests look at it."""
CASES = 5_000
TEMPLATES = [
    {
        "id": f"60000000000000{n}",
        "waba_id": WABA,
        "name": name,
        "language": "en_US",
        "category": category,
        "status": "APPROVED",
        "components": [{"type": "BODY", "text": text}],
    }
    for n, (name, category, text) in enumerate(
        [
            ("autumn_offer", "MARKETING", "Dear {{1}}, take {{2}} off everything until Sunday."),
            ("parcel_update", "UTILITY", "Dear {{1}}, your parcel comes {{2}} by noon."),
        ],
        start=2,
    )
]
"""Those of the document's examples."""
_PEOPLE_HAVE_WRITTEN = """
INSERT INTO conversations (sender_id, person_key, person, window_ends_at, last_inbound_at, last_inbound_wamid)
SELECT s.id, p, p, ledger_now() + interval '1 day', ledger_now(), 'wamid.' || p
FROM senders s, unnest($1::text[]) AS p
WHERE s.name = 'harbour'"""
_SHOPS_LISTEN = """
WITH shops AS (
    INSERT INTO subscriptions (url, kinds, format, secret_ref)
    SELECT 'https://shop.example/events', ARRAY['campaign.*'], 'events', $1 FROM generate_series(1, 5)
    RETURNING id
), delivered AS (
    INSERT INTO deliveries (subscription_id) SELECT id FROM shops
)
INSERT INTO dead_events (subscription_id, id, kind, at, body, error)
SELECT id, nextval(pg_get_serial_sequence('outbox', 'id')), 'campaign.completed', ledger_now(),
    '{"campaign_id": 12}', 'it answered 503'
FROM shops"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument(
        "--examples", type=int, default=100, help="cases for each operation and mode, at most"
    )
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", type=int, default=None)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Ask."""
    with tempfile.TemporaryDirectory() as folder:
        seal_key = Path(folder) / "seal-key"
        seal_key.touch(mode=0o600)
        seal_key.write_text(new_key())
        with rehearsal(None, lanes=1, durable=False, seal_key=f"file:{seal_key}") as stage:
            key = asyncio.run(_furnished(stage))
            process, url = start_api(stage.settings)
            with process:
                began_s = time.monotonic()
                code, said, cases = ask(
                    url, key, Path(folder), examples=given.examples, phases=given.phases, seed=given.seed
                )
                seconds = time.monotonic() - began_s
    print(said)
    return {
        "cases": cases.total(),
        "by_status": dict(sorted(cases.items())),
        "seconds": round(seconds, 1),
        "holds": code == 0
        and cases.total() >= min(CASES, given.examples * 50)
        and not any(status >= 500 for status in cases),
    }


def ask(
    url: str, key: str, folder: Path, *, examples: int, phases: str, seed: int | None = None
) -> tuple[int, str, Counter[int]]:
    """Run schemathesis in a folder of its own. Returns its exit status, what it says, and how many answers of each status."""
    report = folder / "report.ndjson"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{url}/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--mode", "all", "--phases", phases),
        *("--max-examples", str(examples), "--workers", "1", "--continue-on-failure"),
        *("--exclude-operation-id", ENDLESS, "--request-timeout", "30", "--no-color"),
        *("--suppress-health-check", "all", "--generation-database", "none"),
        *("--report", "ndjson", "--report-ndjson-path", str(report)),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "benchmarks.fuzzing.hooks", "NO_PROXY": "*"}
    environment["PYTHONPATH"] = str(HERE.parents[1])
    done = subprocess.run(  # noqa: S603 - our own command line
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr, _statuses(report)


def _statuses(report: Path) -> Counter[int]:
    """Answers by status, from everything that was recorded."""
    found: Counter[int] = Counter()
    if report.exists():
        with report.open() as lines:
            for line in lines:
                found.update(int(status) for status in re.findall(r'"status_code": ?(\d+)', line))
    return found


async def _furnished(stage: Rehearsal) -> str:
    """A world in which the document's examples mean something, and a key that opens everything."""
    async with open_app(stage.settings) as app:
        [sender] = await add_senders(app, stage, 1, rate="1000/s", tier="unlimited")
        stage.sandbox.send("PUT", "templates", TEMPLATES)
        await app.database.execute("UPDATE senders SET name = 'harbour' WHERE name = $1", sender)
        return await furnish(app)


async def furnish(app: App) -> str:
    """What the examples speak of: twelve campaigns with some messages each, one single message, two conversations, three
    replies, five subscriptions with a dead letter each. Returns the key.

    app: has a sender called harbour, and an account at Meta with `TEMPLATES`.
    """
    await app.senders.sync_templates("harbour")
    mapping = SlotMapping((("body.1", Column("first_name")), ("body.2", Literal("20%"))))
    plan = Plan("Autumn offer", "autumn_offer", "en_US", ["harbour"], mapping)
    for n in range(12):
        campaign, _ = await app.import_audience(plan, _Crowd(n * 30))
        if n % 3 == 1:
            await app.campaigns.start(campaign.id)
    async with app.altogether() as orders:
        single = replace(plan, template="parcel_update", mapping=SlotMapping(), kind=CampaignKind.SINGLE)
        await orders.send_one(single, "+4915123456789", {"body.1": "Ann", "body.2": "tomorrow"})
    await app.database.execute(_PEOPLE_HAVE_WRITTEN, ["+4915123456789", "+447700900102"])
    for n in range(3):
        await app.replies.queue(NewReply("harbour", "+4915123456789", Text(f"Reply {n}")))
    await app.database.execute(_SHOPS_LISTEN, app.vault.seal(new_secret()))
    _, key = await app.access.create("fuzz", set(Scope), rate=Rate.parse("1000000/s"))
    await app.access.create("another", {Scope.READ})
    return key


class _Crowd:
    """The port `Audience`: thirty people, one of them twice."""

    columns = ("phone", "first_name")
    size_bytes = 0
    position_bytes = 0

    def __init__(self, first: int) -> None:
        self._rows = [(phone, name) for phone, name, _ in people_from(first, 30)]

    def chunks(self) -> Iterator[Sequence[Row]]:
        """All in one."""
        yield list(enumerate([*self._rows, self._rows[0]], 1))
