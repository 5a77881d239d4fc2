"""What Meta tells an account when a number or a template changes.

Only changes that Meta has a webhook for: a number's rating has none, and is to be polled. Where the current pages
have dropped an event that older ones show (FLAGGED, UNFLAGGED), it is sent, since receivers are to cope with both.

Source: Meta, pages of the fields `account_update`, `phone_number_quality_update`, `business_capability_update`,
`message_template_status_update` and `message_template_quality_update`, read 2026-09.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ..world import Number, NumberStatus, Template
from .updates import Event

_RESTRICTED_FOR_S = 86_400


def events_of_number(before: Number, after: Number, now_ms: int) -> Iterator[Event]:
    """What is told of a number that was so and is so now."""

    def told(field: str, **value: Any) -> Event:
        return Event(after.waba_id, field, value, now_ms)

    phone = str(after.digits)
    if before.status is not after.status:
        for status, begins in ((before.status, False), (after.status, True)):
            match status:
                case NumberStatus.FLAGGED:
                    event = "FLAGGED" if begins else "UNFLAGGED"
                    yield told(
                        "phone_number_quality_update",
                        display_phone_number=phone,
                        event=event,
                        current_limit=tier_text(after.tier_limit),
                    )
                case NumberStatus.BANNED:
                    day = datetime.fromtimestamp(now_ms / 1000, UTC)
                    ban = {
                        "waba_ban_state": "DISABLE" if begins else "REINSTATE",
                        "waba_ban_date": f"{day:%B} {day.day}, {day.year}",
                    }
                    yield told("account_update", phone_number=phone, event="DISABLED_UPDATE", ban_info=ban)
                case NumberStatus.RESTRICTED if begins:
                    until_s = now_ms // 1000 + _RESTRICTED_FOR_S
                    kind = "RESTRICTED_BIZ_INITIATED_MESSAGING"
                    yield told(
                        "account_update",
                        event="ACCOUNT_RESTRICTION",
                        restriction_info=[{"restriction_type": kind, "expiration": until_s}],
                    )
                case NumberStatus.RESTRICTED:
                    yield told("account_update", event="ACCOUNT_RESTRICTION")
    if before.tier_limit != after.tier_limit:
        most = -1 if after.tier_limit is None else after.tier_limit
        yield told("business_capability_update", max_daily_conversations_per_business=most)
    if before.throughput != after.throughput == "HIGH":
        limit = tier_text(after.tier_limit)
        yield told(
            "phone_number_quality_update",
            display_phone_number=phone,
            event="THROUGHPUT_UPGRADE",
            current_limit=limit,
            max_daily_conversations_per_business=limit,
        )


def events_of_template(before: Template | None, after: Template, now_ms: int) -> Iterator[Event]:
    """What is told of a template that was so, or was not there, and is so now."""
    names = {
        # why: an integer here, a string in Graph's answers, and a hyphen in the language, as in Meta's samples.
        "message_template_id": int(after.id),
        "message_template_name": after.name,
        "message_template_language": after.language.replace("_", "-"),
    }
    if before is None or before.status != after.status:
        value = {
            **names,
            "event": after.status,
            "reason": "NONE",
            "message_template_category": after.category,
        }
        if after.status == "PAUSED":
            value["other_info"] = {"title": "FIRST_PAUSE", "description": "Quality is low."}
        yield Event(after.waba_id, "message_template_status_update", value, now_ms)
    if before is not None and before.quality is not after.quality:
        scores = {
            "previous_quality_score": before.quality.value,
            "new_quality_score": after.quality.value,
        }
        yield Event(after.waba_id, "message_template_quality_update", {**scores, **names}, now_ms)


def tier_text(limit: int | None) -> str:
    """A messaging limit as Meta writes it: TIER_250, TIER_2K, TIER_UNLIMITED."""
    if limit is None:
        return "TIER_UNLIMITED"
    return f"TIER_{limit // 1000}K" if limit % 1000 == 0 else f"TIER_{limit}"
