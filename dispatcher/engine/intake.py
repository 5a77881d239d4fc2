"""Intake: what webhooks told, from the inbox into the ledger, a batch per transaction.

The story is in `Intake.drain`: take the oldest bodies, read them, keep what people wrote, book what Meta reports, draw the
consequences of failures, and put aside what cannot be used. All of that, and the bodies' leaving the inbox, is one
transaction: a crash at any moment changes nothing or everything. The limits are told afterwards.
A body that breaks a batch is found by taking the batch one by one, and put aside with the reason; the rest goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dispatcher.domain.errors import DispatcherError, LimitsUnavailable
from dispatcher.domain.ids import CampaignId, PersonKey
from dispatcher.domain.inbox import PutAside
from dispatcher.domain.message import MessageState, Outcome
from dispatcher.domain.pacing import Policy
from dispatcher.domain.phone import Phone, parse_phone
from dispatcher.domain.receipt import AttemptRef, FailedAttempt, Receipt
from dispatcher.domain.turn import Held
from dispatcher.domain.verdict import verdict_for
from dispatcher.domain.webhook import AccountNews, Inbound, News, Report, Unreadable
from dispatcher.engine.answers import Consequence, after_refusal
from dispatcher.engine.following import Origin, keep, tell_limits
from dispatcher.engine.people import People, Told
from dispatcher.ports import Clock, Inbox, IntakeBatch, Limits, SuppressionBook, Telemetry

MOST_BODIES = 500
"""Bodies per transaction; a body may carry a thousand updates, so the inbox bounds a batch by size, too."""
UNKNOWN_CODE = 131000
"""Meta's "something went wrong", for a failure that came without a code."""
PATIENCE = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
"""A report of a message that we do not know is looked at again at these ages: perhaps it was faster than our own answer."""


@dataclass(slots=True)
class _Gist:
    """What a batch of bodies says, by kind."""

    reports: list[tuple[datetime, Report]] = field(default_factory=list)
    inbound: list[tuple[datetime, Inbound]] = field(default_factory=list)
    accounts: list[tuple[datetime, AccountNews]] = field(default_factory=list)
    aside: list[PutAside] = field(default_factory=list)
    archived: int = 0
    """Reports of messages that were dropped as old."""


@dataclass(slots=True)
class _Aftermath:
    """What is to be done when the transaction has been committed."""

    updates: Mapping[str, int] = field(default_factory=dict)
    """Taken in, by kind."""
    told: Told = field(default_factory=Told)
    """Of people."""
    emptied: Sequence[CampaignId] = ()
    """Campaigns that have lost people; perhaps nobody is left there."""
    drawn: list[tuple[Origin, Consequence, Held | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Intake:
    """The engine's side of webhooks."""

    inbox: Inbox
    read: Callable[[bytes], Sequence[News]]
    """From bytes to news; total."""
    instance: str
    """The ledger's own name in tokens."""
    limits: Limits
    clock: Clock
    telemetry: Telemetry
    policy: Policy
    people: People
    suppressions: SuppressionBook

    async def drain(self, most: int = MOST_BODIES) -> int:
        """Take one batch. Returns how many bodies it had; 0 when nothing waits. Raises LedgerUnavailable."""
        try:
            async with self.inbox.batch(most) as batch:
                aftermath = await self._apply(batch)
        except DispatcherError:
            raise
        except Exception as error:  # noqa: BLE001 - one body that nobody foresaw must not stop all others
            self.telemetry.intake_failed(error)
        else:
            await self._tell(aftermath)
            return len(batch.bodies)
        taken = 0
        while taken < most and await self._take_one():
            taken += 1
        return taken

    async def settle_late(self) -> int:
        """Unsure messages of which a report has come while their turn still had them. Returns how many there were."""
        async with self.inbox.batch(0) as batch:
            refs = await batch.receipts.unsure_with_receipt(MOST_BODIES)
            aftermath = _Aftermath()
            if refs:
                await self._settle(batch, refs, refs, aftermath)
        await self._tell(aftermath)
        return len(refs)

    async def _take_one(self) -> bool:
        """Take the oldest body; one that breaks is put aside, in the same transaction."""
        async with self.inbox.batch(1) as batch:
            try:
                async with batch.attempt():
                    aftermath = await self._apply(batch)
            except DispatcherError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                aftermath = _Aftermath()
                said = f"{type(error).__name__}: {error}"
                await batch.put_aside(
                    [PutAside(body.received_at, "not_applied", said, body.content) for body in batch.bodies]
                )
        await self._tell(aftermath)
        return bool(batch.bodies)

    async def _apply(self, batch: IntakeBatch) -> _Aftermath:
        aftermath = _Aftermath()
        if not batch.bodies:
            return aftermath
        gist = self._understood(batch)
        # Inbound first: a person's "stop" counts before anything that might follow from a failure.
        await self._hear(batch, gist, aftermath)
        await self._keep_accounts(batch, gist)
        await self._book(batch, gist, aftermath)
        await batch.put_aside(gist.aside)
        aftermath.emptied = await self.people.leave_campaigns(batch, aftermath.told)
        aftermath.updates = _counted(gist)
        return aftermath

    def _understood(self, batch: IntakeBatch) -> _Gist:
        gist = _Gist()
        for body in batch.bodies:
            for news in self.read(body.content):
                match news:
                    case Report():
                        gist.reports.append((body.received_at, news))
                    case Inbound():
                        gist.inbound.append((body.received_at, news))
                    case AccountNews():
                        gist.accounts.append((body.received_at, news))
                    case Unreadable(reason, detail, fragment):
                        gist.aside.append(PutAside(body.received_at, reason, detail, fragment))
        return gist

    # what people said, and other news of accounts

    async def _hear(self, batch: IntakeBatch, gist: _Gist, aftermath: _Aftermath) -> None:
        known: frozenset[str] = frozenset()
        if gist.inbound:
            known = await batch.receipts.known_numbers([news.phone_number_id for _, news in gist.inbound])
        ours = {news.wamid: (at, news) for at, news in gist.inbound if news.phone_number_id in known}
        about_people = [(at, news) for at, news in gist.accounts if news.about is not None]
        aftermath.told = await self.people.take_in(batch, list(ours.values()), about_people)
        gist.aside += [
            PutAside(at, "unknown_sender", f"no sender has the id {news.phone_number_id}", news.fragment)
            for at, news in gist.inbound
            if news.phone_number_id not in known
        ]

    async def _keep_accounts(self, batch: IntakeBatch, gist: _Gist) -> None:
        if gist.accounts:
            await batch.receipts.keep_account_news([news for _, news in gist.accounts])

    # reports

    async def _book(self, batch: IntakeBatch, gist: _Gist, aftermath: _Aftermath) -> None:
        if not gist.reports:
            return
        without_token = {
            news.wamid: _key_of(news.recipient) for _, news in gist.reports if not self._is_ours(news)
        }
        by_wamid = await batch.receipts.attempts_of(without_token) if without_token else {}
        reports: dict[AttemptRef, tuple[str, Receipt]] = {}
        said_by: dict[AttemptRef, list[tuple[datetime, Report]]] = {}
        for at, news in gist.reports:
            ref = self._ref_of(news) or by_wamid.get(news.wamid)
            if ref is None:
                gist.aside.append(self._stranger(at, news))
                continue
            known = reports.get(ref)
            reports[ref] = (
                (news.wamid, news.receipt)
                if known is None
                else (min(known[0], news.wamid), known[1] | news.receipt)
            )
            said_by.setdefault(ref, []).append((at, news))
        booked = await batch.receipts.book(reports)
        gist.aside += [self._stranger(at, news) for ref in booked.unknown for at, news in said_by[ref]]
        gist.archived = sum(len(said_by[ref]) for ref in booked.archived)
        await self._settle(batch, booked.unsettled, booked.failed, aftermath)

    def _is_ours(self, news: Report) -> bool:
        return news.token is not None and news.token.instance == self.instance

    def _ref_of(self, news: Report) -> AttemptRef | None:
        token = news.token
        if token is None or token.instance != self.instance:
            return None
        return AttemptRef(token.campaign_id, token.message_id, token.attempt)

    def _stranger(self, received_at: datetime, news: Report) -> PutAside:
        """A report of a message that the ledger does not know: another system's, or faster than our own answer."""
        if news.token is not None and not self._is_ours(news):
            detail = (
                f"its token belongs to another ledger, {news.token.instance}; this one is {self.instance}"
            )
            return PutAside(received_at, "other_ledger", detail, news.fragment)
        now = self.clock.now()
        again = next((received_at + age for age in PATIENCE if received_at + age > now), None)
        return PutAside(received_at, "unknown_message", f"no message has {news.wamid}", news.fragment, again)

    # consequences

    async def _settle(
        self,
        batch: IntakeBatch,
        unsettled: Sequence[AttemptRef] | frozenset[AttemptRef],
        failed: Sequence[AttemptRef] | frozenset[AttemptRef],
        aftermath: _Aftermath,
    ) -> None:
        if unsettled:
            waiting = await batch.receipts.settle(sorted(unsettled))
            for campaign_id, were_pending in waiting.items():
                if were_pending:  # nobody may be left there: a turn will find out
                    await batch.receipts.call_lanes(campaign_id)
        if failed:
            again = []
            for failure in await batch.receipts.failures(sorted(failed)):
                outcome = await self._draw(batch, failure, aftermath)
                if outcome is not None:
                    again.append((failure.ref, outcome))
            if again:
                await batch.receipts.reopen(again)

    async def _draw(
        self, batch: IntakeBatch, failure: FailedAttempt, aftermath: _Aftermath
    ) -> Outcome | None:
        """What a failure means for others; returns the message's outcome where that is another attempt."""
        now = self.clock.now()
        verdict = verdict_for(failure.code or UNKNOWN_CODE, by_webhook=True, details=failure.detail)
        consequence = after_refusal(
            failure.ref.message_id, verdict, failure.detail, now, failure.failed_before
        )
        origin = Origin(failure.sender, failure.template, failure.language, failure.person, failure.key)
        held = await keep(batch.memory, origin, consequence, now)
        if consequence.goes_beyond:
            aftermath.drawn.append((origin, consequence, held))
        outcome = consequence.outcome
        if outcome.state is not MessageState.PENDING or not failure.may_reopen:
            return None
        if failure.deadline is not None and max(now, outcome.not_before or now) >= failure.deadline:
            return None
        return outcome

    async def _tell(self, aftermath: _Aftermath) -> None:
        """What binds from now on; whatever cannot be told now, upkeep tells."""
        self.telemetry.took_in(aftermath.updates)
        for origin, consequence, held in aftermath.drawn:
            await tell_limits(self.limits, self.policy, origin, consequence, held)
        self.telemetry.wished(aftermath.told.wishes)
        await self.suppressions.call_emptied(aftermath.emptied)
        for sender, messages in aftermath.told.inbound:
            try:
                await self.limits.count_inbound(sender.pool, sender.id, messages)
            except LimitsUnavailable:
                return


def _key_of(recipient: str | None) -> PersonKey | None:
    phone = parse_phone(f"+{recipient}") if recipient else None
    return PersonKey(phone.key) if isinstance(phone, Phone) else None


def _counted(gist: _Gist) -> Mapping[str, int]:
    return {
        "report": len(gist.reports),
        "inbound": len(gist.inbound),
        "account": len(gist.accounts),
        "put_aside": len(gist.aside),
        "archived": gist.archived,
    }
