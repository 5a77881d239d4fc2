"""Templates: what Meta's description of a template demands of whoever sends it.

``parse_template`` reads one element of Meta's template list and flattens it into slots: one slot is one value that has
to be found per person. What fills a slot is ``content.py``'s affair, how it looks on the wire ``payloads.py``'s.

Invariant: what we do not understand is never sent. A template with an unknown part is parsed, kept, and carries the
reasons in ``unsupported``.
Source: Meta, "Templates", "Template components" and "Send templates", read 2026-09.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

BODY_CHARS_MAX = 1024
BODY_CHARS_MAX_WITH_OFFER = 600
BODY_CHARS_MAX_ON_CARD = 160
HEADER_CHARS_MAX = 60
URL_CHARS_MAX = 2000
COUPON_CODE_CHARS_MAX = 20
"""20 since 2025-12-03, 15 before. Source: Meta, changelog, read 2026-09."""
OTP_CHARS_MAX = 15
PAYLOAD_CHARS_MAX = 512
"""Meta names no number; clients refuse more than this."""


class TemplateStatus(StrEnum):
    """Where a template stands with Meta's review and quality control."""

    PENDING = "PENDING"
    """In review, normally for less than a day."""
    APPROVED = "APPROVED"
    """May be sent."""
    REJECTED = "REJECTED"
    """The review said no."""
    PAUSED = "PAUSED"
    """Low quality, or halted by pacing."""
    DISABLED = "DISABLED"
    """Third strike, or against policy; for good."""
    IN_APPEAL = "IN_APPEAL"
    """Rejected, and the business has objected."""
    PENDING_DELETION = "PENDING_DELETION"
    """About to be deleted."""
    DELETED = "DELETED"
    """Gone; its name stays blocked for 30 days."""
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    """The account has as many templates as it may."""
    ARCHIVED = "ARCHIVED"
    """Idle for twelve months; deleted 28 days later unless brought back."""
    FLAGGED = "FLAGGED"
    """About to be disabled for low quality; still sendable meanwhile."""
    REINSTATED = "REINSTATED"
    """Sendable again after a pause or a flag."""
    UNARCHIVED = "UNARCHIVED"
    """Brought back from the archive; whether it is approved, the next listing says."""
    LOCKED = "LOCKED"
    """Edits are locked; seen in webhooks only."""
    UNKNOWN = "UNKNOWN"
    """A word we do not know. Not sent."""

    @property
    def is_sendable(self) -> bool:
        """Whether Meta accepts messages made from such a template."""
        return self in _SENDABLE


_SENDABLE = frozenset({TemplateStatus.APPROVED, TemplateStatus.FLAGGED, TemplateStatus.REINSTATED})


class Category(StrEnum):
    """What a template is for; it decides price, limits and opt-outs."""

    MARKETING = "MARKETING"
    """Everything that sells. The default for what we do not know: the strictest rules."""
    UTILITY = "UTILITY"
    """About something the person already ordered."""
    AUTHENTICATION = "AUTHENTICATION"
    """One-time codes."""


class SlotKind(StrEnum):
    """What a slot takes."""

    TEXT = "text"
    """One line of text."""
    IMAGE = "image"
    """JPEG or PNG: the id of an upload, or an http(s) link."""
    VIDEO = "video"
    """MP4 or 3GP: the id of an upload, or an http(s) link."""
    DOCUMENT = "document"
    """PDF: the id of an upload, or an http(s) link."""
    FILENAME = "filename"
    """The name a document is shown under."""
    LATITUDE = "latitude"
    """Degrees, -90 to 90."""
    LONGITUDE = "longitude"
    """Degrees, -180 to 180."""
    PAYLOAD = "payload"
    """What comes back when a quick reply is tapped."""
    URL_SUFFIX = "url_suffix"
    """What is appended to a button's address."""
    COUPON_CODE = "coupon_code"
    """What a tap copies."""
    OTP_CODE = "otp_code"
    """The one-time code, once more, for the button."""
    FLOW_TOKEN = "flow_token"  # noqa: S105 - a word of Meta, no secret
    """What identifies the run of a flow."""
    PRODUCT = "product"
    """The retailer's id of the product shown as thumbnail."""
    EXPIRATION = "expiration"
    """When an offer ends: milliseconds since 1970, UTC."""

    @property
    def is_media(self) -> bool:
        """Whether the value is an upload's id or a link."""
        return self in {SlotKind.IMAGE, SlotKind.VIDEO, SlotKind.DOCUMENT}


@dataclass(frozen=True, slots=True)
class Slot:
    """One value a template wants."""

    path: str
    """``header.image``, ``body.1``, ``body.first_name``, ``button.1.url``, ``card.0.body.1``, ``lto.expiration`` …"""
    kind: SlotKind
    required: bool
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A text with placeholders, kept because its length counts after substitution (else Meta answers 132005)."""

    path: str
    """``body`` or ``card.N.body``; its slots are ``<path>.<placeholder>``."""
    text: str
    max_chars: int

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Every occurrence, in order: ``("1", "2", "1")``."""
        return tuple(_PLACEHOLDER.findall(self.text))

    @property
    def constant_chars(self) -> int:
        """Characters that stay, whatever is filled in."""
        return len(_PLACEHOLDER.sub("", self.text))


@dataclass(frozen=True, slots=True)
class Template:
    """One template in one language, as far as sending needs it."""

    name: str
    language: str
    category: Category
    status: TemplateStatus
    is_named: bool
    """Parameters go by name; otherwise by position. Never mixed."""
    slots: tuple[Slot, ...]
    """In the order of the template."""
    texts: tuple[TextBlock, ...]
    card_count: int = 0
    """Cards of the carousel; every one of them has to be sent."""
    otp_buttons: frozenset[int] = frozenset()
    """Buttons that carry the one-time code (on the wire they are URL buttons)."""
    unsupported: tuple[str, ...] = ()
    """Why we cannot send it; empty if we can."""
    id: str = ""

    @property
    def is_sendable(self) -> bool:
        """Whether Meta accepts it and we understand it."""
        return self.status.is_sendable and not self.unsupported

    def slot(self, path: str) -> Slot | None:
        """The slot of that path, if there is one."""
        return next((slot for slot in self.slots if slot.path == path), None)


def parse_template(data: Mapping[str, Any]) -> Template:
    """Read one element of ``GET /{waba_id}/message_templates``.

    Never fails on a part it does not know: such a template is unsupported. Raises ValueError only where name or
    language is missing, since then it is no template.
    """
    name, language = data.get("name"), data.get("language")
    if not isinstance(name, str) or not isinstance(language, str) or not name or not language:
        raise ValueError("a template needs a name and a language")
    components = _dicts(data.get("components"))
    category = _member(Category, data.get("category"), Category.MARKETING)
    reading = _Reading(_is_named(data, components), category)
    reading.read(components)
    return Template(
        name=name,
        language=language,
        category=category,
        status=_member(TemplateStatus, data.get("status"), TemplateStatus.UNKNOWN),
        is_named=reading.is_named,
        slots=tuple(reading.slots),
        texts=tuple(reading.texts),
        card_count=reading.card_count,
        otp_buttons=frozenset(reading.otp_buttons),
        unsupported=tuple(reading.unsupported),
        id=str(data.get("id", "")),
    )


_Word = TypeVar("_Word", bound=StrEnum)
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_MEDIA = {"IMAGE": SlotKind.IMAGE, "VIDEO": SlotKind.VIDEO, "DOCUMENT": SlotKind.DOCUMENT}
_STATIC_BUTTONS = frozenset({"PHONE_NUMBER", "REQUEST_CONTACT_INFO"})


class _Reading:
    """One walk over a template's components; ``where`` is the path so far, empty or ``card.N.``."""

    def __init__(self, is_named: bool, category: Category) -> None:
        self.is_named = is_named
        self.category = category
        self.slots: list[Slot] = []
        self.texts: list[TextBlock] = []
        self.unsupported: list[str] = []
        self.otp_buttons: list[int] = []
        self.card_count = 0

    def read(self, components: Sequence[Mapping[str, Any]], where: str = "") -> None:
        has_offer = any(_word(part, "type") == "LIMITED_TIME_OFFER" for part in components)
        body_chars_max = BODY_CHARS_MAX_WITH_OFFER if has_offer else BODY_CHARS_MAX
        for part in components:
            match _word(part, "type"):
                case "HEADER":
                    self._read_header(part, where)
                case "BODY":
                    self._read_body(part, where, BODY_CHARS_MAX_ON_CARD if where else body_chars_max)
                case "FOOTER":
                    pass  # always constant
                case "BUTTONS":
                    for index, button in enumerate(_dicts(part.get("buttons"))):
                        self._read_button(button, index, where)
                case "CAROUSEL" if not where:
                    for index, card in enumerate(_dicts(part.get("cards"))):
                        self.card_count += 1
                        self.read(_dicts(card.get("components")), f"card.{index}.")
                case "LIMITED_TIME_OFFER" if not where:
                    offer = part.get("limited_time_offer")
                    expires = isinstance(offer, Mapping) and bool(offer.get("has_expiration"))
                    self._add("lto.expiration", SlotKind.EXPIRATION, required=expires)
                case other:
                    self.unsupported.append(f"{where}component {other or 'without type'} is not known here")

    def _read_header(self, part: Mapping[str, Any], where: str) -> None:
        header_format = _word(part, "format")
        if header_format == "TEXT":
            for name in self._names(_text(part)):
                self._add(f"{where}header.{name}", SlotKind.TEXT, max_chars=HEADER_CHARS_MAX)
        elif kind := _MEDIA.get(header_format):
            self._add(f"{where}header.{kind}", kind)
            if kind is SlotKind.DOCUMENT:
                self._add(f"{where}header.filename", SlotKind.FILENAME, required=False)
        elif header_format == "LOCATION":
            self._add(f"{where}header.location.latitude", SlotKind.LATITUDE)
            self._add(f"{where}header.location.longitude", SlotKind.LONGITUDE)
            self._add(f"{where}header.location.name", SlotKind.TEXT)
            self._add(f"{where}header.location.address", SlotKind.TEXT)
        else:
            self.unsupported.append(f"{where}header of format {header_format or 'none'} is not known here")

    def _read_body(self, part: Mapping[str, Any], where: str, max_chars: int) -> None:
        text, path = _text(part), f"{where}body"
        names = self._names(text)
        if self.category is Category.AUTHENTICATION and not names:
            names = ["1"]  # Meta writes this body itself and may leave its text out of the list
        is_code = self.category is Category.AUTHENTICATION
        for name in names:
            self._add(f"{path}.{name}", SlotKind.TEXT, max_chars=OTP_CHARS_MAX if is_code else max_chars)
        if text:
            self.texts.append(TextBlock(path, text, max_chars))

    def _read_button(self, button: Mapping[str, Any], index: int, where: str) -> None:
        path = f"{where}button.{index}"
        match _word(button, "type"):
            case "QUICK_REPLY":
                self._add(f"{path}.payload", SlotKind.PAYLOAD, required=False, max_chars=PAYLOAD_CHARS_MAX)
            case "URL" if self.category is Category.AUTHENTICATION:
                self._add_otp(path, index)
            case "URL":
                if _PLACEHOLDER.search(_text(button, "url")):
                    self._add(f"{path}.url", SlotKind.URL_SUFFIX, max_chars=URL_CHARS_MAX)
            case "OTP":
                self._add_otp(path, index)
            case "COPY_CODE":
                self._add(f"{path}.code", SlotKind.COUPON_CODE, max_chars=COUPON_CODE_CHARS_MAX)
            case "FLOW":
                self._add(f"{path}.flow_token", SlotKind.FLOW_TOKEN, required=False)
            case "CATALOG":
                self._add(f"{path}.product", SlotKind.PRODUCT, required=False)
            case static if static in _STATIC_BUTTONS:
                pass
            case other:
                self.unsupported.append(f"{path} of type {other or 'none'} is not known here")

    def _add_otp(self, path: str, index: int) -> None:
        self.otp_buttons.append(index)
        self._add(f"{path}.code", SlotKind.OTP_CODE, max_chars=OTP_CHARS_MAX)

    def _add(self, path: str, kind: SlotKind, *, required: bool = True, max_chars: int | None = None) -> None:
        if any(slot.path == path for slot in self.slots):
            self.unsupported.append(f"{path} stands twice")
        else:
            self.slots.append(Slot(path, kind, required, max_chars))

    def _names(self, text: str) -> list[str]:
        """Placeholders, each once: positions by number, which is their order on the wire; names as they come."""
        names = list(dict.fromkeys(_PLACEHOLDER.findall(text)))
        what, is_one = ("name", str.isidentifier) if self.is_named else ("position", str.isdecimal)
        strangers = [name for name in names if not is_one(name)]
        if strangers:
            self.unsupported.append(f"placeholder {strangers[0]} is no {what}, and parameters go by {what}")
            return []
        return names if self.is_named else sorted(names, key=int)


def _is_named(data: Mapping[str, Any], components: Sequence[Mapping[str, Any]]) -> bool:
    """As Meta says; where it does not, a placeholder that is no number tells."""
    declared = _word(data, "parameter_format")
    if declared:
        return declared == "NAMED"
    return any(not name.isdecimal() for text in _texts(components) for name in _PLACEHOLDER.findall(text))


def _texts(components: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for part in components:
        yield _text(part)
        for card in _dicts(part.get("cards")):
            yield from _texts(_dicts(card.get("components")))


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _text(part: Mapping[str, Any], key: str = "text") -> str:
    value = part.get(key)
    return value if isinstance(value, str) else ""


def _word(part: Mapping[str, Any], key: str) -> str:
    """A word of Meta's vocabularies; documented in capitals, met in both."""
    return _text(part, key).upper()


def _member(enum: type[_Word], value: object, default: _Word) -> _Word:
    try:
        return enum(str(value).upper())
    except ValueError:
        return default
