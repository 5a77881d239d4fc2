"""Phone numbers: what a stranger wrote becomes one E.164 number, or a reason why not.

An audience has millions of numbers, nearly all clean; a full parse of each would take longer than sending.
So a number that already is E.164 is judged by one regular expression per calling code, compiled once from the
metadata of ``phonenumbers``; everything else (spaces, trunk zeros, national forms) goes to the library.

Both ways hold the same standard: a known calling code and a length that is possible there. Whether the number is
assigned is not asked: metadata lags behind the world, and only WhatsApp knows who is on WhatsApp.
Invariant: a number means the same on either way, and ``parse_phone(phone.e164) == phone``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, ValidationResult

E164_DIGITS_MAX = 15
"""Source: ITU-T E.164, 6.2.1: at most 15 digits with the calling code."""


class Phone(NamedTuple):
    """A number we can send to. A tuple, because an import makes millions: half the cost of a frozen dataclass."""

    e164: str
    """``+`` and digits: the form that is posted."""
    key: str
    """One string per person: E.164 without the digits that are optional in Brazil, Mexico and Argentina.
    For comparison only (duplicates, suppressions, the pair limit); never posted."""


class PhoneFault(StrEnum):
    """Why a text is no number we can send to. A small closed set: reports count by it."""

    EMPTY = "empty"
    """Nothing there."""
    NOT_A_NUMBER = "not_a_number"
    """Letters, two numbers in one field, an extension, a spreadsheet's 1.2E+10."""
    NO_COUNTRY_CODE = "no_country_code"
    """No ``+`` and no default region: Meta would guess the sender's own country."""
    UNKNOWN_COUNTRY_CODE = "unknown_country_code"
    """``+`` is followed by no calling code in use."""
    TOO_SHORT = "too_short"
    """Fewer digits than any number of that country has."""
    TOO_LONG = "too_long"
    """More digits than any number of that country has."""
    WRONG_LENGTH = "wrong_length"
    """Neither too short nor too long, and yet no number of that country has this many digits."""


_FAULT_TEXTS = {
    PhoneFault.EMPTY: "the phone number is empty",
    PhoneFault.NOT_A_NUMBER: "this is not one phone number",
    PhoneFault.NO_COUNTRY_CODE: "no country code: write the number with +, or give a default region",
    PhoneFault.UNKNOWN_COUNTRY_CODE: "no country has this calling code",
    PhoneFault.TOO_SHORT: "too few digits for its country",
    PhoneFault.TOO_LONG: "too many digits for its country",
    PhoneFault.WRONG_LENGTH: "no number of its country has this many digits",
}


@dataclass(frozen=True, slots=True)
class BadPhone:
    """An expected refusal: the row is kept with this reason, the import goes on."""

    reason: PhoneFault

    @property
    def text(self) -> str:
        """The reason for people."""
        return _FAULT_TEXTS[self.reason]


def parse_phone(raw: str, default_region: str | None = None) -> Phone | BadPhone:
    """Read one number as somebody wrote it.

    default_region: two capital letters (``"BR"``), the country of numbers written without one; see ``is_region``.
    Cost: about 3 µs for clean E.164, 5 µs for decorated, some 50 µs where the library has to parse.
    Source: Meta, "Phone numbers", read 2026-09: without ``+`` the business number's own country code may be
    prepended, hence no guess here.
    """
    if _SHAPES[raw[:4]].fullmatch(raw):
        return Phone(raw, comparison_key(raw))
    return _parse_slowly(raw, default_region)


def is_region(region: str) -> bool:
    """Whether ``region`` can serve as a default region (``"BR"``, ``"DE"`` …)."""
    return region in phonenumbers.SUPPORTED_REGIONS


def comparison_key(e164: str) -> str:
    """The canonical form of one person's number, whichever of its spellings is used.

    Brazil's ninth digit, Mexico's ``1`` and Argentina's ``9`` come and go between the number sent to and the wa_id
    Meta answers with. Source: Meta, "Phone numbers" (Brazil, Mexico; documented as normal), read 2026-09; Argentina
    as seen in practice.
    """
    optional = _OPTIONAL_DIGIT.get(e164[:3])
    if optional is None or len(e164) != _LENGTH_WITH_OPTIONAL_DIGIT:
        return e164
    place, digit = optional
    return e164[:place] + e164[place + 1 :] if e164[place] == digit else e164


def is_us(e164: str) -> bool:
    """Whether this is +1 with an area code of the United States, not of Canada, the Caribbean or a US territory.

    Marketing templates are not delivered to such numbers. Territories count as outside: a message too many is
    refused by Meta and costs nothing, a message withheld by mistake is lost.
    Source: Meta, "Per-user marketing template limits", in force since 2025-04-01, read 2026-09.
    """
    return e164.startswith("+1") and _is_us_area(e164[2:5])


def unreachable_country(e164: str) -> str | None:
    """The country's name where WhatsApp business messages are never delivered, else None.

    Crimea, Donetsk and Luhansk are unreachable too, but no calling code tells.
    Source: Meta, "Phone numbers" (sanctioned countries), read 2026-09.
    """
    return _UNREACHABLE.get(e164[:3]) or _UNREACHABLE.get(e164[:4])


_UNREACHABLE = {"+53": "Cuba", "+98": "Iran", "+850": "North Korea", "+963": "Syria"}

# country → (place in E.164, digit) of what may be left out. With it, such a number has 14 characters.
_OPTIONAL_DIGIT = {"+55": (5, "9"), "+52": (3, "1"), "+54": (3, "9")}
_LENGTH_WITH_OPTIONAL_DIGIT = 14

_NEVER = re.compile(r"(?!)")
# Spaces of every width, hyphens, dots and brackets, and the direction marks that spreadsheets carry along.
_DECORATION = dict.fromkeys(
    map(
        ord,
        " \t\r\n.-()[]\u00a0\u00ad\u200b-\u200f\u2010\u2011\u2012\u2013\u2014\u2015\u2009\u202a\u202c\u202f\ufeff",
    )
) | {ord("\uff0b"): "+"}
_DIGITS = re.compile(r"(\+?)(\d+)")
_FAULT_OF = {
    ValidationResult.INVALID_COUNTRY_CODE: PhoneFault.UNKNOWN_COUNTRY_CODE,
    ValidationResult.TOO_SHORT: PhoneFault.TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: PhoneFault.TOO_SHORT,
    ValidationResult.TOO_LONG: PhoneFault.TOO_LONG,
    ValidationResult.INVALID_LENGTH: PhoneFault.WRONG_LENGTH,
}


class _Shapes(dict[str, re.Pattern[str]]):
    """``"+491"`` → the pattern of clean E.164 numbers which begin so; filled on demand, at most 900 entries."""

    def __missing__(self, start: str) -> re.Pattern[str]:
        if re.fullmatch(r"\+[1-9][0-9]{2}", start) is None:
            return _NEVER  # why not stored: strangers choose the key
        shape = self[start] = _shape_of(start)
        return shape


_SHAPES = _Shapes()


def _shape_of(start: str) -> re.Pattern[str]:
    for length in (1, 2, 3):
        code = int(start[1 : 1 + length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return _shape_of_country(code)
    return _NEVER


@cache
def _shape_of_country(code: int) -> re.Pattern[str]:
    region = phonenumbers.region_code_for_country_code(code)
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None or metadata.general_desc is None:
        return _NEVER
    lengths = [n for n in metadata.general_desc.possible_length if n + len(str(code)) <= E164_DIGITS_MAX]
    digits = "|".join(f"[0-9]{{{n}}}" for n in lengths)
    # why the lookahead: what begins with a trunk prefix (+44 0 20 …) is rewritten by the library, so it is not clean.
    # The lookbehind lets a prefix pattern match nothing at all (Argentina's does) without refusing every number.
    trunk = metadata.national_prefix_for_parsing
    clean = rf"(?!(?:{trunk})(?<!\A\+{code}))" if trunk else ""
    return re.compile(rf"\+{code}{clean}(?:{digits})", re.ASCII)


def _parse_slowly(raw: str, default_region: str | None) -> Phone | BadPhone:
    # A column of numbers that went through floating point ends in ".0"; the zero is no digit of the number.
    text = raw.strip().removesuffix(".0").translate(_DECORATION)
    if not text:
        return BadPhone(PhoneFault.EMPTY)
    match = _DIGITS.fullmatch(text)
    if match is None:
        return BadPhone(PhoneFault.NOT_A_NUMBER)
    plus, digits = match.groups()
    if not plus and default_region is None:
        if not digits.startswith("00"):
            return BadPhone(PhoneFault.NO_COUNTRY_CODE)
        text = "+" + digits[2:]
    if text.startswith("+521") and len(text) == 14:
        text = "+52" + text[4:]  # Mexico's mobile prefix, abolished in 2019 and still in every address book
    if _SHAPES[text[:4]].fullmatch(text):
        return Phone(text, comparison_key(text))
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException as error:
        return BadPhone(_fault_of_exception(error))
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        return BadPhone(_FAULT_OF[verdict])
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if len(e164) > 1 + E164_DIGITS_MAX:
        return BadPhone(PhoneFault.TOO_LONG)
    return Phone(e164, comparison_key(e164))


def _fault_of_exception(error: phonenumbers.NumberParseException) -> PhoneFault:
    match error.error_type:
        case phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            return PhoneFault.UNKNOWN_COUNTRY_CODE
        case phonenumbers.NumberParseException.TOO_LONG:
            return PhoneFault.TOO_LONG
        case phonenumbers.NumberParseException.NOT_A_NUMBER:
            return PhoneFault.NOT_A_NUMBER
        case _:
            return PhoneFault.TOO_SHORT


@cache
def _is_us_area(area: str) -> bool:
    if re.fullmatch(r"[2-9][0-9]{2}", area) is None:
        return False
    # Any subscriber number does: regions of the North American plan are told apart by area code alone.
    probe = PhoneNumber(country_code=1, national_number=int(area + "2345678"))
    return phonenumbers.region_code_for_number(probe) == "US"
