"""The door for templates that are ordered one by one, as clients of Meta's own API order them.

What cannot be sent is refused at once, as a value with its reason; what time alone ends, such as a used-up tier, is waited
for. How much may wait is bounded per sender, so that who sends too fast hears of it while there is time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.content import ANSWERED
from dispatcher.domain.gateway import MessageRef, Objection, Refused
from dispatcher.domain.pacing import Policy
from dispatcher.domain.phone import Phone, parse_phone
from dispatcher.domain.sender import Sender
from dispatcher.domain.standing import (
    StandingPlan,
    TemplateFacts,
    TemplateOrder,
    hold_objection,
    priority_of,
    sender_objection,
    template_objection,
)
from dispatcher.ports import Clock, Jobs, StandingBook, TemplateReader

WAIT_MOST = timedelta(hours=1)
"""Nobody is told to come again later than that: what is known of the queue by then is another matter."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The engine's door for messages of standing campaigns."""

    book: StandingBook
    jobs: Jobs
    reader: TemplateReader
    clock: Clock
    policy: Policy
    waiting_most: int
    """Messages that may wait for one sender."""

    async def room(self, sender: Sender) -> Refused | None:
        """Why the sender takes no message at present, whatever it says; None where it does."""
        if (objection := sender_objection(sender, self.policy.stricter)) is not None:
            return objection
        waiting = await self.book.waiting(sender, self.waiting_most)
        if waiting.messages < self.waiting_most:
            return None
        # A place is free as soon as one has gone; but nobody should ask for every single one.
        wait = timedelta(seconds=max(1, math.ceil(self.waiting_most / 10 / sender.rate.per_s)))
        if waiting.until is not None:
            wait = max(wait, waiting.until - self.clock.now())
        wait = min(wait, WAIT_MOST)
        details = f"{waiting.messages:,} messages wait for sender {sender.name}; come again in {wait.total_seconds():.0f} s"
        return Refused(Objection.QUEUE_FULL, details, wait)

    async def send(self, sender: Sender, order: TemplateOrder) -> MessageRef | Refused:
        """Have a template sent, as soon as the sender may. Whether there is room was asked before."""
        facts = await self.book.facts(sender, order)
        objection = template_objection(order, facts.template) or hold_objection(facts.holds, facts.moved)
        if objection is not None:
            return objection
        to = _number(order, facts)
        if isinstance(to, Refused):
            return to
        if facts.suppressed is not None:
            details = f"{to.e164} is on the suppression list: {facts.suppressed}"
            return Refused(Objection.SUPPRESSED, details)
        assert facts.template is not None
        values = self.reader.values(facts.template, order.components)
        if isinstance(values, Refused):
            return values
        if order.context_wamid is not None:
            values = {**values, ANSWERED.path: order.context_wamid}
        plan = StandingPlan(
            sender, order.template, order.language, tuple(values), priority_of(facts.template)
        )
        taken, lane = await self.book.add(plan, to, list(values.values()), order.callback_data)
        if lane is not None:
            await self.jobs.wake(lane)
        return taken


def _number(order: TemplateOrder, facts: TemplateFacts) -> Phone | Refused:
    if order.to is not None:
        return order.to
    known = parse_phone(facts.number) if facts.number is not None else None
    if isinstance(known, Phone):
        return known
    details = f"templates go to numbers, and none is known of {order.user_id}"
    return Refused(Objection.NEEDS_NUMBER, details)
