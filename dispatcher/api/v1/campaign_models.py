"""Campaigns as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from dispatcher.api.schemas import (
    HOLD,
    HoldOut,
    Model,
    example,
)
from dispatcher.api.v1.campaign_orders import FromColumn, FromText
from dispatcher.domain.campaign import Campaign, CampaignState, Counts, UnsurePolicy
from dispatcher.domain.content import Column, ValueSource
from dispatcher.domain.ids import SenderId
from dispatcher.domain.report import CampaignView, LaneView, Waiting
from dispatcher.engine.campaigns import Stopped
from dispatcher.engine.explain import Explanation

_CAMPAIGN: Mapping[str, Any] = {
    "id": 12,
    "name": "Autumn offer",
    "state": "running",
    "paused_because": None,
    "template": "autumn_offer",
    "language": "en_US",
    "senders": ["harbour"],
    "mapping": {"body.1": {"column": "first_name"}, "body.2": {"text": "20%"}},
    "columns": ["first_name"],
    "weight": 1,
    "priority": 0,
    "deadline": "2026-10-01T18:00:00Z",
    "unsure_policy": "give_up",
    "metadata": {"order": "4711"},
    "created_at": "2026-09-30T08:00:00Z",
    "started_at": "2026-09-30T08:10:00Z",
    "finished_at": None,
    "archived_at": None,
}
_COUNTS: Mapping[str, Any] = {
    "audience": 1000,
    "pending": 600,
    "claimed": 10,
    "accepted": 380,
    "refused": 4,
    "unsure": 1,
    "suppressed": 5,
    "cancelled": 0,
    "expired": 0,
}


class CountsOut(Model):
    """People by state; they add up to the audience."""

    audience: int
    pending: int
    claimed: int
    accepted: int
    refused: int
    unsure: int
    suppressed: int
    cancelled: int
    expired: int

    @classmethod
    def of(cls, counts: Counts) -> CountsOut:
        """As the house has it."""
        return cls.model_validate(counts, from_attributes=True)


class CampaignOut(Model):
    """A campaign with its counts."""

    model_config = example(**_CAMPAIGN, counts=_COUNTS)

    id: int
    name: str
    state: CampaignState
    paused_because: Annotated[str | None, Field(description="Why a guard paused it.")]
    template: str
    language: str
    senders: list[str]
    mapping: dict[str, FromColumn | FromText]
    columns: list[str]
    weight: int
    priority: int
    deadline: datetime | None
    unsure_policy: UnsurePolicy
    metadata: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    archived_at: Annotated[
        datetime | None,
        Field(description="When its people were dropped as old; its counts and its report are kept."),
    ]
    counts: CountsOut

    @classmethod
    def of(cls, campaign: Campaign, counts: Counts, names: Mapping[SenderId, str]) -> CampaignOut:
        """As the house has it. names: of the senders."""
        return cls(
            **_ordered(campaign, [names[sender] for sender in campaign.senders]), counts=CountsOut.of(counts)
        )


class WaitingOut(HoldOut):
    """People who wait for the same thing."""

    people: int

    @classmethod
    def of_waiting(cls, waiting: Waiting) -> WaitingOut:
        """As the house has it."""
        return cls(people=waiting.people, **HoldOut.of(waiting.hold).model_dump())


class LaneOut(Model):
    """One sender's part."""

    sender: str
    is_running: bool
    next_at: datetime | None
    hold: HoldOut | None
    claimed: int
    accepted: int
    refused: int
    unsure: int

    @classmethod
    def of(cls, lane: LaneView) -> LaneOut:
        """As the house has it."""
        return cls(
            sender=lane.sender.name,
            is_running=lane.is_running,
            next_at=lane.next_at,
            hold=HoldOut.of(lane.hold) if lane.hold else None,
            claimed=lane.claimed,
            accepted=lane.accepted,
            refused=lane.refused,
            unsure=lane.unsure,
        )


class CampaignDetail(CampaignOut):
    """A campaign as it stands: who waits for what, and what each sender has done."""

    model_config = example(
        **_CAMPAIGN,
        counts=_COUNTS,
        waiting=[{"people": 600, **HOLD}],
        lanes=[
            {
                "sender": "harbour",
                "is_running": False,
                "next_at": "2026-10-02T08:00:00Z",
                "hold": HOLD,
                "claimed": 10,
                "accepted": 380,
                "refused": 4,
                "unsure": 1,
            }
        ],
    )

    waiting: Annotated[list[WaitingOut], Field(description="Adds up to `counts.pending`.")]
    lanes: list[LaneOut]

    @classmethod
    def of_view(cls, view: CampaignView) -> CampaignDetail:
        """As the house has it."""
        return cls(
            **_ordered(view.campaign, [lane.sender.name for lane in view.lanes]),
            counts=CountsOut.of(view.counts),
            waiting=[WaitingOut.of_waiting(waiting) for waiting in view.waiting],
            lanes=[LaneOut.of(lane) for lane in view.lanes],
        )


class CampaignPage(Model):
    """Campaigns, the newest first."""

    model_config = example(items=[{**_CAMPAIGN, "counts": _COUNTS}], next="12")

    items: list[CampaignOut]
    next: str | None


class StoppedOut(Model):
    """What pausing or cancelling has come to."""

    model_config = example(
        campaign={**_CAMPAIGN, "state": "paused", "counts": _COUNTS, "waiting": [], "lanes": []},
        handed_over=381,
        still_in_flight=0,
    )

    campaign: CampaignDetail
    handed_over: Annotated[int, Field(description="Messages that Meta had got, or may have got, by then.")]
    still_in_flight: Annotated[int, Field(description="Messages that a turn still had at that moment.")]

    @classmethod
    def of(cls, stopped: Stopped, view: CampaignView) -> StoppedOut:
        """As the house has it."""
        return cls(
            campaign=CampaignDetail.of_view(view),
            handed_over=stopped.handed_over,
            still_in_flight=stopped.still_in_flight,
        )


class LaneExplanationOut(Model):
    """One sender's part of the answer."""

    sender: str
    binding: list[HoldOut]
    outlook: list[str]


class ExplanationOut(Model):
    """Why something is where it is."""

    model_config = example(
        summary="600 people wait: tier_exhausted until 2026-10-02 08:00:00 UTC",
        binding=HOLD,
        advice="time: each token comes back 24 hours after it was taken; or a higher tier",
        lanes=[{"sender": "harbour", "binding": [HOLD], "outlook": ["at most 80/s"]}],
    )

    summary: str
    binding: Annotated[HoldOut | None, Field(description="null: nothing waits.")]
    advice: str
    lanes: list[LaneExplanationOut]

    @classmethod
    def of(cls, explanation: Explanation) -> ExplanationOut:
        """As the house has it."""
        return cls(
            summary=explanation.summary,
            binding=HoldOut.of(explanation.binding) if explanation.binding else None,
            advice=explanation.advice,
            lanes=[
                LaneExplanationOut(
                    sender=lane.sender,
                    binding=[HoldOut.of(hold) for hold in lane.binding],
                    outlook=list(lane.outlook),
                )
                for lane in explanation.lanes
            ],
        )


def _filling_of(source: ValueSource) -> FromColumn | FromText:
    return FromColumn(column=source.name) if isinstance(source, Column) else FromText(text=source.text)


def _ordered(campaign: Campaign, senders: list[str]) -> dict[str, Any]:
    return {
        "id": campaign.id,
        "name": campaign.name,
        "state": campaign.state,
        "paused_because": campaign.paused_because or None,
        "template": campaign.template,
        "language": campaign.language,
        "senders": sorted(senders),
        "mapping": {slot: _filling_of(source) for slot, source in campaign.mapping.assignments},
        "columns": list(campaign.columns),
        "weight": campaign.weight,
        "priority": campaign.priority,
        "deadline": campaign.deadline,
        "unsure_policy": campaign.unsure_policy,
        "metadata": dict(campaign.metadata),
        "created_at": campaign.created_at,
        "started_at": campaign.started_at,
        "finished_at": campaign.finished_at,
        "archived_at": campaign.archived_at,
    }
