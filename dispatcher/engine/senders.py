"""Orders about senders: add, change, switch; their templates, holds and suppressions.

A change is written to the ledger, then to the limits, so that it binds from the next sub-batch on.
If the limits cannot be reached nothing is granted anyway, and upkeep writes it when they are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.grant import Usage
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import PersonKey
from dispatcher.domain.opting import HistoryEntry
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.report import Suppressed
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template, parse_template
from dispatcher.domain.turn import DueLane
from dispatcher.engine.people import release, stop
from dispatcher.engine.telling import tell_all
from dispatcher.ports import Jobs, Limits, Management, SenderBook, SuppressionBook


@dataclass(frozen=True, slots=True)
class SenderView:
    """A sender as it stands."""

    sender: Sender
    holds: Sequence[Hold]
    usage: Usage | None
    """None when the limits have not met this sender yet, or cannot be asked."""


class Senders:
    """The engine's door for everything about senders."""

    def __init__(
        self,
        book: SenderBook,
        suppressions: SuppressionBook,
        limits: Limits,
        jobs: Jobs,
        management: Management,
        policy: Policy,
    ) -> None:
        self._book = book
        self._suppressions = suppressions
        self._limits = limits
        self._jobs = jobs
        self._management = management
        self._policy = policy

    async def add(self, sender: Sender) -> Sender:
        """Store a new sender; whatever id it comes with is replaced. Raises Conflict."""
        added = await self._book.add(sender)
        await tell_all(self._book, self._limits, self._policy)
        return added

    async def announce(self) -> None:
        """Tell the limits how all senders stand; for whoever has added one by way of a transaction."""
        await tell_all(self._book, self._limits, self._policy)

    async def all(self) -> Sequence[Sender]:
        """By name."""
        return await self._book.all()

    async def named(self, name: str) -> Sender:
        """Raises NotFound."""
        return await self._book.named(name)

    async def view(self, name: str) -> SenderView:
        """A sender with its holds and what it has used. Raises NotFound."""
        sender = await self._book.named(name)
        return SenderView(sender, await self._book.holds(sender), await self._usage(sender))

    async def views(self) -> Sequence[SenderView]:
        """All senders, by name; holds of their accounts' templates are left out."""
        standing = await self._book.standing()
        usages = await asyncio.gather(*(self._usage(sender) for sender, _ in standing))
        return [
            SenderView(sender, holds, usage) for (sender, holds), usage in zip(standing, usages, strict=True)
        ]

    async def change(self, name: str, changes: Mapping[str, Any], expected: Sender | None = None) -> Sender:
        """Replace fields of `Sender`; in force from the next sub-batch on. Raises NotFound.

        expected: what the caller saw. Raises Outdated when it is something else by now.
        """
        sender, lanes = await self._book.change(name, changes, expected)
        await tell_all(self._book, self._limits, self._policy)
        await self._wake(lanes)
        return sender

    async def reseal(self, renew: Callable[[str], str]) -> Sequence[str]:
        """Seal every sealed token anew; `renew` makes the new reference. Returns the senders' names. Raises BadValue."""
        return await self._book.reseal(renew)

    async def lift_holds(self, name: str) -> Sender:
        """An operator says that what held the sender, its account or its templates is mended."""
        sender = await self._book.named(name)
        lanes = await self._book.lift_holds(sender)
        await tell_all(self._book, self._limits, self._policy)
        await self._wake(lanes)
        return sender

    async def sync_templates(self, name: str) -> Sequence[Template]:
        """Read all templates of a sender's account from Meta. Raises what `Management.templates` raises."""
        sender = await self._book.named(name)
        bodies = await self._management.templates(sender)
        templates = [(parse_template(body), body) for body in bodies]
        await self._wake(await self._book.put_templates(sender.waba_id, templates))
        return [template for template, _ in templates]

    async def templates(self) -> Sequence[tuple[str, Template, datetime]]:
        """What is known: account, template, when it was read."""
        return await self._book.templates()

    async def suppress(self, people: Sequence[tuple[PersonKey, str]], reason: str, source: str) -> int:
        """Put people (key or user id, and how they are shown) on the suppression list. Returns how many were new.

        They get nothing more from any campaign, but for what was already granted.
        """
        keys = await self._suppressions.keys_of([key for key, _ in people])
        pools = await self._suppressions.pools_of(keys)
        new = await self._suppressions.put(people, reason, source)
        await stop(self._limits, pools)
        return new

    async def unsuppress(self, keys: Sequence[PersonKey], source: str = "command line") -> int:
        """Take people off the list; messages that were suppressed stay so. Returns how many were on it."""
        removed = await self._suppressions.remove(keys, source)
        if removed:
            await release(self._suppressions, self._limits, removed)
        return len(removed)

    async def suppressed(self) -> Sequence[Suppressed]:
        """The list, oldest first."""
        return await self._suppressions.all()

    async def suppression_history(self, key: str) -> Sequence[HistoryEntry]:
        """All that happened to a person on the list, the oldest first. key: of the number, or a user id."""
        return await self._suppressions.history(key)

    async def _usage(self, sender: Sender) -> Usage | None:
        try:
            return await self._limits.usage(limits_of(sender, self._policy))
        except LimitsUnavailable:
            return None

    async def _wake(self, lanes: Sequence[DueLane]) -> None:
        for lane in lanes:
            await self._jobs.wake(lane)
