"""One reply turn at work: claim → grant → post → settle, for one sender, as long as there is something to say.

It is a lane's turn in small, and made for the shortest way from an order to its post: it posts each reply as soon as it
is granted, settles each as soon as it is answered, and looks at once for the next of that conversation. When nothing is
left it stays a moment, for who has just answered often answers again. What it must keep, whatever happens:

- nothing is posted that is not claimed in the ledger and granted by the limits, under a lease that still holds,
  while the person's window is open;
- what was granted and not posted is given back; what was posted is settled, as unsure if nothing better is known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime

from dispatcher.domain.errors import LeaseLost, LedgerUnavailable, LimitsUnavailable, NotSettled
from dispatcher.domain.grant import Ask, Granted
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import REPLIES, MessageId, SenderId, Token
from dispatcher.domain.message import MessageState, Outcome, given_back, refused, unsure
from dispatcher.domain.pacing import claim_size, limits_of
from dispatcher.domain.queued_reply import WINDOW_CLOSED, ClaimedReply, DeadReplyTurn
from dispatcher.engine.answers import Consequence, consequence_of
from dispatcher.engine.following import Origin, follow, refused_before
from dispatcher.engine.reply_opening import open_reply_turn
from dispatcher.engine.reply_settling import ReplySettler
from dispatcher.engine.reply_tools import ReplyTools, reap_reply_turn
from dispatcher.engine.settling import pause
from dispatcher.engine.tools import OUTAGE_PAUSE

LOOK_EVERY_S = 0.4
"""How often a running turn prolongs its lease."""
SHORTEST_NAP_S = 0.002


class ReplyTurn:
    """One turn of a sender's replies."""

    def __init__(self, tools: ReplyTools, sender_id: SenderId) -> None:
        self.tools = tools
        self.sender_id = sender_id
        self._bell = asyncio.Event()
        self._is_over = False
        """Nothing is claimed any more."""
        self._is_lost = False
        self._hold: Hold | None = None
        self._has_more = True
        """Whether the claiming ended before nothing was left."""
        self._posts: set[asyncio.Task[None]] = set()
        self._in_hand = 0
        """Granted, and not settled yet."""
        self._waiting: dict[MessageId, ClaimedReply] = {}
        """Claimed and not granted yet."""
        self._closes_s: dict[MessageId, float] = {}
        """When the windows of those in hand close, by the monotonic clock."""
        self._granted: dict[MessageId, Granted] = {}
        """Granted and not on the wire yet: whatever ends the turn, these go back."""
        self._done = asyncio.Event()
        clock, settings = tools.shared.clock, tools.shared.settings
        self._slice_ends = clock.monotonic() + tools.slice.total_seconds()
        self._lease_ends = clock.monotonic() + settings.lease.total_seconds()

    def ring(self) -> bool:
        """There is something new. False when this turn will not look any more."""
        self._bell.set()
        return not self._is_over

    async def run(self) -> None:
        """The whole turn. Whatever ends it, what is on the wire is settled before the turn is closed."""
        opened = None
        try:
            opened = await open_reply_turn(self.tools, self.sender_id)
        finally:
            self._is_over = opened is None
        if opened is None:
            return
        self.opened, self.turn_pass = opened
        self._settler = ReplySettler(self.tools, *opened)
        helper = asyncio.create_task(self._keep_lease())
        try:
            await self._serve()
        except LimitsUnavailable as error:
            # why EpochLost, too: the next turn rebuilds what was lost.
            again_at = self.tools.shared.clock.now() + OUTAGE_PAUSE
            self._end(Hold(HoldReason.LIMITS_UNAVAILABLE, again_at, str(error)))
        except LedgerUnavailable:
            self._end(None)
        except LeaseLost:
            self._lose()
        except asyncio.CancelledError:
            self._abandon()
            await asyncio.shield(self._finish(helper))
            raise
        except BaseException:
            # A fault of ours: nobody may prolong the lease any more, so that the turn is reaped.
            self._end(None)
            self._done.set()
            raise
        finishing = asyncio.create_task(self._finish(helper))
        try:
            await asyncio.shield(finishing)
        except asyncio.CancelledError:
            self._abandon()
            await finishing
            raise

    # claim

    async def _serve(self) -> None:
        most = claim_size(limits_of(self.opened.sender, self.tools.shared.policy).rate, self.tools.in_flight)
        while self._may_claim():
            self._bell.clear()
            free = min(most, self.tools.in_flight - self._in_hand)
            asked_at_s = self.tools.shared.clock.monotonic()
            claimed = await self.tools.turns.claim(self.opened, free) if free else None
            if claimed is not None and (claimed.replies or claimed.refused):
                for reply in claimed.replies:
                    self._waiting[reply.id] = reply
                    self._closes_s[reply.id] = asked_at_s + reply.open_for.total_seconds()
                await self._grant(claimed.replies)
            elif not await self._is_called():
                self._has_more = False
                return

    def _may_claim(self) -> bool:
        shared = self.tools.shared
        self._is_over = (
            self._is_over or shared.stopping.is_set() or shared.clock.monotonic() >= self._slice_ends
        )
        return not self._is_over

    async def _is_called(self) -> bool:
        """Wait for something new: another wake-up, or an answer. False: nothing came, and nothing is on the wire."""
        while not self._bell.is_set() and self._may_claim():
            is_quiet = not self._in_hand
            await pause(self._bell, self.tools.linger.total_seconds())
            if is_quiet and not self._bell.is_set():
                # why here, before anybody else may run: whoever rings from now on is told that it is too late.
                self._is_over = True
        return self._bell.is_set()

    # grant

    async def _grant(self, replies: Sequence[ClaimedReply]) -> None:
        """Ask for all; wait here where the wait is short, else end the turn. Whoever is granted is posted at once."""
        left = list(replies)
        while left and not self._is_over:
            if self.tools.shared.clock.monotonic() >= self._lease_ends:
                raise LeaseLost("the lease ran out while the ledger could not be reached")
            by_id = {reply.id: reply for reply in left}
            asks = [Ask(reply.id, reply.key, costs_reach=False) for reply in left]
            grant = await self.tools.shared.limits.grant(self.turn_pass, asks, is_reply=True)
            for granted in grant.go:
                self._granted[granted.message_id] = granted
                del self._waiting[granted.message_id]
                self._post_soon(by_id.pop(granted.message_id), grant.granted_at)
            for wait in grant.waits:
                del by_id[wait.message_id], self._waiting[wait.message_id], self._closes_s[wait.message_id]
                await self._settler.settle(
                    given_back(wait.message_id, reason=wait.reason, not_before=wait.until)
                )
                await self.tools.jobs.wake(self.sender_id, wait.until)
            left = list(by_id.values())
            if left:
                assert grant.hold is not None
                await self._wait_or_end(grant.hold)

    async def _wait_or_end(self, hold: Hold) -> None:
        now = self.tools.shared.clock.now()
        if hold.until is None or hold.until - now > self.tools.shared.settings.longest_nap:
            self._end(hold)
        else:
            await asyncio.sleep(max(SHORTEST_NAP_S, (hold.until - now).total_seconds()))

    # post

    def _post_soon(self, reply: ClaimedReply, granted_at: datetime | None) -> None:
        self._in_hand += 1
        task = asyncio.create_task(self._run_post(reply, granted_at))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _run_post(self, reply: ClaimedReply, granted_at: datetime | None) -> None:
        """Post, settle, and go on with what that makes free."""
        outcome = await self._post(reply, granted_at)
        await self._settler.settle(outcome)
        self._in_hand -= 1
        if outcome.state is MessageState.PENDING:
            await self.tools.jobs.wake(self.sender_id, outcome.not_before)
        elif not self.ring():  # the next reply of the conversation may be free now
            await self.tools.jobs.wake(self.sender_id)

    async def _post(self, reply: ClaimedReply, granted_at: datetime | None) -> Outcome:
        shared = self.tools.shared
        if shared.clock.monotonic() >= self._closes_s.pop(reply.id):
            await self._settler.give_back([self._granted.pop(reply.id)])
            return refused(reply.id, WINDOW_CLOSED, code=None, detail="while it waited", posted=False)
        token = Token(self.opened.instance, REPLIES, reply.id, reply.attempt)
        body = self.tools.payloads.render(reply, str(token))
        del self._granted[reply.id]
        try:
            posted = await self.tools.channel.post(self.opened.sender, body)
        except asyncio.CancelledError:
            self._settler.add(unsure(reply.id, "worker_stopped"))
            raise
        consequence = consequence_of(
            reply,
            posted,
            shared.clock.now(),
            refused_before=await refused_before(shared, REPLIES, reply, posted),
        )
        shared.telemetry.posted(posted.kind, posted.verdict)
        self._settler.add(consequence.outcome)  # whatever happens from here on, it is not forgotten
        if consequence.goes_beyond:
            await self._follow(reply, consequence, granted_at)
        return consequence.outcome

    async def _follow(
        self, reply: ClaimedReply, consequence: Consequence, granted_at: datetime | None
    ) -> None:
        """What an answer means beyond its reply."""
        origin = Origin(self.opened.sender, template="", language="", person=reply.who, key=reply.key)
        try:
            hold = await follow(self.tools.shared, origin, consequence, granted_at)
        except LedgerUnavailable:
            self._end(None)  # the next post that gets this answer will try again
            return
        if hold is not None:
            self._end(hold)

    # the lease and the end

    async def _keep_lease(self) -> None:
        """Prolong the lease. Let a worker that is asked to stop wait for nobody, and a turn not outlive what it knows."""
        shared = self.tools.shared
        while not self._done.is_set():
            await pause(self._done, LOOK_EVERY_S)
            if shared.stopping.is_set():
                self._bell.set()
            asked_at = shared.clock.monotonic()
            try:
                is_same = await self.tools.turns.heartbeat(self.opened, shared.settings.lease)
            except LedgerUnavailable:
                if asked_at >= self._lease_ends:
                    self._lose()
                continue
            except LeaseLost:
                self._lose()
                return
            self._lease_ends = asked_at + shared.settings.lease.total_seconds()
            if not is_same:
                self._end(None)  # the next turn, which follows at once, knows the sender as it is now

    def _end(self, hold: Hold | None) -> None:
        """Claim and grant nothing more; the first reason stays."""
        if not self._is_over:
            self._hold = hold
        self._is_over = True
        self._bell.set()

    def _lose(self) -> None:
        self._is_lost = True
        self._end(None)

    def _abandon(self) -> None:
        """The process ends now: what is on the wire stays unknown, all the rest is still put in order."""
        self._end(None)
        for post in self._posts:
            post.cancel()

    async def _finish(self, helper: asyncio.Task[None]) -> None:
        self._is_over = True
        if self._posts:
            await asyncio.wait(self._posts)
        await self._settler.give_back([*self._granted.values()])
        hold = self._hold or Hold(HoldReason.QUEUED)
        for reply_id in (*self._waiting, *self._granted):
            self._settler.add(given_back(reply_id, reason=hold.reason, not_before=hold.until))
        try:
            await self._settler.finish()
            self._done.set()
            await helper
            await self._close()
        finally:
            self._done.set()
        if self._hold is None and self._has_more:
            await self.tools.jobs.wake(self.sender_id)
        elif self._hold is not None and self._hold.until is not None:
            await self.tools.jobs.wake(self.sender_id, self._hold.until)

    async def _close(self) -> None:
        tools, opened = self.tools, self.opened
        if self._is_lost:
            tools.shared.telemetry.reply_turn_lost(opened)
            return
        try:
            await tools.turns.close_turn(opened)
        except NotSettled:
            # A claim was made whose answer never reached us, so nobody here knows which replies these are.
            await reap_reply_turn(tools, DeadReplyTurn(opened.turn_id, opened.sender))
            return
        # why suppressed: the handed set of a closed turn is never read, and has a lifetime.
        with contextlib.suppress(LimitsUnavailable):
            await tools.shared.limits.close_turn(self.turn_pass)
