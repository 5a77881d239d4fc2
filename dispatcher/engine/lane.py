"""One turn of a lane: claim → grant → post → settle, until its time is over or something binds.

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
from dataclasses import dataclass
from datetime import timedelta

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import EpochLost, LeaseLost, LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.gate import Drop, DropReason, Go, HeldScope, decide
from dispatcher.domain.grant import Ask, Granted, ReachToken, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, Token
from dispatcher.domain.message import ClaimedMessage, MessageState, Outcome, given_back, refused, unsure
from dispatcher.domain.pacing import Policy, claim_size, limits_of
from dispatcher.engine.answers import CERTAINLY_UNTAKEN, Consequence, consequence_of
from dispatcher.engine.rebuild import open_pass
from dispatcher.ports import (
    CampaignBook,
    Channel,
    Clock,
    Limits,
    Next,
    OpenedTurn,
    Payloads,
    Telemetry,
    Turns,
)


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """How a turn behaves; see `settings.py` for what each is good for."""

    slice: timedelta = timedelta(seconds=5)
    lease: timedelta = timedelta(seconds=15)
    claim_most: int = 500
    grant_most: int = 100
    settle_most: int = 250
    longest_nap: timedelta = timedelta(seconds=1)


LOOK_EVERY_S = 0.4
"""How often a running turn prolongs its lease and learns of a pause; a pause must bite within a second."""
SETTLE_EVERY_S = 0.1
"""How long an outcome may wait to be written while fewer than `settle_most` are there."""
SHORTEST_NAP_S = 0.002
OUTAGE_PAUSE = timedelta(seconds=1)
"""How long a lane waits before it asks a part again that did not answer."""
LAST_SETTLE_S = 30.0
"""How long a turn tries to write its last outcomes to a ledger that is away; then its lease has run out."""


@dataclass(frozen=True, slots=True)
class LaneTools:
    """What every turn of a process shares."""

    turns: Turns
    campaigns: CampaignBook
    limits: Limits
    channel: Channel
    payloads: Payloads
    clock: Clock
    telemetry: Telemetry
    policy: Policy
    settings: LaneSettings
    in_flight: asyncio.Semaphore
    """Posts that the whole process may have on the wire at once."""
    stopping: asyncio.Event
    """Set when the process is asked to stop: finish what is in flight, claim no more."""
    owner: str
    """Names this process in the ledger's leases."""


async def run_turn(tools: LaneTools, lane_id: LaneId) -> Next | None:
    """Run one turn. None when the lane has another turn already, or was taken from this one."""
    opened = await tools.turns.open_turn(lane_id, tools.owner, tools.settings.lease)
    if opened is None:
        return None
    decision = decide(
        opened.campaign,
        opened.sender,
        opened.template,
        opened.holds,
        tools.clock.now(),
        stricter=tools.policy.stricter,
    )
    match decision:
        case Hold():
            return await tools.turns.close_turn(opened, decision)
        case Drop(reason):
            return await _drop(tools, opened, reason)
        case Go():
            pass
    try:
        turn_pass = await open_pass(opened, tools.turns, tools.limits, tools.clock, tools.policy)
    except LimitsUnavailable as error:
        hold = Hold(HoldReason.LIMITS_UNAVAILABLE, tools.clock.now() + OUTAGE_PAUSE, str(error))
        return await tools.turns.close_turn(opened, hold)
    return await Turn(tools, opened, turn_pass).run()


async def _drop(tools: LaneTools, opened: OpenedTurn, reason: DropReason) -> Next:
    """The campaign is over: give the lease back and bring what is unsent to its end."""
    closed = await tools.turns.close_turn(opened, None)
    state = MessageState.CANCELLED if reason is DropReason.CANCELLED else MessageState.EXPIRED
    await tools.campaigns.drop_pending(opened.campaign.id, state, str(reason))
    return Next(closed.lane, None)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A claimed message with its body; nothing but a grant is missing."""

    message: ClaimedMessage
    body: bytes


class Turn:
    """One turn at work."""

    def __init__(self, tools: LaneTools, opened: OpenedTurn, turn_pass: TurnPass) -> None:
        self.tools = tools
        self.opened = opened
        self.turn_pass = turn_pass
        assert opened.template is not None
        self.payload = tools.payloads.compile(opened.template, opened.campaign.mapping)
        self.claim_size = claim_size(limits_of(opened.sender, tools.policy).rate, tools.settings.claim_most)
        self.hold: Hold | None = None
        self.drop: DropReason | None = None
        self.is_lost = False
        self._over = asyncio.Event()
        self._posts: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._unposted: list[Granted] = []
        self._reach: list[ReachToken] = []
        self._settling = asyncio.Lock()
        self._slice_ends = tools.clock.monotonic() + tools.settings.slice.total_seconds()
        self._lease_ends = tools.clock.monotonic() + tools.settings.lease.total_seconds()

    async def run(self) -> Next | None:
        """The whole turn. Whatever ends it, what is on the wire is settled before the lease is given back."""
        helpers = [asyncio.create_task(self._keep_lease()), asyncio.create_task(self._settle_steadily())]
        try:
            await self._send()
        except EpochLost:
            self._end(Hold(HoldReason.LIMITS_UNAVAILABLE, self.tools.clock.now(), "the limits are rebuilt"))
        except LimitsUnavailable as error:
            self._end(Hold(HoldReason.LIMITS_UNAVAILABLE, self.tools.clock.now() + OUTAGE_PAUSE, str(error)))
        except LedgerUnavailable:
            self._end(None)
        except LeaseLost:
            self._lose()
        except asyncio.CancelledError:
            # The process ends now: what is on the wire stays unknown, all the rest is put in order.
            for post in self._posts:
                post.cancel()
            self._end(None)
            await asyncio.shield(self._finish(helpers))
            raise
        return await self._finish(helpers)

    async def _finish(self, helpers: Sequence[asyncio.Task[None]]) -> Next | None:
        self._over.set()
        if self._posts:
            await asyncio.wait(self._posts)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        # why no except: outcomes that cannot be written must not be followed by a close, which would give
        # posted messages back. The lease runs out instead, and the handed set makes them unsure.
        await self._settle_at_last()
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
                self._give_back(batch)
                return
            if not batch and self._may_claim():
                batch = await self._claim()

    def _may_claim(self) -> bool:
        now = self.tools.clock.monotonic()
        return not self._over.is_set() and not self.tools.stopping.is_set() and now < self._slice_ends

    async def _claim(self) -> Sequence[ClaimedMessage]:
        return await self.tools.turns.claim(self.opened, self.claim_size)

    def _render(self, batch: Sequence[ClaimedMessage]) -> list[_Ready]:
        """Bodies come before grants: a value that Meta would refuse costs neither a token nor a request."""
        ready = []
        for message in batch:
            token = Token(self.opened.instance, self.opened.campaign.id, message.id, message.attempt)
            body = self.payload.render(message.person, message.values, str(token))
            if isinstance(body, bytes):
                ready.append(_Ready(message, body))
            else:
                self._outcomes.append(
                    refused(message.id, "bad_parameter", code=None, detail=str(body), posted=False)
                )
        return ready

    # grant

    async def _grant(self, ready: list[_Ready]) -> None:
        """Ask for one sub-batch after the other; wait here where the wait is short, else end the turn."""
        size = self.tools.settings.grant_most
        left = ready
        while left and not self._over.is_set():
            left = [*await self._grant_some(left[:size]), *left[size:]]
        self._give_back([each.message for each in left])

    async def _grant_some(self, asked: Sequence[_Ready]) -> Sequence[_Ready]:
        """One question to the limits. Returns those who are still to be asked for."""
        if self.tools.clock.monotonic() >= self._lease_ends:
            raise LeaseLost("the lease ran out while the ledger could not be reached")
        by_id = {each.message.id: each for each in asked}
        grant = await self.tools.limits.grant(
            self.turn_pass, [Ask(each.message.id, each.message.key) for each in asked]
        )
        for granted in grant.go:
            await self._post_soon(by_id.pop(granted.message_id), granted)
        for wait in grant.waits:
            del by_id[wait.message_id]
            self._outcomes.append(given_back(wait.message_id, reason=wait.reason, not_before=wait.until))
        left = list(by_id.values())
        if left:
            assert grant.hold is not None
            await self._wait_or_end(grant.hold)
        return left

    async def _wait_or_end(self, hold: Hold) -> None:
        now = self.tools.clock.now()
        if hold.until is None or hold.until - now > self.tools.settings.longest_nap:
            self._end(hold)
        elif self.tools.stopping.is_set():
            self._end(None)
        else:
            await self._nap(max(SHORTEST_NAP_S, (hold.until - now).total_seconds()))

    async def _nap(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass

    # post

    async def _post_soon(self, ready: _Ready, granted: Granted) -> None:
        await self.tools.in_flight.acquire()
        post = asyncio.create_task(self._post(ready, granted))
        self._posts.add(post)
        post.add_done_callback(self._posted)

    def _posted(self, post: asyncio.Task[None]) -> None:
        self.tools.in_flight.release()
        self._posts.discard(post)

    async def _post(self, ready: _Ready, granted: Granted) -> None:
        message = ready.message
        if self._over.is_set():
            self._unposted.append(granted)
            self._outcomes.append(given_back(message.id))
            return
        try:
            posted = await self.tools.channel.post(self.opened.sender, ready.body)
        except asyncio.CancelledError:
            self._outcomes.append(unsure(message.id, "worker_stopped"))
            raise
        consequence = consequence_of(message, posted, self.tools.clock.now())
        if posted.kind in CERTAINLY_UNTAKEN and granted.reach is not None:
            self._reach.append(granted.reach)
        self._outcomes.append(consequence.outcome)
        self.tools.telemetry.posted(posted.kind, posted.verdict)
        if consequence.hold is not None or consequence.opted_out:
            await self._follow(message, consequence)

    async def _follow(self, message: ClaimedMessage, consequence: Consequence) -> None:
        """What an answer means beyond its message."""
        turns, sender = self.tools.turns, self.opened.sender
        if consequence.opted_out:
            await turns.suppress(message.person, message.key, "opted_out", "131050")
        if consequence.hold is None:
            return
        if consequence.held_scope is not None:
            code = consequence.outcome.code
            await turns.put_hold(
                consequence.held_scope, self._key_of(consequence.held_scope), consequence.hold, code
            )
            self.tools.telemetry.held(sender, consequence.held_scope, consequence.hold)
        hold = consequence.hold
        if hold.reason is HoldReason.CHANNEL_UNAVAILABLE:
            hold = Hold(hold.reason, self.tools.clock.now() + OUTAGE_PAUSE, hold.detail)
        self._end(hold)

    def _key_of(self, scope: HeldScope) -> str:
        sender, campaign = self.opened.sender, self.opened.campaign
        match scope:
            case HeldScope.SENDER:
                return str(sender.id)
            case HeldScope.ACCOUNT:
                return sender.waba_id
            case HeldScope.PORTFOLIO:
                return sender.portfolio_id or str(sender.id)
            case HeldScope.TEMPLATE:
                return f"{sender.waba_id}/{campaign.template}/{campaign.language}"

    # settle

    async def _settle_steadily(self) -> None:
        """Write outcomes as they come, so that what a crash leaves in doubt stays small."""
        while True:
            await asyncio.sleep(
                0.01 if len(self._outcomes) >= self.tools.settings.settle_most else SETTLE_EVERY_S
            )
            try:
                await self._settle()
            except LedgerUnavailable:
                self._end(None)
                return

    async def _settle(self) -> None:
        async with self._settling:
            outcomes, self._outcomes = self._outcomes, []
            if not outcomes:
                return
            try:
                await self.tools.turns.settle(self.opened, outcomes)
            except LedgerUnavailable:
                self._outcomes = outcomes + self._outcomes
                raise
            self.tools.telemetry.settled(outcomes)

    async def _settle_at_last(self) -> None:
        """The rest of the outcomes, and the tokens that were not used."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LedgerUnavailable),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(LAST_SETTLE_S),
            reraise=True,
        ):
            with attempt:
                await self._settle()
        if self._unposted or self._reach:
            try:
                await self.tools.limits.give_back(self.turn_pass, self._unposted, self._reach)
            except LimitsUnavailable:
                # why nothing more is done: the tokens come back by themselves, within a day at the latest.
                self.tools.telemetry.tokens_left(len(self._unposted) + len(self._reach))

    # the lease and the end

    async def _keep_lease(self) -> None:
        """Prolong the lease and look whether the campaign is still wanted."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            asked_at = self.tools.clock.monotonic()
            try:
                state = await self.tools.turns.heartbeat(
                    self.opened.lane_id, self.opened.turn_id, self.tools.settings.lease
                )
            except LedgerUnavailable:
                if asked_at >= self._lease_ends:
                    return self._lose()
                continue
            except LeaseLost:
                return self._lose()
            self._lease_ends = asked_at + self.tools.settings.lease.total_seconds()
            match state:
                case CampaignState.PAUSED:
                    self._end(Hold(HoldReason.PAUSED))
                case CampaignState.CANCELLED:
                    self.drop = DropReason.CANCELLED
                    self._end(None)
                case _:
                    pass

    def _end(self, hold: Hold | None) -> None:
        """Stop granting and posting; the first reason stays."""
        if not self._over.is_set():
            self.hold = hold
            self._over.set()

    def _lose(self) -> None:
        self.is_lost = True
        self._over.set()

    def _give_back(self, messages: Sequence[ClaimedMessage]) -> None:
        self._outcomes.extend(given_back(message.id) for message in messages)

    async def _close(self) -> Next | None:
        if self.is_lost:
            self.tools.telemetry.turn_lost(self.opened)
            return None
        if self.drop is not None:
            closed = await _drop(self.tools, self.opened, self.drop)
        else:
            closed = await self.tools.turns.close_turn(self.opened, self.hold)
        # why suppressed: the handed set of a closed turn is never read, and has a lifetime.
        with contextlib.suppress(LimitsUnavailable):
            await self.tools.limits.close_turn(self.turn_pass)
        return closed
