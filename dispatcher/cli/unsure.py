"""`dispatch unsure …`: what nobody knows to be sent or not, messages and replies, and what an operator can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import REPLIES, CampaignId, MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import UnsureView

family = group("unsure", "Messages and replies whose answer was lost: they may have been sent, or not.")

_REPLIES = "replies"
Of = Annotated[
    str, typer.Argument(metavar="CAMPAIGN|replies", help="The campaign's number, or the word replies.")
]

Messages = Annotated[
    list[int] | None,
    typer.Argument(metavar="[ID…]", help="Only these messages of the campaign, or these replies."),
]
All = Annotated[bool, typer.Option("--all", help="All unsure messages of the campaign, or all replies.")]
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
    """What is unsure, since when, and who decides: a receipt, a policy, or you."""
    count, messages = await app.unsure.list(CampaignId(campaign) if campaign else None, limit)
    replies: Sequence[UnsureView] = ()
    if campaign is None:
        reply_count, replies = await app.unsure_replies.list(limit)
        count += reply_count
    rows = [
        (
            _name(one),
            one.person,
            one.sender,
            clock_text(one.posted_at),
            ", ".join(str(part) for part in (one.code, one.reason, one.detail) if part),
            f"{one.policy} at {clock_text(one.decides_at)}" if one.decides_at else "you decide",
        )
        for one in (*messages, *replies)
    ]
    out.answer(
        {"unsure": count, "messages": messages, "replies": replies},
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
    of: Of,
    messages: Messages = None,
    everything: All = False,
    state: Annotated[
        str, typer.Option("--as", metavar="accepted|refused", help="What became of them.")
    ] = "refused",
) -> None:
    """Say what became of unsure messages or replies, from knowledge of your own. They are not posted again."""
    if state not in _STATES:
        raise BadValue(f"{state!r} is not what can become of a message; use accepted or refused")
    chosen = _chosen(messages, everything)
    if of == _REPLIES:
        settled = await app.unsure_replies.settle(chosen, _STATES[state])
    else:
        settled = await app.unsure.settle(_campaign(of), chosen, _STATES[state])
    out.answer({"settled": settled, "as": state}, f"{settled:,} count as {state} now")


@command(family, "release")
async def release(
    app: App,
    out: Output,
    of: Of,
    messages: Messages = None,
    everything: All = False,
) -> None:
    """Have unsure messages or replies posted again. Those that had arrived will arrive twice."""
    chosen = _chosen(messages, everything)
    if of == _REPLIES:
        released = await app.unsure_replies.release(chosen)
    else:
        released = await app.unsure.release(_campaign(of), chosen)
    out.answer({"released": released}, f"{released:,} are pending again; whoever had got one will get two")


def _name(one: UnsureView) -> str:
    is_reply = one.ref.campaign_id == REPLIES
    return f"reply {one.ref.message_id}" if is_reply else f"{one.ref.campaign_id}.{one.ref.message_id}"


def _campaign(text: str) -> CampaignId:
    if text.isascii() and text.isdecimal() and 0 < int(text) <= LARGEST_ID:
        return CampaignId(int(text))
    raise BadValue(
        f"{text!r} is no campaign; nothing was changed", hint="write its number, or the word replies"
    )


def _chosen(messages: list[int] | None, everything: bool) -> list[MessageId] | None:
    if bool(messages) == everything:
        raise BadValue(
            "say which messages are meant; nothing was changed",
            hint="name them by their numbers, or give --all; `dispatch unsure list` shows them",
        )
    return None if everything else [MessageId(each) for each in messages or ()]
