"""`dispatch message …`: one message to one person, its history, and why it is where it is."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.campaigns import explanation_lines
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import clock_text, explanation_shape, message_shape
from dispatcher.domain.errors import BadValue, NotFound
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey, Token
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.domain.report import MessageView

family = group("message", "One message to one person: its history, and why it is where it is.")

Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="CAMPAIGN.MESSAGE, CAMPAIGN:+NUMBER, or the token that came back in a webhook.",
    ),
]


@command(family, "show")
async def show(app: App, out: Output, reference: Reference) -> None:
    """A message, what was posted, and what came back."""
    message = await _find(app, reference)
    facts = (
        ("message", f"{message.campaign_id}.{message.id}"),
        ("person", message.person),
        ("line of the file", str(message.line) if message.line is not None else None),
        ("values", " | ".join(message.values)),
        ("state", message.state),
        ("reason", message.reason),
        ("Meta's code", str(message.code) if message.code is not None else None),
        ("detail", message.detail),
        ("sender", message.sender),
        ("attempt", message.attempt),
        ("posted", clock_text(message.posted_at)),
        ("not before", clock_text(message.not_before)),
        ("wamid", message.wamid),
    )
    attempts = [
        (str(a.attempt), clock_text(a.at), a.sender, str(a.code) if a.code else None, a.reason, a.detail)
        for a in message.attempts
    ]
    receipts = [
        (
            str(told.attempt),
            told.state,
            *(
                clock_text(at)
                for at in (told.receipt.sent_at, told.receipt.delivered_at, told.receipt.read_at)
            ),
            ", ".join(str(part) for part in (told.receipt.code, told.receipt.detail) if part),
        )
        for told in message.receipts
    ]
    out.answer(
        message_shape(message),
        table(("", ""), facts),
        *(
            [table(("attempt", "Meta reports", "sent", "delivered", "read", "failure"), receipts)]
            if receipts
            else []
        ),
        *(
            [table(("earlier attempt", "at", "sender", "code", "reason", "detail"), attempts)]
            if attempts
            else []
        ),
    )


@command(family, "explain")
async def explain(app: App, out: Output, reference: Reference) -> None:
    """Why a message is where it is, and what helps."""
    explanation = await app.explain.explain_message(await _find(app, reference))
    out.answer(explanation_shape(explanation), *explanation_lines(explanation))


async def _find(app: App, reference: str) -> MessageView:
    if (token := Token.parse(reference)) is not None:
        if token.instance != await app.database.instance():
            raise NotFound(
                f"the token {reference} was made by another ledger",
                hint="several installations may use one WhatsApp account; ask the one that sent it",
            )
        return await app.explain.message(token.campaign_id, token.message_id)
    campaign, colon, person = reference.partition(":")
    if colon:
        phone = parse_phone(person)
        if isinstance(phone, BadPhone):
            raise BadValue(f"{person!r} is no number to look for: {phone.text}")
        return await app.explain.message_to(CampaignId(_number(campaign, reference)), PersonKey(phone.key))
    campaign, _, message = reference.partition(".")
    return await app.explain.message(
        CampaignId(_number(campaign, reference)), MessageId(_number(message, reference))
    )


def _number(text: str, reference: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) <= LARGEST_ID:
        return int(text)
    raise BadValue(
        f"{reference!r} names no message",
        hint="write CAMPAIGN.MESSAGE such as 7.1234, or CAMPAIGN:+NUMBER such as 7:+12025550101",
    )
