"""Verdicts: every code of Meta has one, and it says who waits, how long, and what ends the wait."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.verdict import (
    VERDICTS,
    Lift,
    Scope,
    Verdict,
    VerdictKind,
    next_attempt,
    verdict_for,
)
from dispatcher.domain.verdict_table import LEGACY_CODES, rows

# Every code of Meta's error page and of the pages around it, written down a second time on purpose.
CODES = [
    *(0, 1, 2, 3, 4, 10, 33, 100, 104, 190, *range(200, 300), 368, 613, 803, 80007),
    *(130403, 130429, 130472, 130497, 131000, 131005, 131008, 131009, 131016, 131020, 131021, 131026),
    *(131030, 131031, 131037, 131041, 131042, 131044, 131045, 131047, 131048, 131049, 131050, 131051),
    *(131052, 131053, 131055, 131056, 131057, 131059, 131060, 131062, 131063, 131064),
    *range(131201, 131216),
    *(132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068, 132069),
    *(133000, 133004, 133005, 133006, 133008, 133009, 133010, 133015, 133016),
    *(134011, 134100, 134101, 134102, 135000, 136024, 137000),
    *(*range(138000, 138030), *range(139000, 139005), *range(139100, 139104), 139200),
    *(*range(141000, 142000), *range(147001, 147006), *range(200005, 200008), 1752041),
    *(2388012, 2388019, 2388039, 2388040, 2388047, 2388072, 2388073, 2388091, 2388093, 2388103, 2388293),
    *(2388299, 2494100, *range(2494164, 2494180), 2593107, 2593108),
]

any_answer = st.builds(
    verdict_for,
    st.one_of(st.integers(), st.sampled_from(CODES)),
    by_webhook=st.booleans(),
    http_status=st.one_of(st.none(), st.integers(100, 599)),
    is_transient=st.booleans(),
    details=st.text(),
    media_by_link=st.booleans(),
)


def test_every_code_has_its_row_and_no_row_is_unheard_of() -> None:
    assert set(VERDICTS) == set(CODES)


def test_no_code_stands_twice() -> None:
    assert [code for code, times in Counter(row.code for row in rows()).items() if times > 1] == []


def test_legacy_codes_lead_to_rows_and_have_none_themselves() -> None:
    assert set(LEGACY_CODES.values()) <= set(VERDICTS)
    assert not set(LEGACY_CODES) & set(VERDICTS)


@pytest.mark.parametrize("verdict", [row for row in rows() if row.kind.is_stop], ids=lambda v: str(v.code))
def test_a_hold_says_how_it_ends(verdict: Verdict) -> None:
    assert verdict.lift is not Lift.NOTHING
    assert (verdict.wait is not None) or verdict.lift in {Lift.EVENT, Lift.OPERATOR}
    assert verdict.scope not in {Scope.MESSAGE, Scope.PERSON, Scope.PAIR}


@pytest.mark.parametrize(
    "verdict", [row for row in rows() if row.lift is Lift.TIME], ids=lambda v: str(v.code)
)
def test_what_time_ends_has_a_time(verdict: Verdict) -> None:
    assert verdict.wait is not None
    assert verdict.wait > timedelta(0)


def test_every_row_has_a_reason_a_source_and_a_date() -> None:
    for row in rows():
        assert row.reason
        assert row.source.startswith("https://")
        assert row.read.year >= 2025


@given(any_answer, st.integers(1, 10_000))
def test_every_answer_has_a_verdict_and_a_next_step(verdict: Verdict, attempt: int) -> None:
    wait = next_attempt(verdict, attempt)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=30)


@given(any_answer)
def test_nobody_retries_for_ever_unless_a_hold_guards_it(verdict: Verdict) -> None:
    assert verdict.kind.is_stop or next_attempt(verdict, 1_000) is None


@given(any_answer)
def test_only_what_was_certainly_not_sent_is_posted_again(verdict: Verdict) -> None:
    if next_attempt(verdict, 1) is not None:
        assert verdict.is_certainly_not_sent


@given(any_answer, st.integers(1, 20))
def test_waits_never_shrink(verdict: Verdict, attempt: int) -> None:
    wait, later = next_attempt(verdict, attempt), next_attempt(verdict, attempt + 1)
    assert wait is None or later is None or later >= wait


@given(st.one_of(st.integers(), st.sampled_from(CODES)), st.text())
def test_a_webhook_leaves_nothing_in_doubt(code: int, details: str) -> None:
    assert verdict_for(code, by_webhook=True, details=details).kind is not VerdictKind.AMBIGUOUS


def test_a_pair_waits_four_to_the_power_of_its_failures() -> None:
    verdict = verdict_for(131056)
    assert (verdict.kind, verdict.scope) == (VerdictKind.SLOW_DOWN_SENDER, Scope.PAIR)
    waits = [next_attempt(verdict, attempt) for attempt in range(1, 12)]
    assert waits == [*(timedelta(seconds=min(4**x, 4**5)) for x in range(10)), None]


def test_a_sender_that_is_too_fast_waits_a_second() -> None:
    verdict = verdict_for(130429)
    assert (verdict.kind, verdict.scope) == (VerdictKind.SLOW_DOWN_SENDER, Scope.SENDER)
    assert next_attempt(verdict, 1) == next_attempt(verdict, 9) == timedelta(seconds=1)


def test_a_person_spared_by_meta_rests_a_day_then_longer() -> None:
    verdict = verdict_for(131049, by_webhook=True)
    assert verdict.scope is Scope.PERSON
    assert [next_attempt(verdict, n) for n in (1, 2, 3, 4)] == [*(timedelta(days=d) for d in (1, 2, 4)), None]


def test_an_overloaded_meta_is_unsure_when_it_answers_and_retried_when_it_reports() -> None:
    answer, report = verdict_for(2, http_status=503), verdict_for(2, by_webhook=True)
    assert answer.kind is VerdictKind.AMBIGUOUS
    assert answer.wait == timedelta(minutes=5)
    assert next_attempt(answer, 1) is None
    assert report.kind is VerdictKind.RETRY_SAME_LATER
    assert [next_attempt(report, n) for n in (1, 2)] == [timedelta(minutes=5), None]


@pytest.mark.parametrize("code", [1, 131000, 131016])
def test_a_reported_accident_gets_one_new_attempt(code: int) -> None:
    report = verdict_for(code, by_webhook=True)
    assert next_attempt(report, 1) is not None
    assert next_attempt(report, 2) is None


def test_an_invisible_phone_number_id_stops_the_sender() -> None:
    details = "Object with ID '1' does not exist, cannot be loaded due to missing permissions"
    assert verdict_for(100, details=details).kind is VerdictKind.STOP_SENDER
    assert verdict_for(100, details="Param text too long").kind is VerdictKind.FAIL_MESSAGE


def test_code_one_is_plain_when_it_names_a_parameter() -> None:
    assert verdict_for(1).kind is VerdictKind.AMBIGUOUS
    assert verdict_for(1, details="Invalid parameter: to").kind is VerdictKind.FAIL_MESSAGE


def test_media_is_tried_again_only_where_meta_had_to_fetch_it() -> None:
    assert next_attempt(verdict_for(131053), 1) is None
    assert next_attempt(verdict_for(131053, media_by_link=True), 2) is not None
    assert next_attempt(verdict_for(131053, media_by_link=True), 3) is None
    assert next_attempt(verdict_for(131052, media_by_link=True), 2) is None


def test_a_hold_keeps_its_messages_and_grows_when_it_returns() -> None:
    maintenance = verdict_for(131057)
    assert next_attempt(maintenance, 1) == timedelta(minutes=1)
    assert next_attempt(maintenance, 2) == timedelta(minutes=2)
    assert next_attempt(maintenance, 100) == timedelta(days=1)
    assert next_attempt(verdict_for(190), 100) == timedelta(0)


def test_a_legacy_code_is_read_as_its_equivalent_under_its_own_number() -> None:
    verdict = verdict_for(470)
    assert (verdict.code, verdict.kind, verdict.reason) == (
        470,
        VerdictKind.FAIL_MESSAGE,
        VERDICTS[131047].reason,
    )


@pytest.mark.parametrize(
    ("http_status", "is_transient", "kind"),
    [
        (429, False, VerdictKind.SLOW_DOWN_SENDER),
        (429, True, VerdictKind.SLOW_DOWN_SENDER),
        (400, False, VerdictKind.FAIL_MESSAGE),
        (400, True, VerdictKind.AMBIGUOUS),
        (500, False, VerdictKind.AMBIGUOUS),
        (None, False, VerdictKind.AMBIGUOUS),
    ],
)
def test_an_unknown_answer_is_news_and_read_on_the_safe_side(
    http_status: int | None, is_transient: bool, kind: VerdictKind
) -> None:
    verdict = verdict_for(139999, http_status=http_status, is_transient=is_transient)
    assert verdict.kind is kind
    assert verdict.is_news


def test_an_unknown_report_fails_the_message_and_is_news() -> None:
    verdict = verdict_for(139999, by_webhook=True, http_status=429)
    assert (verdict.kind, verdict.is_news) == (VerdictKind.FAIL_MESSAGE, True)


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_attempt(verdict_for(130429), 0)
