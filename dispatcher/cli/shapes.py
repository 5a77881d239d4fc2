"""What ``--json`` shows of the things people ask about: plain values under stable names.

Scripts rely on these names, so they are written down here and do not follow the classes by themselves.
Times are ISO 8601 in UTC, durations seconds, unlimited tiers null.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from dispatcher.domain.campaign import Campaign, Counts
from dispatcher.domain.gate import sender_hold
from dispatcher.domain.hold import LIFTED_BY, Hold
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.report import CampaignReport, CampaignView, MessageView, Waiting
from dispatcher.domain.sender import Sender
from dispatcher.engine.explain import Explanation
from dispatcher.engine.senders import SenderView
from dispatcher.ledger.audience import ImportReport

Shape = dict[str, Any]


def hold_shape(hold: Hold | None) -> Shape | None:
    """A wait with its cause; `until` is null where only an event ends it."""
    if hold is None:
        return None
    return {
        "reason": hold.reason,
        "detail": hold.detail,
        "until": hold.until,
        "lifted_by": LIFTED_BY[hold.reason],
    }


def waiting_shape(waiting: Waiting) -> Shape:
    """People who wait for the same thing."""
    return {"people": waiting.people, **(hold_shape(waiting.hold) or {})}


def counts_shape(counts: Counts) -> Shape:
    """People by state, and whether they add up to the audience."""
    return {**asdict(counts), "adds_up": counts.adds_up}


def campaign_shape(campaign: Campaign) -> Shape:
    """What was ordered."""
    return {
        "id": campaign.id,
        "name": campaign.name,
        "state": campaign.state,
        "paused_because": campaign.paused_because or None,
        "template": campaign.template,
        "language": campaign.language,
        "mapping": campaign.mapping.to_json(),
        "weight": campaign.weight,
        "priority": campaign.priority,
        "deadline": campaign.deadline,
        "unsure_policy": campaign.unsure_policy,
        "created_at": campaign.created_at,
        "started_at": campaign.started_at,
        "finished_at": campaign.finished_at,
        "archived_at": campaign.archived_at,
    }


def view_shape(view: CampaignView) -> Shape:
    """A campaign as it stands."""
    return {
        **campaign_shape(view.campaign),
        "counts": counts_shape(view.counts),
        "waiting": [waiting_shape(waiting) for waiting in view.waiting],
        "lanes": [
            {
                "sender": lane.sender.name,
                "is_running": lane.is_running,
                "next_at": lane.next_at,
                "hold": hold_shape(lane.hold),
                "claimed": lane.claimed,
                "accepted": lane.accepted,
                "refused": lane.refused,
                "unsure": lane.unsure,
            }
            for lane in view.lanes
        ],
    }


def report_shape(report: CampaignReport) -> Shape:
    """A campaign's result."""
    return {
        **view_shape(report.view),
        "ended": [asdict(ended) for ended in report.ended],
        "reported": [asdict(reported) for reported in report.reported],
        "rejected_rows": dict(report.rejected_rows),
        "first_posted_at": report.first_posted_at,
        "last_posted_at": report.last_posted_at,
        "posting_s": report.posting_time.total_seconds() if report.posting_time else None,
        "accepted_per_s": accepted_per_s(report),
    }


def accepted_per_s(report: CampaignReport) -> float | None:
    """How fast it went, from the first post to the last; None where that is too short to tell."""
    seconds = report.posting_time.total_seconds() if report.posting_time else 0.0
    return round(report.view.counts.accepted / seconds, 1) if seconds >= 1 else None


def import_shape(report: ImportReport) -> Shape:
    """What came of an audience file."""
    return {
        "rows": report.rows,
        "audience": report.audience,
        "suppressed": report.suppressed,
        "rejected": dict(report.rejected),
        "seconds": report.seconds,
        "rows_per_s": round(report.rows_per_s),
    }


def sender_shape(sender: Sender, policy: Policy) -> Shape:
    """A sender as it is stored, and whether it may send. The token itself is never here."""
    hold = sender_hold(sender, policy.stricter)
    return {
        "name": sender.name,
        "phone": sender.phone,
        "phone_number_id": sender.phone_number_id,
        "waba_id": sender.waba_id,
        "portfolio_id": sender.portfolio_id,
        "status": sender.status,
        "lifecycle": sender.lifecycle,
        "quality": sender.quality,
        "tier": sender.tier.limit,
        "tier_label": sender.tier.label,
        "tier_level": {scheme: sender.tier.level(scheme) for scheme in ("growth", "status")},
        "limit_scope": sender.limit_scope,
        "rate_per_s": sender.rate.per_s,
        "rate_now_per_s": limits_of(sender, policy).rate.per_s,
        "enabled": sender.enabled,
        "token": sender.token_place,
        "origin": sender.origin,
        "may_send": hold is None,
        "blocked_by": hold_shape(hold),
    }


def sender_view_shape(view: SenderView, policy: Policy) -> Shape:
    """A sender with its holds and what it has used."""
    usage = view.usage
    return {
        **sender_shape(view.sender, policy),
        "may_send": sender_hold(view.sender, policy.stricter) is None and not view.holds,
        "holds": [hold_shape(hold) for hold in view.holds],
        "usage": {
            "reach_used": usage.reach_used,
            "reach_limit": usage.reach_limit,
            "reach_next": usage.reach_next,
            "rate_per_s": usage.rate.per_s,
            "rate_level": usage.rate_level,
            "rate_cause": usage.rate_cause or None,
            "rate_full_at": usage.rate_full_at,
        }
        if usage
        else None,
    }


def message_shape(message: MessageView) -> Shape:
    """A message with its history."""
    return {**asdict(message), "values": list(message.values)}


def explanation_shape(explanation: Explanation) -> Shape:
    """An answer to "why"."""
    return {
        "summary": explanation.summary,
        "binding": hold_shape(explanation.binding),
        "advice": explanation.advice,
        "lanes": [
            {
                "sender": lane.sender,
                "binding": [hold_shape(hold) for hold in lane.binding],
                "outlook": list(lane.outlook),
            }
            for lane in explanation.lanes
        ],
    }


def clock_text(time: datetime | None) -> str | None:
    """A time for people, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else None
