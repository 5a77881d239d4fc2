"""What a batch of webhooks tells of people: who they are, what they said, whether they want to hear from us.

Everything is kept in the batch's own transaction. A person who opts out is on the suppression list when it is committed, and
out of every campaign in which they were pending; what turns had claimed before, the limits refuse from then on. They are
told before the commit: whoever learns that it has happened can rely on both.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dispatcher.domain.conversation import Heard
from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.identity import Known, Sighting
from dispatcher.domain.ids import CampaignId, PersonKey, PoolKey
from dispatcher.domain.opting import OptWords, SuppressionChange, Wish
from dispatcher.domain.phone import comparison_key
from dispatcher.domain.sender import Sender
from dispatcher.domain.webhook import AccountNews, Call, Inbound, Preference
from dispatcher.domain.window import ServiceWindow, opened, opens_window
from dispatcher.ports import IntakeBatch, Limits, SuppressionBook


class _Item(NamedTuple):
    """One piece of news of one person."""

    received_at: datetime
    at: datetime
    sighting: Sighting
    news: Inbound | AccountNews


@dataclass(slots=True)
class Told:
    """What came of a batch, as far as people are concerned."""

    inbound: Sequence[tuple[Sender, int]] = ()
    """Senders that were written to, and how many messages were new."""
    wishes: Mapping[SuppressionChange, int] = field(default_factory=dict)
    touched: Sequence[PersonKey] = ()
    """People whose place on the suppression list may have changed."""


@dataclass(frozen=True, slots=True)
class People:
    """The engine's side of people."""

    words: OptWords
    limits: Limits

    async def take_in(
        self,
        batch: IntakeBatch,
        inbound: Sequence[tuple[datetime, Inbound]],
        accounts: Sequence[tuple[datetime, AccountNews]],
    ) -> Told:
        """Keep it all. Senders of `inbound` are known; each piece comes with the time it was received."""
        items = [*_of_messages(inbound), *_of_accounts(accounts)]
        if not items:
            return Told()
        met = await batch.people.meet([item.sighting for item in items])
        of_people = list(zip(met.known, items, strict=True))
        heard = [said for who, item in of_people if (said := _heard(who, item))]
        told = Told(inbound=await batch.people.hear(heard) if heard else ())
        wishes = [wish for who, item in of_people if (wish := self._wish(who, item))]
        if wishes:
            await batch.suppressions.wish(wishes)
            told.wishes = Counter(wish.change for wish in wishes)
        told.touched = sorted({wish.key for wish in wishes} | {merge.key for merge in met.merges})
        return told

    async def leave_campaigns(self, batch: IntakeBatch, told: Told) -> Sequence[CampaignId]:
        """Whoever is on the list now leaves every campaign; the last thing that a batch does. Returns the campaigns."""
        if not told.touched:
            return ()
        gone = await batch.suppressions.standing(told.touched)
        if back := sorted({*told.touched} - {*gone}):
            await release(batch.suppressions, self.limits, back)
        if not gone:
            return ()
        pools = await batch.suppressions.pools_of(gone)
        swept = await batch.suppressions.sweep(gone)
        await stop(self.limits, pools)
        return swept

    def _wish(self, who: Known, item: _Item) -> Wish | None:
        match item.news:
            case Inbound(is_in_group=False) as message:
                change = self.words.heard(message.words, message.payload)
                source = f"{message.kind}: {message.words or message.payload}"
                evidence = message.wamid
            case AccountNews(about=Preference(wants_messages=wants)) as news:
                change = SuppressionChange.OPTED_IN if wants else SuppressionChange.OPTED_OUT
                source, evidence = "preferences at Meta", news.key
            case _:
                return None
        if change is None:
            return None
        user_id = next(iter(item.sighting.user_ids), None)
        return Wish(who.key, who.shown, user_id, change, source, item.at, evidence)


async def stop(limits: Limits, pools: Mapping[PoolKey, Sequence[PersonKey]]) -> None:
    """Have the limits refuse what turns may have claimed for people. pools: as they were before the people were swept."""
    with contextlib.suppress(LimitsUnavailable):  # without Redis nothing is granted, to anybody
        for pool, people in pools.items():
            await limits.stop_people(pool, people)


async def release(book: SuppressionBook, limits: Limits, people: Sequence[PersonKey]) -> None:
    """Have the limits let these people have campaigns again. Asks every pool, for it is rare."""
    pools = await book.pools()
    with contextlib.suppress(LimitsUnavailable):  # what is lost with Redis stops nobody
        for pool in pools:
            await limits.release_people(pool, people)


def _of_messages(inbound: Sequence[tuple[datetime, Inbound]]) -> Iterator[_Item]:
    for received_at, message in inbound:
        moved_to = message.moved_to if message.moved_to != message.person else None
        sighting = _sighting(
            message.at,
            message.person or message.shared_number,
            (message.user_id, message.parent_user_id),
            moved_to,
        )
        yield _Item(received_at, message.at, sighting, message)


def _of_accounts(accounts: Sequence[tuple[datetime, AccountNews]]) -> Iterator[_Item]:
    for received_at, news in accounts:
        about, at = news.about, news.at or received_at
        if about is None:
            continue
        match about:
            case Preference():
                ids: Sequence[str | None] = (about.user_id, about.parent_user_id)
            case Call():
                ids = (about.user_id,)
            case _:
                ids = about.user_ids
        yield _Item(received_at, at, _sighting(at, about.person, ids), news)


def _sighting(
    at: datetime, digits: str | None, user_ids: Sequence[str | None], moved_to: str | None = None
) -> Sighting:
    (key, number), (new_key, new_number) = _number(digits), _number(moved_to)
    return Sighting(at, key, number, [each for each in user_ids if each], new_key, new_number)


def _number(digits: str | None) -> tuple[PersonKey, str] | tuple[None, None]:
    """Key and E.164 form of a number that Meta writes in digits."""
    return (PersonKey(comparison_key(f"+{digits}")), f"+{digits}") if digits else (None, None)


def _heard(who: Known, item: _Item) -> Heard | None:
    """What goes into a conversation: messages of every kind, and calls."""
    match item.news:
        case Inbound() as message:
            opens = opens_window(message.kind, in_group=message.is_in_group, takes_back=message.takes_back)
            window = opened(item.at, item.received_at) if opens else ServiceWindow()
            return Heard(
                message.phone_number_id, who, message.user_id, message.name, message.at, window, message
            )
        case AccountNews(about=Call() as call):
            window = opened(item.at, item.received_at)
            return Heard(call.phone_number_id, who, call.user_id, None, item.at, window)
        case _:
            return None
