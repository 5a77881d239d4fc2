"""What the benchmarks share: a rehearsal with senders, an audience, and a campaign watched to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from dispatcher.app import App
from dispatcher.domain.content import parse_mapping
from dispatcher.domain.ids import CampaignId, SenderId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.report import CampaignView
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus
from dispatcher.engine.audience import open_audience
from dispatcher.engine.campaigns import Plan
from dispatcher.ledger.audience import ImportReport, fill
from dispatcher.rehearsal import TOKEN, Rehearsal

WABA = "100000000000001"
TEMPLATE = {
    "id": "600000000000001",
    "waba_id": WABA,
    "name": "offer",
    "language": "en_US",
    "category": "MARKETING",
    "status": "APPROVED",
    "components": [{"type": "BODY", "text": "Dear {{1}}, take {{2}} off everything until Sunday."}],
}
MAPPING = ["body.1=first_name", "body.2=discount"]


def people_from(first: int, count: int) -> Iterator[tuple[str, str, str]]:
    """Distinct German mobile numbers, from the `first` on, each with a first name and a discount."""
    for number in range(first, first + count):
        yield f"+4915{110_000_000 + number}", f"Name {number}", f"{number % 50} %"


def write_audience(path: Path, people: int, *, first: int = 0) -> Path:
    """People, with a column that no template uses."""
    with path.open("w") as file:
        file.write("phone,first_name,discount,city\n")
        for phone, first_name, discount in people_from(first, people):
            file.write(f"{phone},{first_name},{discount},Berlin\n")
    return path


def number_id(n: int) -> str:
    """How Meta knows the n-th sender."""
    return f"2{n:014}"


async def add_senders(app: App, stage: Rehearsal, count: int, *, rate: str, tier: str) -> Sequence[str]:
    """Senders on both sides: as Meta knows them, and as we do. Returns their names."""
    stage.sandbox.send(
        "PUT", "portfolios", [{"id": "300000000000001", "name": "Bench", "tier_limit": "unlimited"}]
    )
    stage.sandbox.send("PUT", "wabas", [{"id": WABA, "portfolio_id": "300000000000001", "name": "Bench"}])
    stage.sandbox.send("PUT", "templates", [TEMPLATE])
    limit = Tier.parse(tier).limit
    numbers = [number_id(n) for n in range(count)]
    stage.sandbox.send(
        "PUT",
        "numbers",
        [
            {
                "id": number,
                "waba_id": WABA,
                "display_phone_number": f"+1 202-555-{n:04}",
                "verified_name": "Bench",
                "token": TOKEN,
                "tier_limit": "unlimited" if limit is None else limit,
                "rate_per_s": round(Rate.parse(rate).per_s),
            }
            for n, number in enumerate(numbers)
        ],
    )
    return await book_senders(app, stage.token_ref, count, rate=rate, tier=tier)


async def book_senders(app: App, token_ref: str, count: int, *, rate: str, tier: str) -> Sequence[str]:
    """Senders on our side alone, and the templates of their account. Returns their names."""
    senders = [
        Sender(
            id=SenderId(0),
            name=f"sender-{n}",
            phone_number_id=number_id(n),
            phone=f"+1202555{n:04}",
            waba_id=WABA,
            portfolio_id=None,
            status=SenderStatus.CONNECTED,
            lifecycle=Lifecycle.ONLINE,
            quality=Quality.HIGH,
            tier=Tier.parse(tier),
            limit_scope=LimitScope.SENDER,
            rate=Rate.parse(rate),
            enabled=True,
            token_ref=token_ref,
            origin="platform",
        )
        for n in range(count)
    ]
    # why: each order tells the limits of all senders, so only the last one is an order; two hundred would take a minute.
    for sender in senders[:-1]:
        await app.lane_tools.senders.add(sender)
    await app.senders.add(senders[-1])
    await app.senders.sync_templates(senders[0].name)
    return [sender.name for sender in senders]


async def add_campaign(app: App, audience: Path, senders: Sequence[str]) -> tuple[CampaignId, ImportReport]:
    """A draft with its people."""
    mapping = parse_mapping(MAPPING)
    assert not isinstance(mapping, list)
    with open_audience(audience) as file:
        plan = Plan("benchmark", "offer", "en_US", senders, mapping)
        campaign, _ = await app.campaigns.create(plan, file.columns)
        report = await fill(
            app.database, campaign.id, file, phone_column=None, columns=campaign.columns, default_region=None
        )
    return campaign.id, report


async def watch(
    app: App, campaign_id: CampaignId, is_over: Callable[[CampaignView], bool], *, most_s: float
) -> tuple[CampaignView, float]:
    """Look until it is over. Returns the last look and the seconds it took. Raises TimeoutError."""
    started = time.monotonic()
    async with asyncio.timeout(most_s):
        while True:
            view = await app.campaigns.view(campaign_id)
            assert view.counts.adds_up, view.counts
            if is_over(view):
                return view, time.monotonic() - started
            await asyncio.sleep(0.1)


class Memory:
    """Peak resident memory of processes, their children included."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self.peak_mb = 0.0

    def look(self) -> None:
        """Take one sample; call it often."""
        for root in self._roots:
            for process in [root, *root.children(recursive=True)]:
                self.peak_mb = max(self.peak_mb, process.memory_info().rss / 1e6)
