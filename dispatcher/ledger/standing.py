"""Standing campaigns in the ledger: templates that are ordered one by one.

A message is stored, counted and its lane poked in one statement. The statements are in `sql/standing.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from dispatcher.domain.audit import Order
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Busy
from dispatcher.domain.gateway import MessageRef
from dispatcher.domain.ids import CampaignId, LaneId, MessageId
from dispatcher.domain.phone import Phone
from dispatcher.domain.sender import Sender
from dispatcher.domain.standing import TAKES_FOR, StandingPlan, TemplateFacts, TemplateOrder, Waiting
from dispatcher.domain.template import parse_template
from dispatcher.domain.turn import DueLane
from dispatcher.ledger.audit import acting, note
from dispatcher.ledger.database import Session
from dispatcher.ledger.partitions import cover
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row, hold_of
from dispatcher.ledger.senders import template_key

SQL = load("standing")


class LedgerStanding:
    """The port `StandingBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def facts(self, sender: Sender, order: TemplateOrder) -> TemplateFacts:
        """What must be known before the order is taken."""
        row = await self._db.fetchrow(
            SQL["facts"],
            sender.waba_id,
            order.template,
            order.language,
            [
                str(sender.id),
                sender.waba_id,
                sender.portfolio_id,
                template_key(sender.waba_id, order.template, order.language),
            ],
            order.to.key if order.to is not None else None,
            order.user_id,
        )
        assert row is not None
        return TemplateFacts(
            template=parse_template(row["template"]) if row["template"] is not None else None,
            holds=[hold_of(hold) for hold in row["holds"]],
            moved=row["moved"],
            suppressed=row["suppressed"],
            number=row["number"],
        )

    async def waiting(self, sender: Sender, most: int) -> Waiting:
        """How much waits for the sender; not counted beyond `most`."""
        row = await self._db.fetchrow(SQL["waiting"], sender.id, most)
        assert row is not None
        return Waiting(row["messages"], row["until"])

    async def add(
        self, plan: StandingPlan, to: Phone, values: Sequence[str], callback_data: str | None
    ) -> tuple[MessageRef, DueLane | None]:
        """Store a message; a new campaign is opened where none of this form takes it. No lane: somebody has woken it."""
        actor = acting()
        form = (plan.sender.id, plan.template, plan.language, list(plan.columns))
        message = (
            *(*form, to.e164, to.key, list(values), callback_data),
            *((actor.kind, actor.name) if actor is not None else (None, None)),
            Order.MESSAGE_QUEUED,
        )
        try:
            row = await self._db.fetchrow(SQL["add"], *message) or await self._add_to_another(
                plan, form, message
            )
        except asyncpg.LockNotAvailableError:
            raise Busy(
                f"sender {plan.sender.name} is being written to by many at once; nothing was queued",
                hint="come again in some seconds",
            ) from None
        taken = MessageRef(CampaignId(row["campaign_id"]), MessageId(row["message_id"]))
        return taken, DueLane(LaneId(row["lane_id"]), row["generation"]) if row["is_asleep"] else None

    async def _add_to_another(
        self, plan: StandingPlan, form: tuple[object, ...], message: tuple[object, ...]
    ) -> Row:
        """The same where no campaign of this form takes it: in the next one, which one transaction at a time opens."""
        async with self._db.transaction() as connection:
            await connection.execute(SQL["lock_form"], repr(form))
            if (row := await connection.fetchrow(SQL["add"], *message)) is not None:
                return row
            opened = await connection.fetchval(
                SQL["open"],
                f"gateway: {plan.template}",
                plan.template,
                plan.language,
                plan.mapping.to_json(),
                list(plan.columns),
                plan.priority,
                plan.unsure_policy,
                plan.sender.id,
                TAKES_FOR,
            )
            await cover(connection, CampaignId(opened))
            told = {"state": CampaignState.RUNNING, "template": plan.template, "language": plan.language}
            await note(connection, Order.CAMPAIGN_CREATED, f"campaign {opened}", after=told)
            row = await connection.fetchrow(SQL["add"], *message)
        assert row is not None
        return row
