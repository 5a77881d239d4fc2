"""What an answer of Meta means for its message, its lane and everybody else: one consequence per kind of verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.message import ClaimedMessage, MessageState
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.verdict import VERDICTS, VerdictKind, verdict_for
from dispatcher.engine.answers import Consequence, Remember, consequence_of

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
PENDING, REFUSED = MessageState.PENDING, MessageState.REFUSED


def a_message(attempt: int = 1) -> ClaimedMessage:
    return ClaimedMessage(MessageId(7), "+491511000000", PersonKey("+491511000000"), ["Ann"], attempt)


def after(code: int, attempt: int = 1) -> Consequence:
    verdict = verdict_for(code, http_status=400)
    posted = Posted(PostedKind.REFUSED, verdict=verdict, detail="why")
    return consequence_of(a_message(attempt), posted, NOW, refused_before=attempt - 1)


@pytest.mark.parametrize(
    ("code", "kind", "state", "not_before", "lane_waits_for", "scope"),
    [
        (131049, VerdictKind.RETRY_SAME_LATER, PENDING, DAY, None, None),
        (130429, VerdictKind.SLOW_DOWN_SENDER, PENDING, SECOND, None, None),
        (80007, VerdictKind.SLOW_DOWN_SENDER, PENDING, 60 * SECOND, HoldReason.RATE, HeldScope.ACCOUNT),
        (131056, VerdictKind.SLOW_DOWN_SENDER, PENDING, SECOND, None, None),
        (131031, VerdictKind.STOP_SENDER, PENDING, None, HoldReason.SENDER_HELD, HeldScope.ACCOUNT),
        (131048, VerdictKind.STOP_SENDER, PENDING, None, HoldReason.SENDER_HELD, HeldScope.SENDER),
        (131064, VerdictKind.STOP_SENDER, PENDING, None, HoldReason.SENDER_HELD, HeldScope.PORTFOLIO),
        (132015, VerdictKind.STOP_TEMPLATE, PENDING, None, HoldReason.TEMPLATE_BLOCKED, HeldScope.TEMPLATE),
        (190, VerdictKind.AUTH_STOP, PENDING, None, HoldReason.ACCOUNT_FAULT, HeldScope.ACCOUNT),
        (131026, VerdictKind.FAIL_RECIPIENT, REFUSED, None, None, None),
        (131050, VerdictKind.OPT_OUT, REFUSED, None, None, None),
        (132000, VerdictKind.FAIL_MESSAGE, REFUSED, None, None, None),
        (133000, VerdictKind.NOT_FOR_MESSAGES, REFUSED, None, None, None),
    ],
)
def test_each_kind_of_refusal_has_its_consequence(
    code: int,
    kind: VerdictKind,
    state: MessageState,
    not_before: timedelta | None,
    lane_waits_for: HoldReason | None,
    scope: HeldScope | None,
) -> None:
    assert VERDICTS[code].kind is kind
    consequence = after(code)
    outcome = consequence.outcome
    assert (outcome.state, outcome.code, outcome.posted) == (state, code, True)
    assert outcome.not_before == (NOW + not_before if not_before is not None else None)
    assert (consequence.hold.reason if consequence.hold else None) is lane_waits_for
    assert consequence.held_scope is scope
    if consequence.hold is not None:
        assert str(code) in consequence.hold.detail


def test_too_fast_slows_the_sender_down_and_too_much_to_one_person_only_the_pair() -> None:
    assert (after(130429).slows_down, after(130429).pair_until) == (True, None)
    assert (after(131056).slows_down, after(131056).pair_until) == (False, NOW + SECOND)
    assert after(131056, attempt=3).pair_until == NOW + 16 * SECOND


@pytest.mark.parametrize(
    ("code", "remembered"),
    [
        (131049, Remember.COOLED_DOWN),
        (131050, Remember.OPTED_OUT),
        (131026, Remember.UNDELIVERABLE),
        (132000, None),
        (130429, None),
    ],
)
def test_what_concerns_the_person_is_remembered_beyond_the_message(
    code: int, remembered: Remember | None
) -> None:
    assert after(code).remember is remembered


def test_no_code_is_without_consequence_and_none_waits_without_a_reason() -> None:
    for code in VERDICTS:
        verdict = verdict_for(code, http_status=400)
        if verdict.kind is VerdictKind.AMBIGUOUS:
            posted = Posted(PostedKind.UNSURE, verdict=verdict)
            outcome = consequence_of(a_message(), posted, NOW).outcome
            assert (outcome.state, outcome.code) == (MessageState.UNSURE, code)
        else:
            outcome = after(code).outcome
            assert outcome.state in (PENDING, REFUSED), code
            assert outcome.reason, code


def test_patience_with_a_person_grows_and_ends() -> None:
    waits = [after(131049, attempt).outcome for attempt in range(1, 5)]
    assert [w.not_before - NOW if w.not_before else None for w in waits] == [DAY, 2 * DAY, 4 * DAY, None]
    assert waits[-1].state is REFUSED


def test_an_accepted_message_is_final() -> None:
    posted = Posted(PostedKind.ACCEPTED, wamid="wamid.1", status="held_for_quality_assessment")
    consequence = consequence_of(a_message(), posted, NOW)
    outcome = consequence.outcome
    assert (outcome.state, outcome.wamid, outcome.detail) == (
        MessageState.ACCEPTED,
        "wamid.1",
        "held_for_quality_assessment",
    )
    assert consequence.hold is None


def test_a_lost_answer_is_unsure_and_holds_nobody() -> None:
    consequence = consequence_of(a_message(), Posted(PostedKind.UNSURE, detail="operation timed out"), NOW)
    assert (consequence.outcome.state, consequence.outcome.reason) == (MessageState.UNSURE, "answer_lost")
    assert consequence.hold is None


def test_what_was_never_written_goes_back_unused_and_the_lane_waits_for_the_channel() -> None:
    consequence = consequence_of(a_message(), Posted(PostedKind.NOT_WRITTEN, detail="refused"), NOW)
    assert (consequence.outcome.state, consequence.outcome.posted) == (PENDING, False)
    assert consequence.hold is not None
    assert consequence.hold.reason is HoldReason.CHANNEL_UNAVAILABLE
