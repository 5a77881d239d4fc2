"""What turns of lanes need: the hot path's side of the ledger, the limits, the way to Meta, wake-ups, time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from dispatcher.domain.archive import KeptBecause, Partition
from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.content import Problem, SlotMapping
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.grant import Ask, Grant, Granted, Reached, ReachToken, SenderLimits, TurnPass, Usage
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import CampaignId, Epoch, LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.message import ClaimedMessage, Outcome
from dispatcher.domain.opting import SuppressionChange
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.queued_reply import DeadReplyTurn, OpenedReplyTurn
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template
from dispatcher.domain.turn import DeadTurn, DueLane, Held, Next, OpenedTurn, Reaped, Taken
from dispatcher.domain.verdict import Verdict


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for time-outs and slices only."""
        ...


class Turns(Protocol):
    """The hot path's side of the ledger. Every change is a compare-and-set on lane and turn."""

    async def get_ready(self) -> None:
        """Have at hand what the first turns of a process would otherwise wait for. Raises LedgerUnavailable."""
        ...

    async def open_turn(
        self, lane_id: LaneId, owner: str, lease: timedelta, remembered: int = 0
    ) -> OpenedTurn | None:
        """Take the lane's lease; None when another turn has it or the lane does not exist.

        remembered: the pulse that the witness remembers, asked before; more than the ledger's puts the fence up.
        """
        ...

    async def heartbeat(
        self, held: Sequence[tuple[LaneId, TurnId]], lease: timedelta
    ) -> Mapping[TurnId, CampaignState]:
        """Prolong leases and learn what the campaigns' owners want. Turns that were reaped are left out."""
        ...

    async def claim(self, turn: OpenedTurn, limit: int) -> Sequence[ClaimedMessage]:
        """Lease the next pending messages to this turn, oldest first; people on the suppression list leave here.

        Raises LeaseLost when the turn was reaped. Empty when nothing is free to be claimed now.
        """
        ...

    async def settle_accepted(self, taken: Sequence[Taken]) -> int:
        """Write, for any number of turns, which messages Meta took, and count them, in one transaction.

        Each turn at most once. Returns how many were still theirs to write.
        """
        ...

    async def settle(self, turn: OpenedTurn, outcomes: Sequence[Outcome]) -> int:
        """Write outcomes and the lane's counters in one transaction. Returns how many were still ours to write."""
        ...

    async def close_turn(self, turn: OpenedTurn, hold: Hold | None) -> Next:
        """Give the lease back. Raises NotSettled while the turn has messages claimed; reap it then.

        `hold`: why the turn ended, None when it ran out of time or of messages. Completes the campaign when nobody
        is left. Returns when the lane should run next; the ledger remembers it too.
        """
        ...

    async def dead_turns(self) -> Sequence[DeadTurn]:
        """Turns whose lease has run out."""
        ...

    async def reap(self, dead: DeadTurn, handed: frozenset[MessageId] | None) -> Reaped | None:
        """Settle a dead turn: claimed messages in `handed` become unsure, the others pending again.

        `handed` None: nobody knows what was handed over, so all of them become unsure. Bumps the lane's generation.
        None when the turn has been closed or reaped meanwhile.
        """
        ...

    async def due_lanes(self) -> Sequence[DueLane]:
        """Lanes whose time has come and that no turn holds."""
        ...

    async def turns_with_claims(self, pool: PoolKey) -> Sequence[TurnId]:
        """Turns of a pool that have messages in their hands."""
        ...

    def reached_of_pool(self, pool: PoolKey, since: datetime) -> AsyncIterator[Sequence[Reached]]:
        """Everybody to whom something was, or may have been, handed over since then; in chunks."""
        ...


class Memory(Protocol):
    """What is remembered beyond one message: holds, and what Meta wants us to know of people."""

    async def put_hold(self, scope: HeldScope, key: str, hold: Hold, code: int | None) -> Held:
        """Hold everything of a sender, template, account or portfolio; one that keeps coming back grows."""
        ...

    async def suppress(
        self, person: str, key: PersonKey, reason: str, source: str, until: datetime | None = None
    ) -> None:
        """Put a person on the suppression list; without `until`, until somebody takes it off."""
        ...

    async def opt_out(self, person: str, key: PersonKey, source: str, at: datetime) -> None:
        """The person wants no more campaigns: on the list until they say otherwise, and out of what is pending."""
        ...

    async def cool_down(self, key: PersonKey, first: timedelta, longest: timedelta) -> datetime:
        """No marketing for this person, in any campaign, for a time that doubles with each call. Returns its end."""
        ...

    async def count_undeliverable(self, key: PersonKey) -> int:
        """Once more this person could not be reached. Returns how often so far."""
        ...

    async def times_refused(self, campaign_id: CampaignId, message_id: MessageId, code: int) -> int:
        """How often earlier attempts of a message were refused with this code."""
        ...


class Limits(Protocol):
    """Shared limits: tier, rate and pair buckets, a sender's state, and what was handed over.

    Every method raises LimitsUnavailable when Redis does not answer in time. Nothing is granted then.
    """

    async def open_turn(
        self, pool: PoolKey, sender_id: SenderId, lane_id: LaneId, turn_id: TurnId, weight: int, priority: int
    ) -> TurnPass:
        """Register a turn and its (empty) handed set. Raises EpochLost when the pool must be rebuilt first."""
        ...

    async def grant(self, turn: TurnPass, asks: Sequence[Ask], *, is_reply: bool = False) -> Grant:
        """Ask once for a sub-batch of at most 500 distinct people; spends what it grants.

        is_reply: may use the reserve that campaigns leave, and waits for no other lane's share.
        Granted ids are in the handed set before this returns; waits end by the caller's clock. Raises EpochLost when
        the memory is not that of the pass, LeaseLost when the turn was reaped. Cost: one round trip, O(len(asks)).
        """
        ...

    async def give_back(
        self, turn: TurnPass, unposted: Sequence[Granted], reach: Sequence[ReachToken]
    ) -> None:
        """Undo grants that certainly reached nobody. Repeating it changes nothing.

        unposted: never written to the wire; they leave the handed set, and their reach tokens return.
        reach: tokens of posted messages that Meta certainly did not take. What was spent of the rate stays spent.
        Does nothing when the memory is no longer that of the pass.
        """
        ...

    async def close_turn(self, turn: TurnPass) -> None:
        """Forget the handed set; call it only after the ledger has closed the turn."""
        ...

    async def reap(self, pool: PoolKey, turn_id: TurnId) -> frozenset[MessageId] | None:
        """Bar a turn from any further grant and return what was handed over; None when that memory is gone."""
        ...

    async def put_sender(self, sender: SenderLimits) -> None:
        """Make a sender's present limits known; counted tokens stay. In force from the next grant on."""
        ...

    async def slow_down(
        self, sender_id: SenderId, pool: PoolKey, at: datetime | None = None, cause: str = "130429"
    ) -> bool:
        """Meta says that the sender sends too fast: halve its rate, once per incident. True when it was halved now.

        at: `Grant.granted_at` of the refused message. The rate is restored step by step without further calls.
        """
        ...

    async def count_inbound(self, pool: PoolKey, sender_id: SenderId, messages: int) -> None:
        """Take inbound messages from the sender's rate, and let the reserve for replies follow them."""
        ...

    async def back_off_pair(
        self, pool: PoolKey, sender_id: SenderId, person: PersonKey, until: datetime
    ) -> None:
        """Meta refused this pair (131056): nothing goes from the sender to the person before `until`."""
        ...

    async def stop_people(self, pool: PoolKey, people: Sequence[PersonKey]) -> None:
        """These people opted out: for some minutes no campaign is granted a message to them, whatever was claimed before."""
        ...

    async def release_people(self, pool: PoolKey, people: Sequence[PersonKey]) -> None:
        """These people opted in again: what `stop_people` said is over."""
        ...

    async def rebuild(
        self,
        pool: PoolKey,
        senders: Sequence[SenderLimits],
        reached: AsyncIterator[Sequence[Reached]],
        *,
        force: bool = False,
    ) -> Epoch:
        """Fill a pool whose memory was lost; grants stay impossible until this has returned. Safe to run twice at once.

        senders: all of the pool. reached: in chunks of some thousands; not read when nothing is missing.
        force: rebuild although nothing seems missing, after a fail-over that may have lost the last writes.
        Raises EpochLost when the memory is lost once more while it runs: call it again, with a new `reached`.
        """
        ...

    async def strangers(self, pool: PoolKey, turns: Sequence[TurnId]) -> frozenset[TurnId]:
        """Which of these turns were not opened in the pool's present memory, so that it does not know their grants."""
        ...

    async def usage(self, sender: SenderLimits) -> Usage:
        """What is taken now; for people, not for decisions. Raises EpochLost when the pool is not built."""
        ...


class Payload(Protocol):
    """A template compiled for one campaign."""

    def render(self, to_e164: str, values: Sequence[str], token: str, /) -> bytes | Problem:
        """The body of one request, or the field that Meta would refuse."""
        ...


class Payloads(Protocol):
    """Bodies of requests."""

    def compile(self, template: Template, mapping: SlotMapping) -> Payload:
        """Once per turn; rendering is what has to be fast."""
        ...


class Channel(Protocol):
    """The way to Meta."""

    async def post(self, sender: Sender, body: bytes) -> Posted:
        """Post one message and classify the answer; never raises for anything Meta or the network does."""
        ...


class Telemetry(Protocol):
    """Events worth a metric or a line in the log; one method each."""

    def accepted(self, messages: int) -> None:
        """Meta took so many posts, with nothing more to say, and the ledger knows it."""
        ...

    def posted(self, kind: PostedKind, verdict: Verdict | None) -> None:
        """One post was answered in any other way, or not at all."""
        ...

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes were written to the ledger."""
        ...

    def held(self, sender: Sender, scope: HeldScope, hold: Hold) -> None:
        """An answer of Meta holds more than its own message."""
        ...

    def tokens_left(self, tokens: int) -> None:
        """Tokens could not be given back; they return by themselves."""
        ...

    def turn_lost(self, turn: OpenedTurn) -> None:
        """A turn found its lease gone."""
        ...

    def reaped(self, dead: DeadTurn, reaped: int, unsure: int) -> None:
        """A dead turn was settled by upkeep."""
        ...

    def reply_settled(self, outcome: Outcome) -> None:
        """What became of a reply was written to the ledger."""
        ...

    def reply_turn_lost(self, turn: OpenedReplyTurn) -> None:
        """A reply turn found its lease gone."""
        ...

    def reply_turn_reaped(self, dead: DeadReplyTurn, reaped: int, unsure: int) -> None:
        """A dead reply turn was settled by upkeep."""
        ...

    def fenced(self, hold: Hold) -> None:
        """A turn found that the ledger is not where it was confirmed to be."""
        ...

    def paused(self, campaign: Campaign, cause: str) -> None:
        """A guard paused a campaign."""
        ...

    def took_in(self, updates: Mapping[str, int]) -> None:
        """Webhook updates were taken in, by kind: report, inbound, account, put_aside."""
        ...

    def wished(self, changes: Mapping[SuppressionChange, int]) -> None:
        """People opted out or in, by word, button or preference."""
        ...

    def intake_failed(self, error: Exception) -> None:
        """A batch of webhooks could not be applied as a whole; it is taken one by one now."""
        ...

    def unsure_decided(self, given_up: int, resent: int) -> None:
        """Policies decided about unsure messages."""
        ...

    def dropped(self, partition: Partition) -> None:
        """The people of old campaigns were dropped."""
        ...

    def kept(self, partition: Partition, because: Sequence[KeptBecause]) -> None:
        """They could have been, by what was known, and are still there."""
        ...


class Witness(Protocol):
    """Remembers outside the ledger how far it has come. Raises LimitsUnavailable when it cannot be asked."""

    async def remembered(self) -> int:
        """The highest pulse it was told; 0 when it knows nothing."""
        ...

    async def remember(self, pulse: int) -> None:
        """Keep a pulse unless a higher one is known."""
        ...


class Jobs(Protocol):
    """Wake-ups. They carry no truth: a lost one is found again by upkeep."""

    async def wake(self, lane: DueLane, at: datetime | None = None) -> None:
        """Have the lane's turn run at the given time, or as soon as possible; never later than already planned."""
        ...

    async def wake_due(self, lanes: Sequence[DueLane]) -> None:
        """Wake lanes that are due, for whatever reason they are not running yet; cheap where they are queued.

        What keeps back a lane that is overdue is a dead worker's, and is taken away.
        """
        ...
