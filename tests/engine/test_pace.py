"""How fast a sender may go: its state only ever slows it down, and claims keep to what can go soon."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.builders import a_sender

from dispatcher.domain.pacing import CLAIM_AHEAD, Policy, claim_size, limits_of
from dispatcher.domain.rate import Rate
from dispatcher.domain.sender import Quality, SenderStatus

rates = st.integers(1, 1_000_000).map(Rate)


@given(
    rate=rates,
    status=st.sampled_from(SenderStatus),
    quality=st.sampled_from(Quality),
    share=st.floats(0.01, 1),
    burst_ms=st.integers(0, 1000),
    reserve=st.floats(0, 0.99),
)
def test_a_senders_state_only_ever_slows_it_down(
    rate: Rate, status: SenderStatus, quality: Quality, share: float, burst_ms: int, reserve: float
) -> None:
    policy = Policy(slowed_share=share, burst=timedelta(milliseconds=burst_ms), reserve_share=reserve)
    limits = limits_of(a_sender(rate=rate, status=status, quality=quality), policy)
    assert 1 <= limits.rate.milli_per_s <= rate.milli_per_s
    assert 0 <= limits.reserve < limits.burst
    is_slow = quality is Quality.LOW or status in (SenderStatus.FLAGGED, SenderStatus.RATE_LIMITED)
    assert is_slow or limits.rate == rate


def test_a_flagged_sender_goes_at_half_its_rate() -> None:
    flagged = a_sender(rate=Rate.parse("80/s"), status=SenderStatus.FLAGGED)
    assert limits_of(flagged, Policy()).rate == Rate.parse("40/s")


@given(rate=rates, most=st.integers(1, 5000))
def test_a_claim_is_what_can_go_soon_and_never_nothing(rate: Rate, most: int) -> None:
    size = claim_size(rate, most)
    assert 1 <= size <= most
    assert size == 1 or size - 1 < rate.per_s * CLAIM_AHEAD.total_seconds()
