"""Receipts: in whatever order reports come, and however often, they add up to the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.receipt import Receipt, ReceiptState, reported

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)

moments = st.integers(0, 3).map(lambda seconds: NOON + timedelta(seconds=seconds))
reports = st.builds(
    reported,
    st.sampled_from(ReceiptState),
    moments,
    code=st.none() | st.sampled_from([131026, 131049]),
    detail=st.none() | st.sampled_from(["a", "b"]),
    price_category=st.none() | st.sampled_from(["marketing", "utility"]),
    is_billable=st.none() | st.booleans(),
)
receipts = st.lists(reports, max_size=4).map(lambda several: merged(several))


def merged(several: list[Receipt]) -> Receipt:
    total = Receipt()
    for each in several:
        total |= each
    return total


def seconds_later(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


@given(receipts, receipts)
def test_it_does_not_matter_who_comes_first(one: Receipt, other: Receipt) -> None:
    assert one | other == other | one


@given(receipts, receipts, receipts)
def test_it_does_not_matter_what_is_merged_before(a: Receipt, b: Receipt, c: Receipt) -> None:
    assert (a | b) | c == a | (b | c)


@given(receipts)
def test_hearing_it_again_changes_nothing(receipt: Receipt) -> None:
    assert receipt | receipt == receipt
    assert receipt | Receipt() == receipt


@given(st.data(), st.lists(reports, min_size=1, max_size=5))
def test_shuffled_and_tripled_reports_end_in_the_same_receipt_and_state(
    data: st.DataObject, told: list[Receipt]
) -> None:
    shuffled = data.draw(st.permutations(told * 3))
    assert merged(shuffled) == merged(told)
    assert merged(shuffled).state is merged(told).state


@given(receipts, reports)
def test_a_good_rank_only_rises(receipt: Receipt, report: Receipt) -> None:
    rank = [
        None,
        ReceiptState.SENT,
        ReceiptState.FAILED,
        ReceiptState.DELIVERED,
        ReceiptState.READ,
        ReceiptState.PLAYED,
    ]
    assert rank.index((receipt | report).state) >= max(rank.index(receipt.state), rank.index(report.state))


@given(receipts, receipts)
def test_nothing_that_was_reported_is_forgotten(one: Receipt, other: Receipt) -> None:
    both = one | other
    for field in Receipt._fields:
        said = {getattr(one, field), getattr(other, field)} - {None}
        assert getattr(both, field) in (said or {None})


@pytest.mark.parametrize("state", ReceiptState)
def test_one_report_is_in_its_own_state(state: ReceiptState) -> None:
    receipt = reported(state, NOON)
    assert receipt.state is state
    assert getattr(receipt, f"{state}_at") == NOON


def test_the_earliest_moment_counts() -> None:
    late, early = reported(ReceiptState.SENT, seconds_later(5)), reported(ReceiptState.SENT, NOON)
    assert (late | early).sent_at == NOON


def test_failed_on_one_device_and_delivered_on_another_is_delivered() -> None:
    failed = reported(ReceiptState.FAILED, NOON, code=131026)
    both = failed | reported(ReceiptState.DELIVERED, seconds_later(1))
    assert both.state is ReceiptState.DELIVERED
    assert both.code == 131026


def test_nothing_reported_is_no_state() -> None:
    assert Receipt().state is None


def test_every_state_but_failed_is_good() -> None:
    assert [state for state in ReceiptState if not state.is_good] == [ReceiptState.FAILED]
