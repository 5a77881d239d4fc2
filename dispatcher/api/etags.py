"""ETags of what can be edited: a digest of what is shown of it, less what changes by itself.

So a change that was made elsewhere, by command or by Meta, counts as well as one made here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from dispatcher.api.problems import Refusal
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.event import Subscription
from dispatcher.domain.sender import Sender


def campaign_etag(campaign: Campaign) -> str:
    """Of what was ordered, and of the state; progress does not change it."""
    return _etag(
        {
            "id": campaign.id,
            "name": campaign.name,
            "state": campaign.state,
            "weight": campaign.weight,
            "priority": campaign.priority,
            "deadline": campaign.deadline,
            "unsure_policy": campaign.unsure_policy,
            "metadata": dict(campaign.metadata),
        }
    )


def sender_etag(sender: Sender) -> str:
    """Of everything that is stored of it."""
    return _etag({field: str(getattr(sender, field)) for field in sender.__dataclass_fields__})


def subscription_etag(subscription: Subscription) -> str:
    """Of what was ordered, and whether it is enabled; how delivery stands does not change it."""
    return _etag({field: str(getattr(subscription, field)) for field in subscription.__dataclass_fields__})


def must_match(if_match: str, etag: str) -> None:
    """Raises Refusal where the caller saw something else."""
    if if_match not in ("*", etag):
        raise Refusal(
            412,
            "outdated",
            "It was changed meanwhile",
            "it is not what you saw; nothing was changed",
            hint="look again, and send the ETag of what you see then",
        )


def _etag(shown: Mapping[str, Any]) -> str:
    return f'"{hashlib.sha256(orjson.dumps(shown)).hexdigest()[:20]}"'
