"""Phone numbers: the fast way and the library agree, and what is refused says why."""

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import ValidationResult

from dispatcher.domain.phone import (
    BadPhone,
    Phone,
    PhoneFault,
    comparison_key,
    is_region,
    is_us,
    parse_phone,
    unreachable_country,
)

digits = st.text("0123456789", min_size=1, max_size=17)


def e164(raw: str, region: str | None = None) -> str:
    phone = parse_phone(raw, region)
    assert isinstance(phone, Phone), phone
    return phone.e164


def fault(raw: str, region: str | None = None) -> PhoneFault:
    phone = parse_phone(raw, region)
    assert isinstance(phone, BadPhone), phone
    assert phone.text
    return phone.reason


@pytest.mark.parametrize(
    ("written", "region", "sent_to"),
    [
        ("+12025550143", None, "+12025550143"),
        ("+1 (202) 555-0143", None, "+12025550143"),
        ("  +1.202.555.0143 ", None, "+12025550143"),
        ("\u202a+1\u00a0202\u2011555\u20110143\u202c", None, "+12025550143"),
        ("\uff0b12025550143", None, "+12025550143"),
        ("0049 171 2345678", None, "+491712345678"),
        ("+44 (0)7700 900123", None, "+447700900123"),
        ("07700 900123", "GB", "+447700900123"),
        ("5511998765432", "BR", "+5511998765432"),
        ("11 99876-5432", "BR", "+5511998765432"),
        ("2025550143.0", "US", "+12025550143"),
        ("01.22.33.44.00", "FR", "+33122334400"),
        ("+52 1 55 1234 5678", None, "+525512345678"),
        ("+54 11 15 1234 5678", None, "+5491112345678"),
        ("+39 06 123456", None, "+3906123456"),
        ("٠٧٧٠٠٩٠٠١٢٣", "GB", "+447700900123"),
        ("+85212345678", None, "+85212345678"),
    ],
)
def test_numbers_are_read_as_people_write_them(written: str, region: str | None, sent_to: str) -> None:
    assert e164(written, region) == sent_to


@pytest.mark.parametrize(
    ("written", "region", "reason"),
    [
        ("", None, PhoneFault.EMPTY),
        (" \t", "DE", PhoneFault.EMPTY),
        ("+", None, PhoneFault.NOT_A_NUMBER),
        ("n/a", "DE", PhoneFault.NOT_A_NUMBER),
        ("1.20256E+10", "US", PhoneFault.NOT_A_NUMBER),
        ("1-800-FLOWERS", "US", PhoneFault.NOT_A_NUMBER),
        ("+12025550143, +12025550144", None, PhoneFault.NOT_A_NUMBER),
        ("+12025550143 x12", None, PhoneFault.NOT_A_NUMBER),
        ("12025550143", None, PhoneFault.NO_COUNTRY_CODE),
        ("+999123456789", None, PhoneFault.UNKNOWN_COUNTRY_CODE),
        ("+0012025550143", None, PhoneFault.UNKNOWN_COUNTRY_CODE),
        ("+12", None, PhoneFault.NOT_A_NUMBER),
        ("+1202555", None, PhoneFault.TOO_SHORT),
        ("+120255501", None, PhoneFault.TOO_SHORT),
        ("+120255501433", None, PhoneFault.TOO_LONG),
        ("+79161234567890", None, PhoneFault.WRONG_LENGTH),
        ("+4917123456789012345", None, PhoneFault.TOO_LONG),
    ],
)
def test_a_refusal_says_why(written: str, region: str | None, reason: PhoneFault) -> None:
    assert fault(written, region) == reason


@given(st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), digits)
def test_the_fast_way_agrees_with_the_library(code: int, national: str) -> None:
    raw = f"+{code}{national}"
    assume(not raw.startswith("+521"))
    phone = parse_phone(raw)
    try:
        number = phonenumbers.parse(raw, None)
    except phonenumbers.NumberParseException:
        assert isinstance(phone, BadPhone)
        return
    expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    assert isinstance(phone, Phone) == (possible and len(expected) <= 16)
    if isinstance(phone, Phone):
        assert phone.e164 == expected


@given(st.text(), st.sampled_from([None, "US", "DE", "BR", "IN"]))
def test_any_text_is_either_a_number_or_a_reason(raw: str, region: str | None) -> None:
    assert isinstance(parse_phone(raw, region), Phone | BadPhone)


@given(st.sampled_from(["1", "49", "55", "52", "521", "54", "549", "39", "7"]), digits)
def test_reading_a_number_again_changes_nothing(code: str, national: str) -> None:
    phone = parse_phone(f"+{code}{national}")
    if isinstance(phone, Phone):
        assert parse_phone(phone.e164) == phone


@given(st.sampled_from(["1", "49", "55", "52", "54", "549", "91"]), digits)
def test_a_key_is_its_own_key(code: str, national: str) -> None:
    key = comparison_key(f"+{code}{national}")
    assert comparison_key(key) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5511998765432", "+551198765432"),
        ("+5215512345678", "+525512345678"),
        ("+5491112345678", "+541112345678"),
    ],
)
def test_both_spellings_of_a_number_have_one_key(one: str, other: str) -> None:
    assert comparison_key(one) == comparison_key(other)


def test_elsewhere_the_key_is_the_number() -> None:
    assert parse_phone("+4915112345678") == Phone("+4915112345678", "+4915112345678")


@pytest.mark.parametrize("number", ["+12025550143", "+14155550100", "+19075550100"])
def test_a_us_area_code_is_american(number: str) -> None:
    assert is_us(number)


@pytest.mark.parametrize(
    "number",
    ["+14165550100", "+18765550100", "+18095550100", "+17875550100", "+491712345678", "+1", "+11115550100"],
)
def test_canada_the_caribbean_and_territories_are_not(number: str) -> None:
    assert not is_us(number)


def test_countries_whatsapp_does_not_reach_are_named() -> None:
    assert unreachable_country("+5351234567") == "Cuba"
    assert unreachable_country("+989121234567") == "Iran"
    assert unreachable_country("+850191234567") == "North Korea"
    assert unreachable_country("+963944567890") == "Syria"
    assert unreachable_country("+5511998765432") is None


def test_regions_are_known_by_their_two_letters() -> None:
    assert is_region("BR")
    assert not is_region("Brazil")
