"""The sink's record: a judge of rates and duplicates must itself be right."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.tally import BIN_MS, Tally

NUMBER = b"200000000000001"


def a_post(person: int, *, message: int | None = None, attempt: int = 1) -> bytes:
    """A body as far as the sink reads it."""
    number = person if message is None else message
    return b'{"to":"+4915%08d","biz_opaque_callback_data":"house.1.%d.%d"}' % (person, number, attempt)


def a_tally(arrivals_s: list[float]) -> Tally:
    """Distinct messages of one number, come at these times."""
    tally = Tally()
    for person, at_s in enumerate(sorted(arrivals_s)):
        tally.take(NUMBER, a_post(person), at_s)
    return tally


def test_a_message_that_comes_again_is_a_duplicate_whatever_its_attempt() -> None:
    tally = Tally()
    tally.take(NUMBER, a_post(1), 1.0)
    tally.take(NUMBER, a_post(1, attempt=2), 2.0)
    assert (tally.accepted, tally.duplicates) == (2, 1)


def test_another_person_or_another_message_is_no_duplicate() -> None:
    tally = Tally()
    for person, message in ((1, 1), (2, 1), (1, 2)):
        tally.take(NUMBER, a_post(person, message=message), 1.0)
    assert (tally.accepted, tally.duplicates) == (3, 0)


def test_of_a_reply_the_first_arrival_is_kept() -> None:
    tally = Tally()
    for at_s in (1.0, 2.0):
        tally.take(NUMBER, b'{"to":"+4915100000001","biz_opaque_callback_data":"house.0.7.1"}', at_s)
    tally.take(NUMBER, a_post(2), 3.0)
    assert tally.replies == {7: 1.0}


def test_a_post_without_a_token_is_told_apart() -> None:
    tally = Tally()
    assert tally.take(NUMBER, b'{"to":"+4915100000001"}', 1.0) is None
    assert (tally.accepted, tally.unreadable) == (0, 1)


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    gaps_ms=st.lists(st.integers(0, 400), min_size=1, max_size=60),
)
def test_what_a_bucket_lets_through_is_never_a_violation(rate: int, burst: int, gaps_ms: list[int]) -> None:
    level, at_ms, arrivals_s = float(burst), 0, []
    for gap_ms in gaps_ms:
        at_ms += gap_ms
        level = min(burst, level + rate * gap_ms / 1_000)
        if level >= 1:
            level -= 1
            arrivals_s.append(at_ms / 1_000)
    assert a_tally(arrivals_s).report(rate_per_s=rate, burst=burst)["violations"] == 0


@example(counts=[3, 3, 3, 3, 2], rate=28, burst=0)  # exactly as many as allowed, which floats do not hit
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(lambda all_: all_[0] > 0),
    rate=st.integers(1, 60),
    burst=st.integers(0, 12),
)
def test_the_worst_span_is_found(counts: list[int], rate: int, burst: int) -> None:
    # The first arrival begins the first bin; the others come in the middle of theirs.
    arrivals_s = [
        (at + 0.5 * (at > 0)) * BIN_MS / 1_000 for at, count in enumerate(counts) for _ in range(count)
    ]
    report = a_tally(arrivals_s).report(rate_per_s=rate, burst=burst)
    spans = list(itertools.combinations(range(len(counts) + 1), 2))
    over = {
        end: max(sum(counts[s:e]) - rate * BIN_MS / 1_000 * (e - s) for s, e in spans if e == end)
        for _, end in spans
    }
    assert abs(report["most_over"] - max(0.0, *over.values())) <= 0.051
    assert report["violations"] == sum(over[end] > burst + 1e-6 for end in over if counts[end - 1])


def test_the_share_counts_from_the_first_message_on() -> None:
    arrivals_s = [7.05 + n / 10 for n in range(40)]
    assert a_tally(arrivals_s).share_of(10, 3) == 1.0


def test_numbers_are_judged_one_by_one() -> None:
    tally = Tally()
    for person in range(20):
        tally.take(b"%d" % (person % 2), a_post(person), 1.0)
    assert tally.report(rate_per_s=10, burst=9)["violations"] == 0
    assert tally.report(rate_per_s=10, burst=8.5)["violations"] == 2
