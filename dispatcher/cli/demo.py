"""`dispatch demo`: the whole job on this machine, against the sandbox, with nothing to set up.

Real servers, real workers, real HTTP. At its end the ledger is compared with the sandbox's own record, person by person;
the exit code says whether the numbers add up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.rule import Rule
from rich.text import Text

from dispatcher.app import App, open_app
from dispatcher.cli.command import command, run_async
from dispatcher.cli.export import export
from dispatcher.cli.follow import follow
from dispatcher.cli.output import ExitCode, Output
from dispatcher.cli.report import report_table
from dispatcher.domain.audience import Sieve
from dispatcher.domain.ids import CampaignId, PersonKey, SenderId, Token
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, NotQueued
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.reply import Text as Words
from dispatcher.domain.report import CampaignReport
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus
from dispatcher.engine.audience import open_audience
from dispatcher.engine.campaigns import Plan
from dispatcher.rehearsal import Rehearsal, Sandbox, rehearsal

REGION = "GB"
"""Of the audience's numbers without a country code."""
EXPORT = "campaign-demo.csv"
SHOP = "200000000000001"
"""The number that people write to."""
WRITTEN = (
    ("Hello, is the offer good in the shop by the harbour, too?", "It is, in all our shops."),
    ("Until when?", "Until Sunday."),
    ("Stop!", None),
    ("Thank you ❤", "You are welcome!"),
)
"""What people write meanwhile, and what the shop answers; one of them opts out."""
ANSWERED_WITHIN_S = 15
"""How long the demo waits until what people wrote is in the ledger."""
REPORTS_WITHIN_S = 15
"""How long the demo waits for the last reports."""


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "demo")(demo)


def demo(
    out: Output,
    processes: Annotated[int, typer.Option("--processes", min=1, max=16, help="Lane workers.")] = 2,
    rate: Annotated[str, typer.Option("--rate", help="The sender's rate, at most 1000/s.")] = "200/s",
    to: Annotated[Path | None, typer.Option("--to", help="Where the exported CSV goes.")] = None,
) -> int:
    """Send a campaign to some 2,000 invented people: private servers, workers and the sandbox, all on this machine."""
    speed = Rate.parse(rate)
    started = time.monotonic()
    out.note("starting a private PostgreSQL and Valkey, the sandbox and the workers …", style="dim")
    with (
        as_file(files("dispatcher.demo")) as data,
        rehearsal(
            data / "world.toml",
            lanes=processes,
            webhooks=True,
            default_region=REGION,
            sends_us_marketing=True,
        ) as stage,
    ):
        stage.sandbox.send("PATCH", "numbers/200000000000001", {"rate_per_s": round(speed.per_s)})
        return run_async(_play(out, stage, data, speed, to or Path.cwd() / EXPORT, started))


async def _play(out: Output, stage: Rehearsal, data: Path, speed: Rate, to: Path, started: float) -> int:
    async with open_app(stage.settings) as app:
        senders = await _senders(app, stage, speed)
        suppressed = await app.senders.suppress(_people(data / "opted_out.csv"), "opted_out", "demo")
        with open_audience(data / "audience.csv") as audience:
            plan = Plan("autumn offer", "autumn_offer", "en_US", [sender.name for sender in senders])
            campaign, imported = await app.import_audience(plan, audience, default_region=REGION)
        assert imported is not None
        out.note(
            f"{imported.rows:,} rows imported: {imported.audience:,} people, {suppressed} of them opted out, "
            f"{sum(imported.rejected.values())} rows rejected",
            style="dim",
        )
        await app.campaigns.start(campaign.id)
        await _answer(app, await _people_write(app, campaign.id, stage.sandbox))
        await follow(app, campaign.id, out, until_held=True)
        await _reports_are_in(app, stage.sandbox)
        report = await app.campaigns.report(campaign.id)
        arrived = _arrived(campaign.id, stage.sandbox)
        differences = len(await _accepted(app, campaign.id) ^ arrived)
        faults = [fault.what for fault in await app.campaigns.check()]
        conversations = await app.conversations.list(len(WRITTEN))
        answered = await app.replies.recent(len(WRITTEN), state=MessageState.ACCEPTED)
        await export(app.campaigns.export(campaign.id), to, force=True)
    record = stage.sandbox.get("record")
    result = {
        **_result(report, record, len(arrived), differences, faults, time.monotonic() - started),
        "wrote": len(conversations),
        "answered": len(answered),
        "opted_out": sum(one.suppressed is not None for one in conversations),
    }
    out.answer(
        {**result, "export": to},
        Rule(style="dim"),
        report_table(report, is_kept=False),
        Text(""),
        *_ending(result, to),
    )
    return ExitCode.DONE if result["adds_up"] else ExitCode.NO


async def _people_write(app: App, campaign_id: CampaignId, sandbox: Sandbox) -> Mapping[str, str]:
    """While the campaign runs, the last of its people write to the shop, and one of them opts out before being reached.

    Returns what each of the others is to be answered.
    """
    rows = [row async for chunk in app.campaigns.export(campaign_id) for row in chunk]
    waiting = [str(row["phone"]) for row in rows if row["state"] == MessageState.PENDING]
    people = dict(zip(waiting[-len(WRITTEN) :], WRITTEN, strict=False))
    if people:
        written = [
            {"phone_number_id": SHOP, "person": person, "text": said} for person, (said, _) in people.items()
        ]
        await asyncio.to_thread(sandbox.send, "POST", "inbound", written)
    return {person: answer for person, (_, answer) in people.items() if answer is not None}


async def _answer(app: App, answers: Mapping[str, str]) -> None:
    """Answer each person once what they wrote is in the ledger; not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            for person, text in answers.items():
                reply = NewReply("shop", person, Words(text), key=f"demo {person}")
                # why polled: another process takes in what they wrote.
                while isinstance(await app.replies.queue(reply), NotQueued):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def _reports_are_in(app: App, sandbox: Sandbox) -> None:
    """Until Meta has reported what there is to report, and all of it is in the ledger; not for ever."""
    await asyncio.to_thread(sandbox.get, f"webhooks?until_idle={REPORTS_WITHIN_S}")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REPORTS_WITHIN_S):
            # why polled: other processes empty it.
            while (await app.inbox.waiting()).bodies:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def _senders(app: App, stage: Rehearsal, speed: Rate) -> Sequence[Sender]:
    """One that may send and one that is banned, as the demo's world has them."""
    senders = [
        await app.senders.add(
            Sender(
                id=SenderId(0),
                name=name,
                phone_number_id=number,
                phone=phone,
                waba_id="100000000000001",
                portfolio_id="300000000000001",
                status=status,
                lifecycle=Lifecycle.ONLINE,
                quality=quality,
                tier=Tier.parse("TIER_10K"),
                limit_scope=LimitScope.SENDER,
                rate=speed,
                enabled=True,
                token_ref=stage.token_ref,
                origin="platform",
            )
        )
        for name, number, phone, status, quality in (
            ("shop", "200000000000001", "+12025550100", SenderStatus.CONNECTED, Quality.HIGH),
            ("offers", "200000000000002", "+12025550101", SenderStatus.BANNED, Quality.UNRATED),
        )
    ]
    await app.senders.sync_templates("shop")
    return senders


def _people(path: Path) -> list[tuple[PersonKey, str]]:
    with open_audience(path) as file:
        sieve = Sieve(file.columns, phone=None, columns=(), default_region=None)
        people = [person for rows in file.chunks() for person in sieve.sift(rows)[0]]
    return [(PersonKey(person.key), person.e164) for person in people]


async def _accepted(app: App, campaign_id: CampaignId) -> set[tuple[str, str]]:
    """Who got the campaign's message, and under which wamid, as the ledger has it."""
    return {
        (str(row["phone"]).removeprefix("+"), str(row["wamid"]))
        async for rows in app.campaigns.export(campaign_id)
        for row in rows
        if row["state"] == MessageState.ACCEPTED
    }


def _arrived(campaign_id: CampaignId, sandbox: Sandbox) -> set[tuple[str, str]]:
    """The same, as the sandbox recorded it."""
    tokens = [(Token.parse(message["token"]), message) for message in sandbox.accepted()]
    return {
        (message["to"], message["wamid"])
        for token, message in tokens
        if token is not None and token.campaign_id == campaign_id
    }


def _result(
    report: CampaignReport,
    record: Mapping[str, Any],
    arrived: int,
    differences: int,
    faults: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    counts, sending = report.view.counts, report.posting_time
    sending_s = sending.total_seconds() if sending else 0.0
    return {
        "audience": counts.audience,
        "accepted": counts.accepted,
        "refused": counts.refused,
        "unsure": counts.unsure,
        "suppressed": counts.suppressed,
        "reported": _reported(report),
        "waiting": counts.pending,
        "rejected_rows": dict(report.rejected_rows),
        "adds_up": counts.adds_up and not differences and not faults,
        "violations": record["violations"],
        "accepted_by_record": arrived,
        "people_disagreed_on": differences,
        "faults": faults,
        "why_waiting": {str(wait.hold.reason): wait.people for wait in report.view.waiting},
        "senders": {lane.sender.name: _lane_line(lane.accepted, lane.hold) for lane in report.view.lanes},
        "messages_per_s": round(counts.accepted / sending_s, 1) if sending_s else 0.0,
        "seconds": round(seconds, 1),
    }


def _reported(report: CampaignReport) -> Mapping[str, int]:
    people: Counter[str] = Counter()
    for one in report.reported:
        people[str(one.state or "nothing yet")] += one.people
    return dict(people)


def _lane_line(accepted: int, hold: object | None) -> str:
    return f"{accepted} accepted" + (f", held: {hold}" if hold else "")


def _ending(result: Mapping[str, Any], to: Path) -> Sequence[Text]:
    agrees = not result["people_disagreed_on"] and not result["violations"]
    return (
        Text(f"The sandbox's own record: {result['accepted_by_record']:,} accepted, ", end="").append(
            "no violation of any limit, the same people as in our ledger"
            if agrees
            else "it does NOT agree with ours",
            "green" if agrees else "bold red",
        ),
        Text(
            f"{result['wrote']} people wrote meanwhile: {result['answered']} were answered at once, "
            f"{result['opted_out']} opted out and got nothing more"
        ),
        Text(f"everybody, line by line: {to}"),
        Text(f"{result['messages_per_s']:,.0f} messages/s, {result['seconds']:.0f} s in all", "dim"),
    )
