"""Each row of an audience ends as a person or as a rejected row, and never as both or neither."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.audience import Person, RejectReason, Sieve, Unreadable, phone_column
from dispatcher.domain.errors import BadValue
from dispatcher.domain.phone import PhoneFault

HEADER = ("phone", "first_name", "city")

fields = st.lists(
    st.sampled_from(["+12025550101", "07700 900101", "Ann", "", " ", "+53"]) | st.text(max_size=4), max_size=4
)
unreadable = st.builds(
    Unreadable, st.sampled_from(HEADER), st.sampled_from(RejectReason), st.text(max_size=300)
)


def a_sieve(columns: Sequence[str] = ("city", "first_name"), **how) -> Sieve:
    return Sieve(HEADER, phone=None, columns=columns, **how)


@given(st.lists(fields | unreadable), st.sampled_from([None, "GB"]))
def test_every_row_is_accounted_for_once_and_in_order(rows, region) -> None:
    numbered = list(enumerate(rows, 2))
    people, rejected = a_sieve(default_region=region).sift(numbered)
    assert sorted([row.line for row in people] + [row.line for row in rejected]) == [
        line for line, _ in numbered
    ]
    for found in (people, rejected):
        assert [row.line for row in found] == sorted(row.line for row in found)
    assert all(
        person.values == [rows[person.line - 2][2].strip(), rows[person.line - 2][1].strip()]
        for person in people
    )
    assert all(len(row.value) <= 200 for row in rejected)


def test_values_stand_in_the_order_of_the_campaigns_columns_without_blanks_around_them() -> None:
    people, _ = a_sieve().sift([(2, ["+1 202 555 0101", " Ann ", "\tNew York\n"])])
    assert people == [Person(2, "+12025550101", "+12025550101", ["New York", "Ann"])]


def test_only_required_columns_must_be_filled() -> None:
    rows = [(2, ["+12025550101", "", "Oslo"]), (3, ["+12025550102", "Ann", ""])]
    people, rejected = a_sieve(required=["first_name"]).sift(rows)
    assert [person.line for person in people] == [3]
    assert [(row.line, row.column, row.reason) for row in rejected] == [
        (2, "first_name", RejectReason.MISSING_VALUE)
    ]


@pytest.mark.parametrize("name", ["phone", "Phone", "MSISDN", "WhatsApp", "to"])
def test_the_phone_column_is_found_in_any_case(name: str) -> None:
    assert phone_column(["first_name", name], None) == name


def test_the_likelier_name_wins_and_a_named_column_wins_over_both() -> None:
    assert phone_column(["tel", "number", "mobile"], None) == "mobile"
    assert phone_column(["tel", "number", "mobile"], "tel") == "tel"


def test_a_column_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(BadValue, match="no column 'name', 'plz'; the file has 'phone', 'first_name', 'city'"):
        a_sieve(columns=("name", "city", "plz"))


def test_every_fault_of_a_number_is_a_reason_of_its_own() -> None:
    reasons = set(map(str, RejectReason)) | {"empty"}
    assert set(map(str, PhoneFault)) <= reasons
