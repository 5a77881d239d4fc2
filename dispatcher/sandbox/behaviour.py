"""How the sandbox behaves, as figures: latency, chosen errors, broken connections, and the habits of its webhooks.

Off unless asked for: a plain behaviour answers every post honestly and at once, and reports by webhook at once.
These are settings only. `weather` says which behaviour counts now, `dice` draws from it what happens to a post,
`receipts` and `deliveries` what happens to a webhook.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What may happen to a post instead of an answer."""

    CLOSED_UNREAD = "closed_unread"
    """The connection breaks before the body is read. Not accepted."""
    RESET_IN_BODY = "reset_in_body"
    """The connection is reset (RST) as soon as some of the body has arrived. Not accepted."""
    CLOSED_ACCEPTED = "closed_accepted"
    """The message is accepted, then the connection breaks without an answer."""
    RESET_ACCEPTED = "reset_accepted"
    """The message is accepted, then the connection is reset (RST) without an answer."""
    SILENT_ACCEPTED = "silent_accepted"
    """The message is accepted and no answer ever comes: the client's time-out ends it."""
    HALF_ANSWER_ACCEPTED = "half_answer_accepted"
    """The message is accepted, and the connection closes in the middle of the answer's body."""
    GARBAGE_ACCEPTED = "garbage_accepted"
    """The message is accepted, and answered with bytes that are not HTTP."""
    PAGE_ACCEPTED = "page_accepted"
    """The message is accepted, and answered with HTTP 200 and a web page instead of JSON."""
    BARE_5XX = "bare_5xx"
    """HTTP 502 without a body. Not accepted."""
    BARE_5XX_ACCEPTED = "bare_5xx_accepted"
    """HTTP 502 without a body, after the message was accepted: only the record tells the difference."""


class LatencyShape(StrEnum):
    """How times spread."""

    FIXED = "fixed"
    """Always `ms`."""
    UNIFORM = "uniform"
    """Between `ms` and `to_ms`."""
    LOGNORMAL = "lognormal"
    """Around a median of `ms`, with a long tail: `sigma` is its spread."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A time that is drawn: from a post to its answer, from one receipt to the next."""

    shape: LatencyShape = LatencyShape.FIXED
    ms: float = 0.0
    to_ms: float = 0.0
    sigma: float = 0.4

    @property
    def is_none(self) -> bool:
        """Whether it is always 0."""
        return self.ms == 0 and self.to_ms == 0

    def draw_ms(self, chance: random.Random) -> float:
        """Milliseconds, at least 0."""
        match self.shape:
            case LatencyShape.FIXED:
                return self.ms
            case LatencyShape.UNIFORM:
                return chance.uniform(self.ms, self.to_ms)
            case LatencyShape.LOGNORMAL:
                return self.ms * chance.lognormvariate(0, self.sigma)


@dataclass(frozen=True, slots=True)
class WebhookBehaviour:
    """What is reported of accepted messages, when, and how badly it travels. Shares are between 0 and 1.

    Source: Meta, "Webhooks", "Messages webhooks" (statuses) and "Throughput", read 2026-09. The pages give
    36 hours and 7 days for retries; 7 days is what the newer one says.
    """

    sent: Latency = Latency()
    """From acceptance to `sent`."""
    delivered: Latency = Latency()
    """From `sent` to `delivered`."""
    read: Latency = Latency()
    """From `delivered` to `read`."""
    failed: Latency = Latency()
    """From acceptance to `failed`; from `delivered` where both are reported."""

    failures: Mapping[int, float] = field(default_factory=dict)
    """Share of accepted messages that fail later with this code: together at most 1."""
    delivered_share: float = 1.0
    """Of those sent; the rest stays at `sent`."""
    read_share: float = 0.0
    """Of those that arrive; needs no `delivered`."""
    read_only_share: float = 0.0
    """Of those read: reported without `delivered`, as for an open chat."""
    failed_too_share: float = 0.0
    """Of those delivered: `failed` is reported as well, as for a second device."""

    duplicate_share: float = 0.0
    """Of all updates: reported once more."""
    duplicate_after: Latency = Latency()
    """From the first time to the second."""
    late_share: float = 0.0
    """Of all updates: longer on their way, so that later ones overtake them."""
    late_by: Latency = Latency()
    """How much longer."""
    lost_share: float = 0.0
    """Of all updates: never reported at all."""

    scoped_ids: bool = True
    """The shape of 2026: `contacts` and business-scoped user ids in receipts."""
    updates_per_post: int = 1
    """The most updates that travel in one POST; they do when they are due while all connections are busy."""
    statuses_per_entry: int = 1000
    """The most receipts, or messages, under one `entry` of a POST; more of them make more entries."""
    connections: int = 16
    """POSTs under way at the same time."""
    timeout_s: float = 10.0
    """An answer later than this is none."""
    retry_after_s: float = 1.0
    """Until the second attempt of a POST that was not answered with 200; doubles with each attempt …"""
    retry_at_most_s: float = 3600.0
    """… up to this."""
    retry_for_s: float = 604_800.0
    """A POST is given up when its next attempt would come later than this after the first."""

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises ValueError."""
        _check_shares(self.failures.values(), "failures")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to do to posts, as shares of all posts between 0 and 1, together at most 1; and to webhooks."""

    latency: Latency = Latency()
    """Between a post and its answer. What is judged is the moment the post came in."""
    errors: Mapping[int, float] = field(default_factory=dict)
    """Share of otherwise acceptable posts that are refused with this code."""
    faults: Mapping[Fault, float] = field(default_factory=dict)
    webhooks: WebhookBehaviour = field(default_factory=WebhookBehaviour)

    def __post_init__(self) -> None:
        """Refuse shares that do not add up. Raises ValueError."""
        _check_shares([*self.errors.values(), *self.faults.values()], "errors and faults")


def _check_shares(shares: Iterable[float], of_what: str) -> None:
    listed = list(shares)
    if any(share < 0 for share in listed) or sum(listed) > 1:
        raise ValueError(f"shares of {of_what} are at least 0 and add up to at most 1")
