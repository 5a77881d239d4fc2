"""Reads what somebody posts to Meta's door for messages: for whom it is, what it says, which message it answers.

The inverse of `reply_payloads`: Meta's form becomes the house's own content, which the house renders again when it posts.
What the house has no words for goes on as it was written, where it is of a kind that Meta knows. Templates are only found
here; what fills them is `gateway_templates`' affair.

Invariant: total; whatever was posted becomes one of the forms below or an objection, and no field is passed over.
Source: Meta, "Send messages", common fields, and the pages of the message types, read 2026-09.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.channel.gateway_fields import Fields, Objected, media_source
from dispatcher.domain.contact import CONTACTS_MAX
from dispatcher.domain.gateway import Objection, Refused
from dispatcher.domain.ids import is_user_id
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.phone import BadPhone, Phone, parse_phone
from dispatcher.domain.reply import AsWritten, FreeForm, Location, Media, MediaKind, Reaction, Text
from dispatcher.domain.standing import TemplateOrder

CALLBACK_DATA_CHARS_MAX = 512
"""Source: Meta, "Send messages", `biz_opaque_callback_data`, read 2026-09."""
_MEDIA = frozenset(MediaKind)
_AS_WRITTEN = frozenset(
    {
        "flow", "product", "product_list", "catalog_message", "order_details", "order_status",
        "location_request_message", "address_message", "carousel", "voice_call", "call_permission_request",
        "contact_request", "request_contact_info",
    }
)  # fmt: skip
"""Interactive types that the house does not model. Source: Meta, "Interactive messages" and its pages, read 2026-09."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person wrote was read; perhaps an answer is being written."""

    message_id: str
    is_typing: bool


@dataclass(frozen=True, slots=True)
class FreeFormMessage:
    """A message that needs an open service window."""

    recipient: str
    """As it was given."""
    person: str
    """E.164, or a user id."""
    content: FreeForm
    context_id: str | None
    """The message that it answers: a wamid, or an id of ours."""
    callback_data: str | None


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """A message from a template."""

    recipient: str
    order: TemplateOrder
    context_id: str | None
    """As above; the order takes Meta's id of it."""


Posted = Mark | FreeFormMessage | TemplateMessage


def read_posted(body: object, default_region: str | None = None) -> Posted | Refused:
    """What a body asks for. body: read from JSON.

    default_region: of numbers that are none with the plus sign put before them. Clients give the digits of a wa_id.
    """
    try:
        return _read(Fields(body), default_region)
    except Objected as objected:
        return objected.refused


def _read(fields: Fields, default_region: str | None) -> Posted:
    if fields.take("messaging_product") != "whatsapp":
        raise Objected(Objection.UNKNOWN_FIELD, "messaging_product is required and must be 'whatsapp'")
    if (fields.text("recipient_type") or "individual") != "individual":
        raise Objected(Objection.BAD_FIELD, "recipient_type: messages go to individuals, not to groups")
    if (status := fields.text("status")) is not None:
        if status != "read":
            raise Objected(Objection.BAD_FIELD, "status must be read")
        return _mark(fields)
    recipient, person = _recipient(fields, default_region)
    kind = fields.text("type") or "text"
    callback_data = fields.text("biz_opaque_callback_data", chars_max=CALLBACK_DATA_CHARS_MAX)
    context = fields.inner_if("context")
    context_id = None
    if context is not None:
        context_id = context.need_text("message_id")
        context.done()
    if kind == "template":
        order = _template(fields.inner("template"), person, callback_data)
        fields.done()
        return TemplateMessage(recipient, order, context_id)
    content = _content(fields, kind)
    fields.done()
    written = person.e164 if isinstance(person, Phone) else person
    return FreeFormMessage(recipient, written, content, context_id, callback_data)


def _mark(fields: Fields) -> Mark:
    message_id = fields.need_text("message_id")
    typing = fields.inner_if("typing_indicator")
    if typing is not None:
        typing.must_be("type", "text")
        typing.done()
    fields.done()
    return Mark(message_id, typing is not None)


def _recipient(fields: Fields, default_region: str | None) -> tuple[str, Phone | str]:
    """As it was given, and as a number or a user id; where both are given, the number wins at Meta, too."""
    to, user_id = fields.text("to"), fields.text("recipient")
    if not to and not user_id:
        raise Objected(Objection.MISSING_FIELD, "to is required, or recipient with a user id")
    if not to:
        assert user_id is not None
        if not is_user_id(user_id):
            raise Objected(Objection.BAD_FIELD, "recipient is no user id")
        return user_id, user_id
    given = to.strip()
    phone = parse_phone(given if given.startswith("+") else f"+{given}")
    if isinstance(phone, BadPhone) and default_region is not None:
        phone = parse_phone(given, default_region)
    if isinstance(phone, BadPhone):
        raise Objected(Objection.BAD_FIELD, f"to is no number that can be written to: {phone.text}")
    return to, phone


def _template(fields: Fields, person: Phone | str, callback_data: str | None) -> TemplateOrder:
    name = fields.need_text("name")
    language = fields.inner("language")
    code = language.need_text("code")
    if language.text("policy") not in (None, "deterministic"):
        raise Objected(Objection.BAD_FIELD, "template.language.policy must be deterministic")
    language.done()
    components = fields.take("components") or []
    if not isinstance(components, list | tuple):
        raise Objected(Objection.BAD_FIELD, "template.components must be a list")
    fields.done()
    phone, user_id = (person, None) if isinstance(person, Phone) else (None, person)
    return TemplateOrder(phone, user_id, name, code, components, callback_data)


def _content(fields: Fields, kind: str) -> FreeForm:
    if kind == "contacts":
        return _contacts(fields.need("contacts"))
    if kind not in _MEDIA and kind not in {"text", "location", "reaction", "interactive"}:
        raise Objected(Objection.UNKNOWN_TYPE, f"type {kind!r} is not sent from here")
    if kind == "interactive":
        return _interactive(fields.need("interactive"))
    inner = fields.inner(kind)
    content = _simple(inner, kind)
    inner.done()
    return content


def _simple(fields: Fields, kind: str) -> FreeForm:
    match kind:
        case "text":
            return Text(fields.need_text("body"), preview_url=fields.flag("preview_url"))
        case "location":
            return Location(
                fields.number("latitude"),
                fields.number("longitude"),
                fields.text("name"),
                fields.text("address"),
            )
        case "reaction":
            return Reaction(fields.need_text("message_id"), fields.need_text("emoji"))
        case _:
            return Media(
                MediaKind(kind),
                media_source(fields),
                fields.text("caption"),
                fields.text("filename"),
                is_voice=fields.flag("voice"),
            )


def _contacts(cards: object) -> FreeForm:
    """Cards have far more fields than the house has words for, and Meta asks for none but the name."""
    if not isinstance(cards, list) or not 1 <= len(cards) <= CONTACTS_MAX:
        raise Objected(Objection.BAD_FIELD, f"contacts must be a list of 1 to {CONTACTS_MAX} cards")
    for place, card in enumerate(cards):
        Fields(card, f"contacts[{place}]").inner("name").need_text("formatted_name")
    return AsWritten("contacts", cards)


def _interactive(given: object) -> FreeForm:
    fields = Fields(given, "interactive")
    kind = fields.need_text("type")
    if kind in _AS_WRITTEN:
        assert isinstance(given, dict)
        return AsWritten("interactive", given)
    if kind not in {"button", "list", "cta_url"}:
        raise Objected(Objection.BAD_FIELD, f"interactive.type {kind!r} is not sent from here")
    body = fields.inner("body")
    text = body.need_text("text")
    body.done()
    footer = _footer(fields)
    header = _header(fields)
    action = fields.inner("action")
    content = _pressed(action, kind, text, header, footer)
    action.done()
    fields.done()
    return content


def _pressed(
    action: Fields, kind: str, body: str, header: str | HeaderMedia | None, footer: str | None
) -> FreeForm:
    match kind:
        case "button":
            return Buttons(body, [_button(button) for button in action.each("buttons")], header, footer)
        case "list":
            if isinstance(header, HeaderMedia):
                raise Objected(
                    Objection.BAD_FIELD, "interactive.header: a list has a text above it, or nothing"
                )
            label = action.need_text("button")
            return Choices(body, label, _sections(action), header, footer)
        case _:
            action.must_be("name", "cta_url")
            opens = action.inner("parameters")
            link = Link(body, opens.need_text("display_text"), opens.need_text("url"), header, footer)
            opens.done()
            return link


def _button(fields: Fields) -> Button:
    fields.must_be("type", "reply")
    reply = fields.inner("reply")
    button = Button(reply.need_text("id"), reply.need_text("title"))
    reply.done()
    fields.done()
    return button


def _sections(action: Fields) -> Sequence[Section]:
    sections = []
    for fields in action.each("sections"):
        rows = []
        for row in fields.each("rows"):
            rows.append(Row(row.need_text("id"), row.need_text("title"), row.text("description") or None))
            row.done()
        sections.append(Section(rows, fields.text("title") or None))
        fields.done()
    return sections


def _footer(fields: Fields) -> str | None:
    footer = fields.inner_if("footer")
    if footer is None:
        return None
    text = footer.need_text("text")
    footer.done()
    return text


def _header(fields: Fields) -> str | HeaderMedia | None:
    header = fields.inner_if("header")
    if header is None:
        return None
    kind = header.must_be("type", "text", "image", "video", "document")
    if kind == "text":
        shown: str | HeaderMedia = header.need_text("text")
    else:
        media = header.inner(kind)
        shown = HeaderMedia(kind, media_source(media), media.text("filename"))
        media.done()
    header.done()
    return shown
