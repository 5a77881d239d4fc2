"""`dispatch unsure …`: messages of which nobody knows whether they were sent, and what an operator can do about them."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, CampaignArgument, command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.message import MessageState

family = group("unsure", "Messages whose answer was lost: they may have been sent, or not.")

Messages = Annotated[
    list[int] | None,
    typer.Argument(metavar="[MESSAGE…]", help="Only these messages, by their number in the campaign."),
]
All = Annotated[bool, typer.Option("--all", help="All unsure messages of the campaign.")]
_STATES = {"accepted": MessageState.ACCEPTED, "refused": MessageState.REFUSED}


@command(family, "list")
async def list_unsure(
    app: App,
    out: Output,
    campaign: Annotated[
        int | None, typer.Option("--campaign", min=1, max=LARGEST_ID, help="Of one campaign only.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to show.")] = 50,
) -> int:
    """What is unsure, since when, and who decides: a receipt, the campaign's policy, or you."""
    count, unsure = await app.unsure.list(CampaignId(campaign) if campaign else None, limit)
    rows = [
        (
            f"{one.ref.campaign_id}.{one.ref.message_id}",
            one.person,
            one.sender,
            clock_text(one.posted_at),
            ", ".join(str(part) for part in (one.code, one.reason, one.detail) if part),
            f"{one.policy} at {clock_text(one.decides_at)}" if one.decides_at else "you decide",
        )
        for one in unsure
    ]
    out.answer(
        {"unsure": count, "messages": unsure},
        table(("message", "person", "sender", "posted", "why", "policy"), rows)
        if rows
        else "nothing is unsure",
        *([f"{count - len(rows):,} more; --limit shows them"] if count > len(rows) else []),
    )
    return ExitCode.NO if count else ExitCode.DONE


@command(family, "settle")
async def settle(
    app: App,
    out: Output,
    campaign: CampaignArgument,
    messages: Messages = None,
    everything: All = False,
    state: Annotated[
        str, typer.Option("--as", metavar="accepted|refused", help="What became of them.")
    ] = "refused",
) -> None:
    """Say what became of unsure messages, from knowledge of your own. They are not posted again."""
    if state not in _STATES:
        raise BadValue(f"{state!r} is not what can become of a message; use accepted or refused")
    settled = await app.unsure.settle(CampaignId(campaign), _chosen(messages, everything), _STATES[state])
    out.answer({"settled": settled, "as": state}, f"{settled:,} messages count as {state} now")


@command(family, "release")
async def release(
    app: App,
    out: Output,
    campaign: CampaignArgument,
    messages: Messages = None,
    everything: All = False,
) -> None:
    """Have unsure messages posted again. Those that had arrived will arrive twice."""
    released = await app.unsure.release(CampaignId(campaign), _chosen(messages, everything))
    out.answer(
        {"released": released}, f"{released:,} messages are pending again; whoever had got one will get two"
    )


def _chosen(messages: list[int] | None, everything: bool) -> list[MessageId] | None:
    if bool(messages) == everything:
        raise BadValue(
            "say which messages are meant; nothing was changed",
            hint="name them by their numbers, or give --all; `dispatch unsure list` shows them",
        )
    return None if everything else [MessageId(each) for each in messages or ()]
