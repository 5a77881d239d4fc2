"""Bodies of free-form messages: what a reply says, as Meta takes it, and the request around it.

The content is made once, when the reply is queued, and kept; the envelope names the person, our token and the message
that is answered, when it is posted. Which content is allowed is `domain/reply.py`'s affair.
Source: Meta, "Send messages" and the pages of the message types; "Business-scoped user ids" (`recipient`), read 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import orjson

from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.content import is_link
from dispatcher.domain.interactive import Buttons, Choices, HeaderMedia, Link, Section
from dispatcher.domain.queued_reply import ClaimedReply
from dispatcher.domain.reply import AsWritten, FreeForm, Location, Media, Reaction, Text


class FreeFormPayloads:
    """The port `ReplyPayloads`."""

    def content(self, content: FreeForm) -> Mapping[str, Any]:
        """See `content_of`."""
        return content_of(content)

    def render(self, reply: ClaimedReply, token: str) -> bytes:
        """The body of one request. token: ours, which Meta returns in `biz_opaque_callback_data`."""
        # why not both: where a number is known it wins at Meta, too, and the user id would only be read in vain.
        to = {"recipient": reply.user_id} if reply.person is None else {"to": reply.person}
        context = {"context": {"message_id": reply.context_wamid}} if reply.context_wamid else {}
        return orjson.dumps(
            {**_ENVELOPE, **to, **context, "biz_opaque_callback_data": token, **reply.content}
        )

    def mark_read(self, wamid: str, *, is_typing: bool) -> bytes:
        """The body that marks a message, and all before it, as read; with "typing …" shown until we answer."""
        typing = {"typing_indicator": {"type": "text"}} if is_typing else {}
        return orjson.dumps(
            {"messaging_product": "whatsapp", "status": "read", "message_id": wamid, **typing}
        )


_ENVELOPE = {"messaging_product": "whatsapp", "recipient_type": "individual"}


def content_of(content: FreeForm) -> Mapping[str, Any]:
    """`{"type": …, "<type>": {…}}`."""
    match content:
        case Text(body=body, preview_url=preview_url):
            return _typed("text", {"preview_url": preview_url, "body": body})
        case Media(kind=kind, source=source, caption=caption, filename=filename):
            voice = {"voice": True} if content.is_voice else {}
            return _typed(str(kind), {**_media(source), **_said(caption=caption, filename=filename), **voice})
        case Location(latitude=latitude, longitude=longitude, name=name, address=address):
            place = {"latitude": latitude, "longitude": longitude}
            return _typed("location", {**place, **_said(name=name, address=address)})
        case Reaction(wamid=wamid, emoji=emoji):
            return _typed("reaction", {"message_id": wamid, "emoji": emoji})
        case Contacts(cards=cards):
            return _typed("contacts", [_card(card) for card in cards])
        case Buttons(body=body, buttons=buttons, header=header, footer=footer):
            replies = [{"type": "reply", "reply": {"id": b.id, "title": b.title}} for b in buttons]
            return _interactive("button", body, {"buttons": replies}, header, footer)
        case Choices(body=body, label=label, sections=sections, header=header, footer=footer):
            action = {"button": label, "sections": [_section(section) for section in sections]}
            return _interactive("list", body, action, header, footer)
        case Link(body=body, label=label, url=url, header=header, footer=footer):
            opens = {"name": "cta_url", "parameters": {"display_text": label, "url": url}}
            return _interactive("cta_url", body, opens, header, footer)
        case AsWritten(type=kind, content=written):
            return _typed(kind, written)
        case _:
            assert_never(content)


def _typed(kind: str, value: object) -> Mapping[str, Any]:
    return {"type": kind, kind: value}


def _media(source: str) -> dict[str, str]:
    return {"link" if is_link(source) else "id": source}


def _said(**members: object) -> dict[str, object]:
    """Those that are there."""
    return {name: value for name, value in members.items() if value is not None}


def _interactive(
    kind: str, body: str, action: Mapping[str, Any], header: str | HeaderMedia | None, footer: str | None
) -> Mapping[str, Any]:
    above: dict[str, Any] = {}
    if isinstance(header, HeaderMedia):
        shown = {**_media(header.source), **_said(filename=header.filename)}
        above = {"header": {"type": header.kind, header.kind: shown}}
    elif header is not None:
        above = {"header": {"type": "text", "text": header}}
    below = {} if footer is None else {"footer": {"text": footer}}
    return _typed("interactive", {"type": kind, **above, "body": {"text": body}, **below, "action": action})


def _section(section: Section) -> dict[str, object]:
    rows = [_said(id=row.id, title=row.title, description=row.description) for row in section.rows]
    return _said(title=section.title, rows=rows)


def _card(card: Contact) -> dict[str, object]:
    phones: Sequence[object] = [{"phone": phone} for phone in card.phones]
    emails: Sequence[object] = [{"email": email} for email in card.emails]
    return _said(
        name={"formatted_name": card.name, "first_name": card.first_name},
        phones=phones or None,
        emails=emails or None,
        org={"company": card.company} if card.company else None,
    )
