"""Rows of the ledger as the domain's types; the one place that knows which column is which field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import asyncpg

from dispatcher.domain.campaign import Campaign, CampaignKind, CampaignState, UnsurePolicy
from dispatcher.domain.content import SlotMapping
from dispatcher.domain.fence import moved_text
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId, MessageId, SenderId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.receipt import AttemptRef, Receipt, ReceiptState
from dispatcher.domain.report import AttemptView, ReceiptView, UnsureView
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus

Row = Mapping[str, Any] | asyncpg.Record
"""A record, or a composite value inside one."""


def sender_of(row: Row) -> Sender:
    """A row of `senders`."""
    return Sender(
        id=SenderId(row["id"]),
        name=row["name"],
        phone_number_id=row["phone_number_id"],
        phone=row["phone"],
        waba_id=row["waba_id"],
        portfolio_id=row["portfolio_id"],
        status=SenderStatus(row["status"]),
        lifecycle=Lifecycle(row["lifecycle"]),
        quality=Quality(row["quality"]),
        tier=Tier(row["tier_limit"], row["tier_label"]),
        limit_scope=LimitScope(row["limit_scope"]),
        rate=Rate(row["rate_milli_per_s"]),
        enabled=row["enabled"],
        token_ref=row["token_ref"],
        origin=row["origin"],
    )


def campaign_of(row: Row, senders: Sequence[int]) -> Campaign:
    """A row of `campaigns` with the senders of its lanes."""
    return Campaign(
        id=CampaignId(row["id"]),
        name=row["name"],
        state=CampaignState(row["state"]),
        template=row["template"],
        language=row["language"],
        senders=[SenderId(sender) for sender in senders],
        mapping=SlotMapping.from_json(row["mapping"]),
        columns=row["columns"],
        weight=row["weight"],
        priority=row["priority"],
        deadline=row["deadline"],
        unsure_policy=UnsurePolicy(row["unsure_policy"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        paused_because=row["paused_because"],
        kind=CampaignKind(row["kind"]),
        metadata=row["metadata"],
        archived_at=row["archived_at"],
    )


def receipt_of(row: Row) -> Receipt:
    """A row of `receipts`."""
    return Receipt(*[row[field] for field in Receipt._fields])


def attempt_view_of(row: Row) -> AttemptView:
    """A row of `attempts` with its sender's name."""
    return AttemptView(**{field.name: row[field.name] for field in fields(AttemptView)})


def receipt_view_of(row: Row) -> ReceiptView:
    """A row of `receipts`, for people."""
    return ReceiptView(row["attempt"], row["wamid"], ReceiptState(row["state"]), receipt_of(row))


def hold_of(row: Row) -> Hold:
    """A row of `holds`."""
    return Hold(HoldReason(row["reason"]), row["until"], row["detail"])


def lane_hold_of(row: Row) -> Hold | None:
    """The hold that a lane's last turn ended with, or the one that its next turn will meet at the fence."""
    if row["moved"]:
        return Hold(HoldReason.FENCED, None, moved_text(row["moved"]))
    if row["hold_reason"] is None:
        return None
    return Hold(HoldReason(row["hold_reason"]), row["hold_until"], row["hold_detail"])


def attempt_of(row: Row) -> AttemptRef:
    """Which attempt a row tells of."""
    return AttemptRef(CampaignId(row["campaign_id"]), MessageId(row["message_id"]), row["attempt"])


def unsure_of(row: Row) -> UnsureView:
    """An unsure message with its campaign and its sender."""
    return UnsureView(
        ref=attempt_of(row),
        campaign=row["campaign"],
        person=row["person"],
        sender=row["sender"],
        posted_at=row["posted_at"],
        reason=row["reason"] or "",
        code=row["code"],
        detail=row["detail"] or "",
        policy=UnsurePolicy(row["unsure_policy"]),
        decides_at=row["decides_at"],
    )
