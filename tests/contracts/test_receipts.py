"""Receipts in the ledger: any order and any repetition end alike, and messages follow what they prove."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from support.builders import NOON, a_phone
from support.ledger import Filled, Ledger, as_dead, later, settle_all

from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.message import (
    GIVEN_UP,
    ClaimedMessage,
    MessageState,
    Outcome,
    again_later,
    unsure,
)
from dispatcher.domain.receipt import AttemptRef, Booked, Receipt, ReceiptState, reported
from dispatcher.domain.report import MessageView

S = ReceiptState
STEP = timedelta(seconds=7)


async def claimed(ledger: Ledger, filled: Filled, lane: int = 0) -> Sequence[ClaimedMessage]:
    turn = await ledger.a_turn(filled.lanes[lane])
    return await ledger.turns.claim(turn, 100)


async def sent(ledger: Ledger, people: int = 1, outcome: str = "accepted") -> tuple[Filled, list[AttemptRef]]:
    """A campaign whose only turn has posted everything; the answers were taken or lost."""
    filled = await ledger.a_campaign(people=people)
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, people)
    if outcome == "accepted":
        await settle_all(ledger, turn, messages)
    else:
        await ledger.turns.settle(turn, [unsure(m.id, "answer_lost") for m in messages])
    await ledger.turns.close_turn(turn, None)
    return filled, [AttemptRef(filled.campaign.id, MessageId(m.id), 1) for m in messages]


async def book(ledger: Ledger, ref: AttemptRef, *states: ReceiptState, code: int | None = None) -> Booked:
    """One report after the other, each at its own moment."""
    booked = Booked(frozenset(), frozenset(), frozenset())
    for state in states:
        moment = NOON + list(S).index(state) * STEP
        receipt = reported(state, moment, code=code if state is S.FAILED else None)
        booked = await ledger.receipts.book({ref: (f"wamid.{ref.message_id}", receipt)})
    return booked


async def shown(ledger: Ledger, ref: AttemptRef) -> MessageView:
    return await ledger.campaigns.message(ref.campaign_id, ref.message_id)


@pytest.mark.parametrize("seed", range(12))
async def test_shuffled_and_tripled_reports_end_like_those_in_order(ledger: Ledger, seed: int) -> None:
    dice = random.Random(seed)
    states = [S.SENT, S.DELIVERED, S.READ, S.FAILED][: dice.randint(1, 4)]
    _, [tidy, wild] = await sent(ledger, people=2)
    await book(ledger, tidy, *states)
    reports = states * 3
    dice.shuffle(reports)
    await book(ledger, wild, *reports)
    [expected] = (await shown(ledger, tidy)).receipts
    [found] = (await shown(ledger, wild)).receipts
    assert (found.state, found.receipt) == (expected.state, expected.receipt)
    assert found.state is found.receipt.state, "SQL and the domain read the same off the moments"


async def test_a_batch_may_tell_the_same_attempt_many_things_at_once(ledger: Ledger) -> None:
    _, [ref] = await sent(ledger)
    receipt = reported(S.SENT, NOON) | reported(S.READ, NOON + STEP) | reported(S.FAILED, NOON, code=131026)
    await ledger.receipts.book({ref: ("wamid.1", receipt)})
    [told] = (await shown(ledger, ref)).receipts
    assert (told.state, told.receipt) == (S.READ, receipt)


async def test_a_report_of_a_message_that_does_not_exist_is_told_as_unknown(ledger: Ledger) -> None:
    _, [ref] = await sent(ledger)
    stranger = ref._replace(message_id=MessageId(10**9))
    booked = await ledger.receipts.book(
        {ref: ("wamid.1", reported(S.SENT, NOON)), stranger: ("wamid.2", reported(S.FAILED, NOON))}
    )
    assert booked == Booked(frozenset([stranger]), frozenset(), frozenset())


async def test_an_unsure_message_is_accepted_when_a_report_of_it_comes(ledger: Ledger) -> None:
    filled, [ref] = await sent(ledger, outcome="unsure")
    booked = await book(ledger, ref, S.SENT)
    assert booked.unsettled == {ref}
    await ledger.receipts.settle([ref])
    message = await shown(ledger, ref)
    assert (message.state, message.wamid, message.reason) == ("accepted", f"wamid.{ref.message_id}", None)
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.unsure) == (1, 0)


async def test_a_report_that_comes_before_our_own_answer_changes_nothing_and_is_not_lost(
    ledger: Ledger,
) -> None:
    filled = await ledger.a_campaign(people=2)
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, 2)
    refs = [AttemptRef(filled.campaign.id, MessageId(m.id), 1) for m in messages]
    for ref in refs:
        booked = await book(ledger, ref, S.DELIVERED)
        await ledger.receipts.settle(sorted(booked.unsettled))
    assert (await ledger.counts(filled)).claimed == 2
    answered, lost = messages
    await settle_all(ledger, turn, [answered])
    await ledger.turns.settle(turn, [unsure(lost.id, "answer_lost")])

    found = await ledger.receipts.unsure_with_receipt(10)
    await ledger.receipts.settle(found)

    assert found == [refs[1]]
    assert (await ledger.counts(filled)).accepted == 2


async def test_a_report_settles_what_a_dead_worker_left_unsure(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=3)
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, 3)
    await ledger.turns.reap(as_dead(turn), frozenset(m.id for m in messages[:2]))
    ref = AttemptRef(filled.campaign.id, MessageId(messages[0].id), 1)
    await book(ledger, ref, S.SENT)
    await ledger.receipts.settle([ref])
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.unsure, counts.pending) == (1, 1, 1)


async def test_a_message_given_up_as_unsure_counts_as_accepted_when_it_arrives_after_all(
    ledger: Ledger,
) -> None:
    filled, [ref] = await sent(ledger, outcome="unsure")
    assert await ledger.unsure.settle([ref], MessageState.REFUSED, GIVEN_UP) == 1
    assert (await ledger.counts(filled)).refused == 1
    await book(ledger, ref, S.DELIVERED)
    await ledger.receipts.settle([ref])
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.refused) == (1, 0)


async def failed_once(ledger: Ledger, code: int = 131049) -> tuple[Filled, AttemptRef]:
    """A message that Meta took, reported as failed, and that is to be tried again."""
    filled, [ref] = await sent(ledger)
    booked = await book(ledger, ref, S.SENT, S.FAILED, code=code)
    [failure] = await ledger.receipts.failures(sorted(booked.failed))
    assert (failure.code, failure.may_reopen, failure.failed_before) == (code, True, 0)
    await ledger.receipts.reopen([(ref, another_attempt(ref, code))])
    return filled, ref


def another_attempt(ref: AttemptRef, code: int) -> Outcome:
    return again_later(
        ref.message_id, later(), reason=HoldReason.PERSON_COOLDOWN, code=code, detail="not now"
    )


async def test_a_failure_worth_another_attempt_reopens_the_message_and_stays_on_record(
    ledger: Ledger,
) -> None:
    filled, ref = await failed_once(ledger)
    message = await shown(ledger, ref)
    assert (message.state, message.reason, message.wamid) == ("pending", "person_cooldown", None)
    [attempt] = message.attempts
    assert (attempt.attempt, attempt.wamid, attempt.code) == (1, f"wamid.{ref.message_id}", 131049)
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.pending) == (0, 1)
    campaign = await ledger.campaigns.find(ref.campaign_id)
    assert (campaign.state, campaign.finished_at) == ("running", None), "a completed campaign runs again"
    [lane] = await ledger.campaigns.lanes(ref.campaign_id)
    assert lane.next_at is not None


async def test_the_consequences_of_a_failure_are_drawn_once(ledger: Ledger) -> None:
    _, ref = await failed_once(ledger)
    booked = await book(ledger, ref, S.FAILED, code=131049)
    assert booked.failed == {ref}
    assert await ledger.receipts.failures([ref]) == []


async def test_delivered_after_failed_takes_the_next_attempt_back(ledger: Ledger) -> None:
    filled, ref = await failed_once(ledger)
    booked = await book(ledger, ref, S.DELIVERED)
    assert await ledger.receipts.settle(sorted(booked.unsettled)) == {ref.campaign_id: 1}
    message = await shown(ledger, ref)
    assert (message.state, message.wamid, message.attempts) == ("accepted", f"wamid.{ref.message_id}", [])
    assert (await ledger.counts(filled)).accepted == 1


async def test_a_failure_after_delivery_changes_nothing(ledger: Ledger) -> None:
    _, [ref] = await sent(ledger)
    await book(ledger, ref, S.DELIVERED, S.FAILED, code=131049)
    assert await ledger.receipts.failures([ref]) == []


async def test_late_reports_are_booked_to_the_attempt_they_belong_to(ledger: Ledger) -> None:
    filled, ref = await failed_once(ledger)
    await ledger.database.execute("UPDATE messages SET not_before = ledger_now()")
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    assert message.attempt == 2
    await ledger.turns.settle(
        turn, [Outcome(message.id, MessageState.ACCEPTED, wamid="wamid.second", posted=True)]
    )
    first, second = ref, ref._replace(attempt=2)
    key = PersonKey(a_phone(0))
    asked = {f"wamid.{ref.message_id}": key, "wamid.second": key, "wamid.other": key}
    by_wamid = await ledger.receipts.attempts_of(asked)
    assert by_wamid == {f"wamid.{ref.message_id}": first, "wamid.second": second}
    await book(ledger, second, S.SENT)
    await book(ledger, first, S.FAILED, code=131049)
    states = [(told.attempt, told.state) for told in (await shown(ledger, ref)).receipts]
    assert states == [(1, S.FAILED), (2, S.SENT)]
    assert (await ledger.counts(filled)).accepted == 1


async def test_a_restored_ledger_learns_from_receipts_what_it_had_sent(ledger: Ledger) -> None:
    """It has forgotten the post; the report carries the token of an attempt that it does not know of."""
    filled = await ledger.a_campaign(people=2)
    message = await ledger.campaigns.message_to(filled.campaign.id, PersonKey(a_phone(0)))
    ref = AttemptRef(filled.campaign.id, message.id, 1)
    booked = await book(ledger, ref, S.SENT)
    await ledger.receipts.settle(sorted(booked.unsettled))
    assert (await shown(ledger, ref)).state == "accepted"
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.pending) == (1, 1)


async def test_released_messages_are_posted_again_and_the_unsure_attempt_stays_on_record(
    ledger: Ledger,
) -> None:
    filled, [ref] = await sent(ledger, outcome="unsure")
    assert await ledger.unsure.release([ref]) == 1
    message = await shown(ledger, ref)
    assert (message.state, [a.reason for a in message.attempts]) == ("pending", ["unsure"])
    [again] = await claimed(ledger, filled)
    assert again.attempt == 2


async def test_policies_decide_after_the_grace_unless_a_report_has_come(ledger: Ledger) -> None:
    _, refs = await sent(ledger, people=2, outcome="unsure")
    assert await ledger.unsure.due(timedelta(minutes=1), 10, 3) == ([], [])
    await book(ledger, refs[0], S.SENT)
    assert await ledger.unsure.due(timedelta(seconds=-1), 10, 3) == ([refs[1]], [])


def test_a_receipt_is_empty_without_a_report() -> None:
    assert Receipt().state is None
