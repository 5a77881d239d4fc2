"""One turn at work: claim → grant → post → settle, until its time is over or something binds.

The story is in `Turn.run`; the five verbs are its methods. While a batch is granted and posted, the next one is
already being claimed and the last one settled. What the turn must keep, whatever happens:

- nothing is posted that is not claimed in the ledger and granted by the limits, under a lease that still holds;
- what was granted and not posted is given back; what was posted is settled, as unsure if nothing better is known;
- it ends with a hold that has a reason, or because there was nothing left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import EpochLost, LeaseLost, LedgerUnavailable, LimitsUnavailable, NotSettled
from dispatcher.domain.gate import DropReason, undeliverable_by
from dispatcher.domain.grant import Ask, Granted, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import MessageId, token_start
from dispatcher.domain.message import ClaimedMessage, MessageState, accepted, given_back, refused, unsure
from dispatcher.domain.pacing import claim_size, limits_of
from dispatcher.domain.turn import DeadTurn, Next, OpenedTurn
from dispatcher.engine.answers import CERTAINLY_UNTAKEN, Consequence, consequence_of
from dispatcher.engine.following import Origin, follow, refused_before
from dispatcher.engine.posting import Posts
from dispatcher.engine.reaping import reap_turn
from dispatcher.engine.settling import pause
from dispatcher.engine.tools import OUTAGE_PAUSE, LaneTools

SHORTEST_NAP_S = 0.002
SPENT = frozenset({HoldReason.TIER_EXHAUSTED, HoldReason.RATE, HoldReason.FAIR_SHARE})
"""Nothing is wrong, the tokens are used up: whoever has got one still goes."""


# Plain tuples, for there is one of each per message, and a named one takes ten times as long to make.
_Ready: TypeAlias = tuple[ClaimedMessage, bytes]
"""A claimed message with its body; nothing but a grant is missing."""
_ToPost: TypeAlias = tuple[ClaimedMessage, bytes, Granted, datetime | None]
"""A granted message, and when it was granted. Until it is on the wire, it goes back with its tokens, whatever ends the turn."""


class Turn:
    """One turn at work."""

    def __init__(self, tools: LaneTools, opened: OpenedTurn, turn_pass: TurnPass) -> None:
        self.tools = tools
        self.opened = opened
        self.turn_pass = turn_pass
        assert opened.template is not None
        self.payload = tools.payloads.compile(opened.template, opened.campaign.mapping)
        self._undeliverable = undeliverable_by(
            opened.template, sends_us_marketing=tools.policy.sends_us_marketing
        )
        self._token_start = token_start(opened.instance, opened.campaign.id)
        self.claim_size = claim_size(limits_of(opened.sender, tools.policy).rate, tools.settings.claim_most)
        self.hold: Hold | None = None
        self.drop: DropReason | None = None
        self.is_lost = False
        self._over = asyncio.Event()
        self._is_halted = False
        self._posts = Posts(tools.posting, self._post)
        self._settler = tools.settling.open(opened, turn_pass, lambda: self._end(None))
        self._ungranted: set[MessageId] = set()
        """Claimed and neither granted nor given up: whatever ends the turn, these go back."""
        self._slice_ends = tools.clock.monotonic() + tools.settings.slice.total_seconds()
        self._lease_ends = tools.clock.monotonic() + tools.settings.lease.total_seconds()

    async def run(self) -> Next | None:
        """The whole turn. Whatever ends it, what is on the wire is settled before the lease is given back."""
        self.tools.leases.keep(self)
        try:
            await self._send()
        except EpochLost:
            self._end(Hold(HoldReason.LIMITS_UNAVAILABLE, self.tools.clock.now(), "the limits are rebuilt"))
        except LimitsUnavailable as error:
            self._end(Hold(HoldReason.LIMITS_UNAVAILABLE, self.tools.clock.now() + OUTAGE_PAUSE, str(error)))
        except LedgerUnavailable:
            self._end(None)
        except LeaseLost:
            self.lease_is_lost()
        except asyncio.CancelledError:
            self._abandon()
            await asyncio.shield(self._finish())
            raise
        except BaseException:
            # A fault of ours: nobody may prolong the lease any more, so that the turn is reaped.
            self._over.set()
            self.tools.leases.leave(self)
            self._settler.abandon()
            raise
        finishing = asyncio.create_task(self._finish())
        try:
            return await asyncio.shield(finishing)
        except asyncio.CancelledError:
            self._abandon()
            await finishing
            raise

    def _abandon(self) -> None:
        """The process ends now: what is on the wire stays unknown, all the rest is still put in order."""
        self._end(None)
        self._posts.cancel()

    async def _finish(self) -> Next | None:
        self._over.set()
        try:
            if self._is_halted:
                # why: the slots may be taken by other turns for long; without theirs these are given back at once.
                for item in self._posts.withdraw():
                    self._take_back(item)
            await self._posts.all_finished()
            for message_id in self._ungranted:
                self._settler.add(given_back(message_id))
            # why no except: without its outcomes a turn must not be closed. Its lease runs out instead,
            # and what it had handed over becomes unsure.
            await self._settler.finish()
        finally:
            self.tools.leases.leave(self)
        return await self._close()

    # claim

    async def _send(self) -> None:
        """Claim batch after batch, the next one while the last is being granted."""
        batch = await self._claim()
        while batch:
            following = asyncio.create_task(self._claim()) if self._may_claim() else None
            try:
                await self._grant(self._render(batch))
            finally:
                batch = await following if following is not None else ()
            if self._over.is_set():
                return

    def _may_claim(self) -> bool:
        now = self.tools.clock.monotonic()
        return not self._over.is_set() and not self.tools.stopping.is_set() and now < self._slice_ends

    async def _claim(self) -> Sequence[ClaimedMessage]:
        batch = await self.tools.turns.claim(self.opened, self.claim_size)
        self._ungranted.update([message.id for message in batch])
        return batch

    def _render(self, batch: Sequence[ClaimedMessage]) -> list[_Ready]:
        """Bodies come before grants: a value that Meta would refuse costs neither a token nor a request."""
        ready = []
        for message in batch:
            if (why := self._undeliverable(message.person)) is not None:
                self._refuse(message, "us_marketing", why)
                continue
            token = f"{self._token_start}{message.id}.{message.attempt}"
            body = self.payload.render(message.person, message.values, token)
            if isinstance(body, bytes):
                ready.append((message, body))
            else:
                self._refuse(message, "bad_parameter", str(body))
        return ready

    def _refuse(self, message: ClaimedMessage, reason: str, detail: str) -> None:
        self._ungranted.discard(message.id)
        self._settler.add(refused(message.id, reason, code=None, detail=detail, posted=False))

    # grant

    async def _grant(self, ready: list[_Ready]) -> None:
        """Ask for one sub-batch after the other; wait here where the wait is short, else end the turn."""
        size = self.tools.settings.grant_most
        left = ready
        while left and not self._over.is_set():
            left = [*await self._grant_some(left[:size]), *left[size:]]

    async def _grant_some(self, asked: Sequence[_Ready]) -> Sequence[_Ready]:
        """One question to the limits. Returns those who are still to be asked for."""
        if self.tools.clock.monotonic() >= self._lease_ends:
            raise LeaseLost("the lease ran out while the ledger could not be reached")
        by_id = {each[0].id: each for each in asked}
        grant = await self.tools.limits.grant(
            self.turn_pass, [Ask(message.id, message.key, not message.in_window) for message, _ in asked]
        )
        at = grant.granted_at
        self._posts.submit([(*by_id.pop(granted.message_id), granted, at) for granted in grant.go])
        self._ungranted.difference_update([granted.message_id for granted in grant.go])
        # why: hardly more is granted than can be posted, so that a crash leaves little in doubt.
        await self._posts.room()
        for wait in grant.waits:
            del by_id[wait.message_id]
            self._ungranted.discard(wait.message_id)
            self._settler.add(given_back(wait.message_id, reason=wait.reason, not_before=wait.until))
        left = list(by_id.values())
        if left:
            assert grant.hold is not None
            await self._wait_or_end(grant.hold)
        return left

    async def _wait_or_end(self, hold: Hold) -> None:
        now = self.tools.clock.now()
        if hold.until is None or hold.until - now > self.tools.settings.longest_nap:
            self._end(hold, halt=hold.reason not in SPENT)
        elif self.tools.stopping.is_set():
            self._end(None, halt=False)
        else:
            await pause(self._over, max(SHORTEST_NAP_S, (hold.until - now).total_seconds()))

    # post

    async def _post(self, item: _ToPost) -> bool:
        if self._is_halted:
            self._take_back(item)
            return False
        message, body, granted, granted_at = item
        try:
            posted = await self.tools.channel.post(self.opened.sender, body)
        except asyncio.CancelledError:
            self._settler.add(unsure(message.id, "worker_stopped"))
            raise
        if posted.wamid is not None:
            # Meta took it. why a way of its own: nearly all posts take it, and nothing else follows from it.
            if posted.status is None:
                self._settler.accept(message.id, posted.wamid)
            else:
                self._settler.add(accepted(message.id, posted.wamid, status=posted.status))
            return True
        consequence = consequence_of(
            message,
            posted,
            self.tools.clock.now(),
            refused_before=await refused_before(self.tools, self.opened.campaign.id, message, posted),
        )
        if posted.kind in CERTAINLY_UNTAKEN and granted.reach is not None:
            self._settler.return_reach(granted.reach)
        self._settler.add(consequence.outcome)
        self.tools.telemetry.posted(posted.kind, posted.verdict)
        if consequence.goes_beyond:
            await self._follow(message, consequence, granted_at)
        return False

    def _take_back(self, item: _ToPost) -> None:
        """Granted, and certainly not posted."""
        message, _, granted, _ = item
        self._settler.add(given_back(message.id))
        self._settler.return_grant(granted)

    async def _follow(
        self, message: ClaimedMessage, consequence: Consequence, granted_at: datetime | None
    ) -> None:
        """What an answer means beyond its message."""
        campaign = self.opened.campaign
        origin = Origin(self.opened.sender, campaign.template, campaign.language, message.person, message.key)
        try:
            hold = await follow(self.tools, origin, consequence, granted_at)
        except LedgerUnavailable:
            # The next post that gets this answer will try again.
            self._end(None)
            return
        if hold is not None:
            self._end(hold)

    # the lease and the end

    def lease_is_kept(self, state: CampaignState, asked_at_s: float) -> None:
        """See `leases.py`."""
        self._lease_ends = asked_at_s + self.tools.settings.lease.total_seconds()
        match state:
            case CampaignState.PAUSED:
                self._end(Hold(HoldReason.PAUSED))
            case CampaignState.CANCELLED:
                self.drop = DropReason.CANCELLED
                self._end(None)
            case _:
                pass

    def lease_is_unknown(self, asked_at_s: float) -> None:
        """See `leases.py`; by our own clock it may have run out."""
        if asked_at_s >= self._lease_ends:
            self.lease_is_lost()

    def lease_is_lost(self) -> None:
        """See `leases.py`."""
        self.is_lost = True
        self._end(None)

    def _end(self, hold: Hold | None, *, halt: bool = True) -> None:
        """Grant nothing more; the first reason stays. `halt`: post nothing more either, not even what is granted."""
        self._is_halted = self._is_halted or halt
        if not self._over.is_set():
            self.hold = hold
            self._over.set()

    def _as_dead(self) -> DeadTurn:
        return DeadTurn(
            self.opened.lane_id, self.opened.turn_id, self.opened.campaign.id, self.opened.sender.pool
        )

    async def _close(self) -> Next | None:
        if self.is_lost:
            self.tools.telemetry.turn_lost(self.opened)
            return None
        if self._settler.has_returned_reach and self.hold and self.hold.reason is HoldReason.TIER_EXHAUSTED:
            # The tier is not exhausted after all.
            self.hold = None
        try:
            if self.drop is not None:
                closed = await drop(self.tools, self.opened, self.drop)
            else:
                closed = await self.tools.turns.close_turn(self.opened, self.hold)
        except NotSettled:
            # A claim was made whose answer never reached us, so nobody here knows which messages these are.
            return await reap_turn(self.tools.turns, self.tools.limits, self.tools.telemetry, self._as_dead())
        # why suppressed: the handed set of a closed turn is never read, and has a lifetime.
        with contextlib.suppress(LimitsUnavailable):
            await self.tools.limits.close_turn(self.turn_pass)
        return closed


async def drop(tools: LaneTools, opened: OpenedTurn, reason: DropReason) -> Next:
    """The campaign is over: give the lease back and bring what is unsent to its end."""
    closed = await tools.turns.close_turn(opened, None)
    state = MessageState.CANCELLED if reason is DropReason.CANCELLED else MessageState.EXPIRED
    await tools.campaigns.drop_pending(opened.campaign.id, state, str(reason))
    return Next(closed.lane, None)
