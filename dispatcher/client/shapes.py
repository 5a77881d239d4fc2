"""The answers of the API, as types: JSON as it came. Times are texts, ISO 8601 in UTC. docs/api.md explains the fields."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

CampaignState = Literal["draft", "running", "paused", "completed", "cancelled"]
MessageState = Literal[
    "pending", "claimed", "accepted", "refused", "unsure", "suppressed", "cancelled", "expired"
]
UnsurePolicy = Literal["give_up", "resend", "ask"]


class Hold(TypedDict):
    """A wait with its cause."""

    reason: str
    detail: str
    until: str | None
    ends_by: str


class Counts(TypedDict):
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


class Campaign(TypedDict):
    """A campaign with its counts."""

    id: int
    name: str
    state: CampaignState
    paused_because: str | None
    template: str
    language: str
    senders: list[str]
    mapping: dict[str, dict[str, str]]
    columns: list[str]
    weight: int
    priority: int
    deadline: str | None
    unsure_policy: UnsurePolicy
    metadata: dict[str, str]
    created_at: str
    started_at: str | None
    finished_at: str | None
    archived_at: str | None
    counts: Counts


class Waiting(Hold):
    """People who wait for the same thing."""

    people: int


class Lane(TypedDict):
    """One sender's part of a campaign."""

    sender: str
    is_running: bool
    next_at: str | None
    hold: Hold | None
    claimed: int
    accepted: int
    refused: int
    unsure: int


class CampaignDetail(Campaign):
    """A campaign as it stands."""

    waiting: list[Waiting]
    lanes: list[Lane]


class Stopped(TypedDict):
    """What pausing or cancelling has come to."""

    campaign: CampaignDetail
    handed_over: int
    still_in_flight: int


class Upload(TypedDict):
    """What came of a stream or a page of people: rows = people + rejected."""

    upload: int
    rows: int
    people: int
    suppressed: int
    rejected: dict[str, int]


class RejectedRow(TypedDict):
    """A row that became no message."""

    upload: int | None
    line: int
    column: str
    reason: str
    value: str


class LaneExplanation(TypedDict):
    """One sender's part of an answer to "why"."""

    sender: str
    binding: list[Hold]
    outlook: list[str]


class Explanation(TypedDict):
    """Why something is where it is."""

    summary: str
    binding: Hold | None
    advice: str
    lanes: list[LaneExplanation]


class Message(TypedDict):
    """A message in a list."""

    id: int
    person: str
    state: MessageState
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int
    not_before: str | None
    posted_at: str | None
    wamid: str | None
    receipt: str | None
    delivered_at: str | None
    read_at: str | None
    receipt_code: int | None
    upload: int | None
    line: int | None


class MessageDetail(TypedDict):
    """A message with its history."""

    campaign_id: int
    id: int
    person: str
    state: MessageState
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int
    not_before: str | None
    posted_at: str | None
    wamid: str | None
    values: list[str]
    attempts: list[dict[str, Any]]
    receipts: list[dict[str, Any]]


class ExplainedMessage(TypedDict):
    """A message, and why it is where it is."""

    message: MessageDetail
    explanation: Explanation


class Ordered(TypedDict):
    """A single message that was ordered."""

    id: int
    to: str


class Single(ExplainedMessage):
    """A single message as it stands."""

    id: int
    is_over: bool
    metadata: dict[str, str]
    deadline: str | None


class ExportedRow(TypedDict):
    """Somebody of a campaign, or a rejected row (state "rejected")."""

    upload: int | None
    line: int | None
    phone: str
    state: str
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int | None
    posted_at: str | None
    wamid: str | None
    message_id: int | None
    receipt: str | None
    delivered_at: str | None
    read_at: str | None
    receipt_code: int | None


class Sender(TypedDict):
    """A sender as it stands."""

    name: str
    phone: str
    phone_number_id: str
    waba_id: str
    portfolio_id: str | None
    status: str
    lifecycle: str
    quality: str
    tier: int | None
    tier_label: str
    limit_scope: str
    rate_per_s: float
    rate_now_per_s: float
    enabled: bool
    token: str
    origin: str
    may_send: bool
    holds: list[Hold]
    usage: dict[str, Any] | None


class Senders(TypedDict):
    """All senders, by name."""

    items: list[Sender]


class Suppressed(TypedDict):
    """A person on the suppression list."""

    person: str
    reason: str
    source: str
    at: str
    until: str | None


class Changed(TypedDict):
    """How many of those who were given were not, or were, on the list before."""

    given: int
    changed: int


class HistoryEntry(TypedDict):
    """Something that happened to a person on the suppression list."""

    at: str
    change: str
    reason: str
    source: str
    recorded_at: str


class History(TypedDict):
    """All that happened to a person on the list, the oldest first."""

    items: list[HistoryEntry]
