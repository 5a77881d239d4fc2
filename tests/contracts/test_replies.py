"""Replies in the ledger: stored in order, claimed one per conversation, settled by whoever holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.builders import a_phone
from support.conversations import a_conversation
from support.ledger import LEASE, RUN_OUT, Ledger, later

from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.errors import LeaseLost, NotSettled
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import REPLIES, ConversationId, MessageId
from dispatcher.domain.message import (
    MessageState,
    accepted,
    again_later,
    given_back,
    unsure,
)
from dispatcher.domain.queued_reply import Claimed, OpenedReplyTurn, ReplyDraft
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported
from dispatcher.domain.sender import Sender
from dispatcher.ledger.fence import LedgerFence
from dispatcher.ledger.replies import LedgerReplies
from dispatcher.ledger.reply_ends import LedgerReplyEnds
from dispatcher.ledger.reply_turns import LedgerReplyTurns

HELLO: Mapping[str, Any] = {"type": "text", "text": {"body": "Hello"}}
CLOSED = timedelta(seconds=-1)


class Replying:
    """A ledger with a sender, seen by orders, turns and operators."""

    def __init__(self, ledger: Ledger, sender: Sender) -> None:
        self.database = ledger.database
        self.sender = sender
        self.book = LedgerReplies(ledger.database)
        self.turns = LedgerReplyTurns(ledger.database)
        self.ends = LedgerReplyEnds(ledger.database)

    async def queue(
        self,
        conversation: ConversationId,
        *,
        key: str | None = None,
        policy: UnsurePolicy = UnsurePolicy.ASK,
    ) -> MessageId | None:
        """Queue one more reply; None where it is refused."""
        queued = await self.book.queue(ReplyDraft(conversation, HELLO, None, key, policy))
        return queued[0] if queued else None

    async def a_conversation(self, n: int = 1, replies: int = 0, **fields: Any) -> ConversationId:
        """With the n-th person, and so many replies queued."""
        conversation = await a_conversation(self.database, self.sender, a_phone(n), **fields)
        for _ in range(replies):
            await self.queue(conversation)
        return conversation

    async def a_turn(self, lease: timedelta = LEASE) -> OpenedReplyTurn:
        """An open turn."""
        opened = await self.turns.open_turn(self.sender.id, "a test", lease, 0)
        assert opened is not None
        return opened

    async def claim(self, turn: OpenedReplyTurn, limit: int = 100) -> list[MessageId]:
        """What a turn gets."""
        return ids_of(await self.turns.claim(turn, limit))

    async def states(self) -> list[MessageState]:
        """Of all replies, in the order in which they were queued."""
        return [view.state for view in reversed(await self.book.recent(100))]


def ids_of(claimed: Claimed) -> list[MessageId]:
    return [reply.id for reply in claimed.replies]


@pytest.fixture
async def replying(ledger: Ledger) -> Replying:
    return Replying(ledger, await ledger.a_sender())


async def test_positions_count_within_a_conversation(replying: Replying) -> None:
    first, second = await replying.a_conversation(1), await replying.a_conversation(2)
    for conversation in (first, second, first, first):
        await replying.queue(conversation)
    views = reversed(await replying.book.recent(10))
    assert [(view.person, view.position) for view in views] == [
        (a_phone(1), 1),
        (a_phone(2), 1),
        (a_phone(1), 2),
        (a_phone(1), 3),
    ]


async def test_a_reply_is_stored_only_while_the_window_is_open(replying: Replying) -> None:
    closed = await replying.a_conversation(1, open_for=CLOSED)
    assert await replying.queue(closed) is None
    assert await replying.states() == []


async def test_one_key_is_one_reply_however_many_ask_at_once(replying: Replying) -> None:
    conversation = await replying.a_conversation()
    asked = await asyncio.gather(*(replying.queue(conversation, key="order-77") for _ in range(8)))
    assert len([one for one in asked if one is not None]) == 1
    found = await replying.book.by_key(replying.sender, "order-77")
    assert found is not None
    assert found.id in asked


async def test_replies_that_are_queued_side_by_side_have_positions_of_their_own(replying: Replying) -> None:
    conversation = await replying.a_conversation()
    await asyncio.gather(*(replying.queue(conversation) for _ in range(20)))
    assert sorted(view.position for view in await replying.book.recent(100)) == list(range(1, 21))


async def test_of_each_conversation_only_the_first_unfinished_reply_is_claimed(replying: Replying) -> None:
    await replying.a_conversation(1, replies=3)
    await replying.a_conversation(2, replies=2)
    turn, other = await replying.a_turn(), await replying.a_turn()
    assert await replying.claim(turn) == [1, 4]
    assert await replying.claim(turn) == [] == await replying.claim(other)
    await replying.turns.settle(turn, accepted(MessageId(1), "wamid.1"))
    assert await replying.claim(other) == [2]


async def test_turns_side_by_side_never_get_the_same_reply(replying: Replying) -> None:
    for n in range(40):
        await replying.a_conversation(n, replies=2)
    turns = [await replying.a_turn() for _ in range(4)]
    claims = await asyncio.gather(*(replying.claim(turn, 15) for turn in turns))
    got = [reply for claim in claims for reply in claim]
    assert len(got) == len(set(got))
    assert all(reply % 2 == 1 for reply in got), "the first of each pair"


@pytest.mark.parametrize(
    ("policy", "blocks"),
    [(UnsurePolicy.ASK, True), (UnsurePolicy.RESEND, True), (UnsurePolicy.GIVE_UP, False)],
)
async def test_an_unsure_reply_keeps_those_behind_it_waiting_unless_it_is_never_posted_again(
    replying: Replying, policy: UnsurePolicy, blocks: bool
) -> None:
    conversation = await replying.a_conversation()
    await replying.queue(conversation, policy=policy)
    await replying.queue(conversation, policy=policy)
    turn = await replying.a_turn()
    await replying.claim(turn)
    await replying.turns.settle(turn, unsure(MessageId(1), "answer_lost"))
    assert await replying.claim(turn) == ([] if blocks else [2])
    view = await replying.book.view(MessageId(2))
    assert (view.waits_for == 1) is blocks


async def test_a_reply_that_waits_for_its_time_keeps_those_behind_it_waiting(replying: Replying) -> None:
    await replying.a_conversation(replies=2)
    turn = await replying.a_turn()
    await replying.claim(turn)
    outcome = again_later(MessageId(1), later(), reason=HoldReason.RETRY_LATER, code=131016, detail="busy")
    await replying.turns.settle(turn, outcome)
    assert await replying.claim(turn) == []
    view = await replying.book.view(MessageId(1))
    assert (view.state, view.reason, view.attempt) == (MessageState.PENDING, "retry_later", 1)
    assert [attempt.code for attempt in view.attempts] == [131016]


async def test_a_reply_that_goes_back_unposted_has_not_used_up_its_attempt(replying: Replying) -> None:
    await replying.a_conversation(replies=1)
    turn = await replying.a_turn()
    await replying.claim(turn)
    await replying.turns.settle(turn, given_back(MessageId(1)))
    [again] = (await replying.turns.claim(turn, 1)).replies
    assert again.attempt == 1


async def test_a_window_that_closed_meanwhile_refuses_the_reply_at_the_claim(replying: Replying) -> None:
    conversation = await replying.a_conversation(replies=2)
    await replying.database.execute(
        "UPDATE conversations SET window_ends_at = ledger_now() WHERE id = $1", conversation
    )
    turn = await replying.a_turn()
    assert (await replying.turns.claim(turn, 10)).refused == 1
    assert (await replying.turns.claim(turn, 10)).refused == 1
    view = await replying.book.view(MessageId(1))
    assert (view.state, view.reason, view.attempt) == (MessageState.REFUSED, "window_closed", 0)


async def test_a_turn_with_replies_in_hand_is_not_closed(replying: Replying) -> None:
    await replying.a_conversation(replies=1)
    turn = await replying.a_turn()
    await replying.claim(turn)
    with pytest.raises(NotSettled):
        await replying.turns.close_turn(turn)
    await replying.turns.settle(turn, accepted(MessageId(1), "wamid.1"))
    await replying.turns.close_turn(turn)
    with pytest.raises(LeaseLost):
        await replying.turns.close_turn(turn)
    assert await replying.book.check() == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_reaping_leaves_in_doubt_what_may_have_been_handed_over(
    replying: Replying, is_known: bool
) -> None:
    await replying.a_conversation(1, replies=1)
    await replying.a_conversation(2, replies=1)
    turn = await replying.a_turn(RUN_OUT)
    await replying.claim(turn)
    [dead] = await replying.turns.dead_turns()
    handed = frozenset({MessageId(1)}) if is_known else None
    assert await replying.turns.reap(dead, handed) == (2, 1 if is_known else 2)
    assert await replying.turns.reap(dead, handed) is None, "each turn is reaped once"
    after = MessageState.PENDING if is_known else MessageState.UNSURE
    assert await replying.states() == [MessageState.UNSURE, after]
    with pytest.raises(LeaseLost):
        await replying.claim(turn)
    with pytest.raises(LeaseLost):
        await replying.turns.heartbeat(turn, LEASE)


async def test_an_answer_that_comes_after_the_reaping_replaces_the_doubt(replying: Replying) -> None:
    await replying.a_conversation(replies=1)
    turn = await replying.a_turn(RUN_OUT)
    await replying.claim(turn)
    [dead] = await replying.turns.dead_turns()
    await replying.turns.reap(dead, None)
    assert await replying.turns.settle(turn, accepted(MessageId(1), "wamid.1"))
    assert await replying.states() == [MessageState.ACCEPTED]


async def test_a_turn_does_not_settle_what_another_has(replying: Replying) -> None:
    await replying.a_conversation(replies=1)
    turn, stranger = await replying.a_turn(), await replying.a_turn()
    await replying.claim(turn)
    assert not await replying.turns.settle(stranger, accepted(MessageId(1), "wamid.1"))
    assert await replying.states() == [MessageState.CLAIMED]


async def test_only_a_pending_reply_is_cancelled_and_those_behind_it_go_on(replying: Replying) -> None:
    await replying.a_conversation(replies=2)
    assert await replying.book.cancel(MessageId(1)) == replying.sender.id
    assert await replying.book.cancel(MessageId(1)) is None
    turn = await replying.a_turn()
    assert await replying.claim(turn) == [2]
    assert await replying.book.cancel(MessageId(2)) is None


async def test_senders_with_something_to_say_are_due(replying: Replying) -> None:
    assert await replying.turns.due_senders() == []
    await replying.a_conversation(replies=2)
    assert await replying.turns.due_senders() == [(replying.sender, [])]
    turn = await replying.a_turn()
    await replying.claim(turn)
    assert await replying.turns.due_senders() == [], "the second one waits for the first"


async def test_an_operator_settles_an_unsure_reply_or_has_it_posted_again(replying: Replying) -> None:
    await replying.a_conversation(1, replies=1)
    await replying.a_conversation(2, replies=1)
    turn = await replying.a_turn()
    for reply in await replying.claim(turn):
        await replying.turns.settle(turn, unsure(reply, "answer_lost"))
    count, [first, _] = await replying.ends.list(None, 10, timedelta(hours=1))
    assert (count, first.ref.message_id, first.decides_at) == (2, 1, None)
    assert await replying.ends.settle([MessageId(1)], MessageState.ACCEPTED, "settled") == [
        replying.sender.id
    ]
    assert await replying.ends.release([MessageId(1), MessageId(2)]) == [replying.sender.id]
    assert await replying.states() == [MessageState.ACCEPTED, MessageState.PENDING]
    view = await replying.book.view(MessageId(2))
    assert [attempt.reason for attempt in view.attempts] == ["unsure"]


@pytest.mark.parametrize("policy", list(UnsurePolicy))
async def test_the_policy_decides_after_the_grace(replying: Replying, policy: UnsurePolicy) -> None:
    conversation = await replying.a_conversation()
    await replying.queue(conversation, policy=policy)
    turn = await replying.a_turn()
    await replying.claim(turn)
    await replying.turns.settle(turn, unsure(MessageId(1), "answer_lost"))
    assert await replying.ends.due(timedelta(hours=1), 10, 3) == ([], [])
    give_up, resend = await replying.ends.due(timedelta(), 10, 3)
    match policy:
        case UnsurePolicy.GIVE_UP:
            assert (give_up, resend) == ([1], [])
        case UnsurePolicy.RESEND:
            assert (give_up, resend) == ([], [1])
        case UnsurePolicy.ASK:
            assert (give_up, resend) == ([], [])


async def test_a_reply_is_not_resent_into_a_closed_window(replying: Replying) -> None:
    conversation = await replying.a_conversation()
    await replying.queue(conversation, policy=UnsurePolicy.RESEND)
    turn = await replying.a_turn()
    await replying.claim(turn)
    await replying.turns.settle(turn, unsure(MessageId(1), "answer_lost"))
    await replying.database.execute("UPDATE conversations SET window_ends_at = ledger_now()")
    assert await replying.ends.due(timedelta(), 10, 3) == ([1], [])


async def test_after_a_restore_nothing_is_said_that_may_have_been_said_already(replying: Replying) -> None:
    await replying.a_conversation(replies=2)
    turn = await replying.a_turn()
    await replying.claim(turn)
    fence = LedgerFence(replying.database)
    await fence.learn()
    confirmed = await fence.confirm((await fence.state()).epoch, because="the ledger was restored")
    assert confirmed.unsure == 1
    assert await replying.states() == [MessageState.UNSURE, MessageState.CANCELLED]
    with pytest.raises(LeaseLost):
        await replying.claim(turn)
    latest = await replying.queue(await replying.a_conversation(2))
    assert latest is not None
    assert latest > 1_000_000_000, "a late report of a reply that was forgotten meets nobody"


async def test_reports_find_replies_by_token_and_by_metas_id(replying: Replying, ledger: Ledger) -> None:
    await replying.a_conversation(replies=1)
    turn = await replying.a_turn()
    await replying.claim(turn)
    await replying.turns.settle(turn, accepted(MessageId(1), "wamid.1"))
    ref = AttemptRef(REPLIES, MessageId(1), 1)
    assert await ledger.receipts.attempts_of({"wamid.1": None, "wamid.2": None}) == {"wamid.1": ref}
    report = reported(ReceiptState.DELIVERED, datetime.now(UTC))
    stranger = AttemptRef(REPLIES, MessageId(404), 1)
    booked = await ledger.receipts.book({ref: ("wamid.1", report), stranger: ("wamid.2", report)})
    assert (booked.unknown, booked.unsettled, booked.failed) == ({stranger}, set(), set())
    [told] = (await replying.book.view(MessageId(1))).receipts
    assert (told.attempt, told.state) == (1, ReceiptState.DELIVERED)


async def test_a_report_that_overtook_our_own_answer_settles_the_reply(
    replying: Replying, ledger: Ledger
) -> None:
    await replying.a_conversation(replies=1)
    turn = await replying.a_turn()
    await replying.claim(turn)
    ref = AttemptRef(REPLIES, MessageId(1), 1)
    booked = await ledger.receipts.book({ref: ("wamid.1", reported(ReceiptState.SENT, datetime.now(UTC)))})
    assert booked.unsettled == {ref}
    await ledger.receipts.settle([ref])
    assert await replying.states() == [MessageState.CLAIMED], "it is still in the turn's hands"
    await replying.turns.settle(turn, unsure(MessageId(1), "answer_lost"))
    assert await ledger.receipts.unsure_with_receipt(10) == [ref]
    await ledger.receipts.settle([ref])
    view = await replying.book.view(MessageId(1))
    assert (view.state, view.wamid) == (MessageState.ACCEPTED, "wamid.1")
