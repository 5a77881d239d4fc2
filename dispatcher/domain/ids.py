"""Names for the numbers that travel through the house.

An id is a `NewType`, so that a sender's id cannot be passed where a message's is meant.
All ids are made by the ledger; none is ever reused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType, Self

SenderId = NewType("SenderId", int)
CampaignId = NewType("CampaignId", int)
LaneId = NewType("LaneId", int)
MessageId = NewType("MessageId", int)
ConversationId = NewType("ConversationId", int)

REPLIES = CampaignId(0)
"""Which no campaign has: under it stand tokens, attempts and receipts of replies, whose `MessageId` is the reply's own."""

TurnId = NewType("TurnId", int)
"""One run of a lane, or of the reply lane. Also the claim id that is stamped on each message the turn has leased."""

PersonKey = NewType("PersonKey", str)
"""A person in comparable form: E.164, without the digits that Brazil, Mexico and Argentina treat as optional."""

PoolKey = NewType("PoolKey", str)
"""The quota pool: senders whose limits may be shared. A portfolio, or a sender that belongs to none."""

Epoch = NewType("Epoch", str)
"""One life of a pool's memory in Redis. A new epoch means that the memory was lost and rebuilt from the ledger."""


_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


def is_user_id(text: str) -> bool:
    """Whether this is a business-scoped user id, which Meta gives where a phone number is hidden.

    Source: Meta, "Business-scoped user ids", read 2026-09.
    """
    return _USER_ID.fullmatch(text) is not None


_TOKEN = re.compile(r"([^.]*)\.([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,4})")
"""Longer numbers are none of the ledger's ids and attempts."""


def token_start(instance: str, campaign_id: CampaignId) -> str:
    """What the tokens of a campaign have in common; the message's id, a dot and the attempt follow."""
    return f"{instance}.{campaign_id}."


@dataclass(frozen=True, slots=True)
class Token:
    """What travels to Meta and back in `biz_opaque_callback_data`, at most 512 characters.

    `instance` tells this ledger from any other that uses the same WhatsApp account,
    `attempt` tells a repeated post of one message from the first.
    """

    instance: str
    campaign_id: CampaignId
    message_id: MessageId
    attempt: int

    def __str__(self) -> str:
        return f"{token_start(self.instance, self.campaign_id)}{self.message_id}.{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a token back; None for a text that is not one of ours."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            return None
        campaign, message, attempt = (int(part) for part in found.groups()[1:])
        return cls(found[1], CampaignId(campaign), MessageId(message), attempt)
