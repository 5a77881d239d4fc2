"""The service window: a value that only moves up, whatever becomes of the messages that open it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOON

from dispatcher.domain.window import (
    ANSWER_WITHIN,
    FREE_ENTRY,
    SERVICE_WINDOW,
    ServiceWindow,
    free_until,
    opened,
    opens_window,
)

SECOND = timedelta(seconds=1)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
delays = st.timedeltas(timedelta(), timedelta(days=8))
"""From when a person wrote to when we hear of it: Meta tries for up to seven days."""
skews = st.timedeltas(timedelta(minutes=-5), timedelta(minutes=5))
messages = st.lists(st.tuples(moments, delays), min_size=1, max_size=20)


def window_of(told: list[tuple[datetime, timedelta]]) -> ServiceWindow:
    return reduce(or_, (opened(at, at + delay) for at, delay in told), ServiceWindow())


@given(messages, st.randoms())
def test_late_doubled_and_shuffled_messages_end_in_the_same_window(
    told: list[tuple[datetime, timedelta]], dice: object
) -> None:
    again = [*told, *((at, delay * 2) for at, delay in told)]
    dice.shuffle(again)  # type: ignore[attr-defined]
    assert window_of(again) == window_of(told) == ServiceWindow(max(at for at, _ in told) + SERVICE_WINDOW)


@given(messages, messages)
def test_a_further_message_never_shortens_it(
    some: list[tuple[datetime, timedelta]], more: list[tuple[datetime, timedelta]]
) -> None:
    before, after = window_of(some).ends_at, window_of([*some, *more]).ends_at
    assert before is not None
    assert after is not None
    assert after >= before


@given(st.lists(moments.map(lambda at: opened(at, at)), min_size=3, max_size=3))
def test_windows_are_joined_in_any_grouping(windows: list[ServiceWindow]) -> None:
    a, b, c = windows
    assert (a | b) | c == a | (b | c)
    assert a | b == b | a
    assert a | a == a | ServiceWindow() == ServiceWindow() | a == a


@given(moments, skews)
def test_nobody_writes_later_than_we_hear_of_it(received_at: datetime, skew: timedelta) -> None:
    """A clock that is wrong, Meta's or ours, may shorten a window by as much as it is wrong; it never lengthens one."""
    ends_at = opened(received_at + skew, received_at).ends_at
    assert ends_at == min(received_at, received_at + skew) + SERVICE_WINDOW


@given(moments, st.integers(-14, 14), st.integers(-14, 14))
def test_no_time_zone_and_no_change_of_the_hour_moves_an_end(at: datetime, one: int, other: int) -> None:
    there, here = timezone(timedelta(hours=one)), timezone(timedelta(hours=other))
    assert opened(at.astimezone(there), at.astimezone(here)) == opened(at, at)


def test_it_is_open_until_its_very_end() -> None:
    window = opened(NOON, NOON)
    assert window.ends_at == NOON + timedelta(hours=24)
    assert window.is_open(NOON + SERVICE_WINDOW - SECOND)
    assert not window.is_open(NOON + SERVICE_WINDOW)
    assert not ServiceWindow().is_open(NOON)


@pytest.mark.parametrize(
    "kind", ["text", "button", "interactive", "image", "reaction", "unsupported", "hologram"]
)
def test_whatever_a_person_writes_opens_it(kind: str) -> None:
    assert opens_window(kind)


@pytest.mark.parametrize("kind", ["system", "edit", "revoke"])
def test_notices_and_changes_of_what_was_written_do_not(kind: str) -> None:
    assert not opens_window(kind)


def test_neither_does_what_is_said_to_a_group_or_taken_back() -> None:
    assert not opens_window("text", in_group=True)
    assert not opens_window("reaction", takes_back=True)


def test_an_answer_within_a_day_to_whoever_came_by_an_ad_is_free_for_three_days() -> None:
    assert free_until(NOON, NOON + ANSWER_WITHIN) == NOON + ANSWER_WITHIN + FREE_ENTRY
    assert free_until(NOON, NOON + ANSWER_WITHIN + SECOND) is None
    assert free_until(NOON, NOON - SECOND) is None
    assert free_until(NOON, None) is None
