"""The door for replies: to queue one, to see and explain it, to give it up, to mark what a person wrote as read.

What cannot be sent is refused at once, as a value with its reason. What was queued is sent by the reply lane
(`reply_turn.py`), in order within its conversation, or refused there with the same reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.errors import BadValue, ChannelRefused, ChannelUnavailable, Conflict
from dispatcher.domain.gate import decide_reply, sender_hold
from dispatcher.domain.hold import LIFTED_BY, Hold, HoldReason
from dispatcher.domain.ids import ConversationId, MessageId, PersonKey, SenderId, is_user_id
from dispatcher.domain.listing import Page
from dispatcher.domain.message import MessageState
from dispatcher.domain.pacing import Policy
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.domain.posted import PostedKind
from dispatcher.domain.queued_reply import (
    WINDOW_CLOSED,
    Addressee,
    NewReply,
    NotQueued,
    Queued,
    ReplyDraft,
    ReplyRefusal,
    ReplyView,
)
from dispatcher.domain.reply import problem_with_reply
from dispatcher.domain.report import Fault
from dispatcher.domain.sender import Sender
from dispatcher.engine.explain import Explanation, describe
from dispatcher.ports import Clock, ReplyBook, ReplyChannel, ReplyJobs, ReplyPayloads, SenderBook

KEY_CHARS_MAX = 200
TEMPLATE_HINT = (
    "outside the window only a template may be sent: `dispatch send`, to an audience of this one person"
)


class _Person(NamedTuple):
    """A person by either key."""

    key: PersonKey | None
    user_id: str | None


class _Meant(NamedTuple):
    """Replies of one sender, or of one of its conversations; None: of any."""

    sender: SenderId | None
    conversation: ConversationId | None


@dataclass(frozen=True, slots=True)
class Replies:
    """The engine's door for everything about replies."""

    book: ReplyBook
    senders: SenderBook
    channel: ReplyChannel
    payloads: ReplyPayloads
    jobs: ReplyJobs
    clock: Clock
    policy: Policy
    unsure_policy: UnsurePolicy
    """Of the replies that are queued from now on."""

    async def queue(self, new: NewReply) -> Queued | NotQueued:
        """Have it sent, as soon as the sender may. Raises NotFound for the sender, BadValue for no person or no key, and
        Busy where another order for the conversation takes too long.

        The same key from the same sender is the same reply: asked for again, it is not sent again, also when the
        window has closed since.
        """
        if new.key is not None and not 1 <= len(new.key) <= KEY_CHARS_MAX:
            raise BadValue(f"a key has 1 to {KEY_CHARS_MAX} characters")
        person = _person(new.person)
        sender = await self.senders.named(new.sender)
        if problem := problem_with_reply(new.content, context_wamid=new.context_wamid):
            hint = "nothing was stored; mend it and ask again"
            return NotQueued(ReplyRefusal.BAD_CONTENT, str(problem), hint, field=problem.field)
        addressee = await self.book.addressee(sender, *person)
        if addressee is None:
            return _never_written(new)
        draft = ReplyDraft(
            addressee.conversation_id,
            self.payloads.content(new.content),
            new.context_wamid,
            new.key,
            self.unsure_policy,
        )
        if (known := await self._known(sender, addressee, draft)) is not None:
            return known
        if (hold := sender_hold(sender, self.policy.stricter)) is not None:
            return NotQueued(ReplyRefusal.SENDER_BLOCKED, describe(hold), LIFTED_BY[hold.reason])
        queued = await self.book.queue(draft)
        if queued is None:
            # Closed, or somebody else has just taken the key.
            return await self._known(sender, addressee, draft) or _closed(new, addressee)
        await self.jobs.wake(sender.id)
        assert addressee.window_ends_at is not None
        return Queued(*queued, addressee.window_ends_at, is_new=True)

    async def view(self, reply_id: MessageId) -> ReplyView:
        """A reply with its history. Raises NotFound."""
        return await self.book.view(reply_id)

    async def recent(
        self,
        most: int,
        *,
        sender: str | None = None,
        person: str | None = None,
        state: MessageState | None = None,
    ) -> Sequence[ReplyView]:
        """The newest first, of one sender, to one person of that sender, in one state. Raises NotFound, BadValue."""
        meant = await self._meant(sender, person)
        if meant is None:
            return ()
        return await self.book.recent(most, sender=meant.sender, conversation=meant.conversation, state=state)

    async def page(
        self,
        before: MessageId | None,
        limit: int,
        *,
        sender: str | None = None,
        person: str | None = None,
        state: MessageState | None = None,
    ) -> Page[ReplyView, MessageId]:
        """The same, page by page; those before this one. Raises NotFound, BadValue."""
        meant = await self._meant(sender, person)
        if meant is None:
            return Page((), None)
        return await self.book.page(
            before, limit, sender=meant.sender, conversation=meant.conversation, state=state
        )

    async def cancel(self, reply_id: MessageId) -> None:
        """Give up a reply that nobody has in hand; those behind it go on. Raises NotFound, Conflict."""
        sender_id = await self.book.cancel(reply_id)
        if sender_id is None:
            reply = await self.book.view(reply_id)
            raise Conflict(f"reply {reply_id} is {reply.state}; only a pending one can be given up")
        await self.jobs.wake(sender_id)

    async def explain(self, reply: ReplyView) -> Explanation:
        """Why a reply is where it is: what binds, and until when."""
        if reply.state is not MessageState.PENDING:
            return Explanation(_told(reply), None, _after(reply), ())
        now = self.clock.now()
        if reply.window_ends_at <= now:
            summary = f"its window closed at {reply.window_ends_at:%Y-%m-%d %H:%M:%S} UTC: it will be refused"
            return Explanation(summary, None, TEMPLATE_HINT, ())
        hold = await self._binding(reply)
        return Explanation(f"it waits: {describe(hold)}", hold, LIFTED_BY[hold.reason], ())

    async def mark_read(self, sender: str, person: str, *, is_typing: bool = False) -> str:
        """Show the person that what they wrote was read, and with `is_typing` that an answer is being written.

        A mark is no message: it needs no window, costs nothing, and nothing is kept of it; repeat it at will.
        Returns the id of the message that was marked, the person's latest.
        Raises NotFound, BadValue, Conflict where the person has never written, ChannelRefused, ChannelUnavailable.
        """
        known = await self.senders.named(sender)
        addressee = await self.book.addressee(known, *_person(person))
        if addressee is None or addressee.last_inbound_wamid is None:
            raise Conflict(f"{person} has not written to {sender}: there is nothing to mark")
        await self.mark(known, addressee.last_inbound_wamid, is_typing=is_typing)
        return addressee.last_inbound_wamid

    async def mark(self, sender: Sender, wamid: str, *, is_typing: bool = False) -> None:
        """The same of the message that has this id. Raises ChannelRefused, ChannelUnavailable."""
        posted = await self.channel.mark(sender, self.payloads.mark_read(wamid, is_typing=is_typing))
        match posted.kind:
            case PostedKind.ACCEPTED:
                return
            case PostedKind.REFUSED:
                code = posted.verdict.code if posted.verdict else None
                raise ChannelRefused(f"Meta refused the mark: {posted.detail}", code=code)
            case PostedKind.UNSURE | PostedKind.NOT_WRITTEN:
                raise ChannelUnavailable(
                    f"no clear answer to the mark: {posted.detail}", hint="it may be repeated without harm"
                )

    async def check(self) -> Sequence[Fault]:
        """Prove the order; empty when all is well."""
        return await self.book.check()

    async def _meant(self, sender: str | None, person: str | None) -> _Meant | None:
        """Whose replies are asked for; None: those to somebody who has never written."""
        if sender is None:
            if person is not None:
                raise BadValue("say of which sender: a person may write to several")
            return _Meant(None, None)
        known = await self.senders.named(sender)
        if person is None:
            return _Meant(known.id, None)
        addressee = await self.book.addressee(known, *_person(person))
        return None if addressee is None else _Meant(known.id, addressee.conversation_id)

    async def _known(
        self, sender: Sender, addressee: Addressee, draft: ReplyDraft
    ) -> Queued | NotQueued | None:
        """What is known under the draft's key: the same reply, or another."""
        if draft.key is None or (known := await self.book.by_key(sender, draft.key)) is None:
            return None
        if not known.says(draft):
            return NotQueued(
                ReplyRefusal.KEY_TAKEN,
                f"reply {known.id} has the key {draft.key!r}, and says something else or to somebody else",
                "give each reply a key of its own",
            )
        assert addressee.window_ends_at is not None
        return Queued(known.id, known.position, addressee.window_ends_at, is_new=False)

    async def _binding(self, reply: ReplyView) -> Hold:
        """The first thing that binds, in the order in which the lane meets it."""
        if reply.waits_for is not None:
            return Hold(HoldReason.IN_ORDER, detail=f"reply {reply.waits_for} goes first")
        holds, moved = await self.book.bounds(reply.sender)
        now = self.clock.now()
        decision = decide_reply(reply.sender, holds, now, stricter=self.policy.stricter, moved=moved)
        if isinstance(decision, Hold):
            return decision
        if reply.not_before is not None and reply.not_before > now and reply.reason is not None:
            return Hold(HoldReason(reply.reason), reply.not_before, reply.detail or "")
        return Hold(HoldReason.QUEUED)


def _person(text: str) -> _Person:
    """A phone number or a user id. Raises BadValue."""
    if is_user_id(text):
        return _Person(None, text)
    phone = parse_phone(text)
    if isinstance(phone, BadPhone):
        raise BadValue(
            f"{text!r} names nobody: {phone.text}",
            hint="write a number such as +12025550143, or a user id such as US.7000000000000000001",
        )
    return _Person(PersonKey(phone.key), None)


def _never_written(new: NewReply) -> NotQueued:
    detail = f"{new.person} has never written to {new.sender}, and only who writes may be answered"
    return NotQueued(ReplyRefusal.NO_CONVERSATION, detail, TEMPLATE_HINT)


def _closed(new: NewReply, addressee: Addressee) -> NotQueued:
    ended = addressee.window_ends_at
    when = f"closed at {ended:%Y-%m-%d %H:%M:%S} UTC" if ended else "was never open"
    return NotQueued(
        ReplyRefusal.WINDOW_CLOSED,
        f"the service window of {new.person} with {new.sender} {when}",
        TEMPLATE_HINT,
        window_closed_at=ended,
    )


def _told(reply: ReplyView) -> str:
    told = ", ".join(str(part) for part in (reply.code, reply.reason, reply.detail) if part)
    if reply.reason == WINDOW_CLOSED:
        told = f"its window closed at {reply.window_ends_at:%Y-%m-%d %H:%M:%S} UTC, {reply.detail}"
    return f"it is {reply.state}" + (f": {told}" if told else "")


def _after(reply: ReplyView) -> str:
    match reply.state:
        case MessageState.UNSURE:
            return "a receipt from Meta settles it; or `dispatch unsure settle replies` and `dispatch unsure release replies`"
        case MessageState.CLAIMED:
            return "a turn has it and settles it within seconds"
        case MessageState.REFUSED if reply.reason == WINDOW_CLOSED:
            return TEMPLATE_HINT
        case _:
            return "nothing more happens to it by itself"
