"""What clients of Meta's own API are answered with: ids that are ours, and why a message is not taken.

Such a client knows messages by one text, which Meta calls a wamid, and gets it with the answer, long before Meta has the
message. So the text is ours, and says which message of which ledger it names; attempts and their wamids stay inside.
Which number Meta has for an objection is the affair of the street.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from dispatcher.domain.ids import REPLIES, CampaignId, MessageId
from dispatcher.domain.message import MessageState

_BEGINS = "wamid."
_NAMED = re.compile(rb"([0-9a-f]{1,32})\.([0-9]{1,18})\.([0-9]{1,18})")
"""Longer numbers are none of the ledger's ids."""


class GatewayId(NamedTuple):
    """A message as clients name it. Written as Meta writes its own, so that whoever looks at the form is content.

    No id of Meta reads as one of ours: what stands behind its dot begins with a byte that is no text.
    """

    instance: str
    """The ledger's own name."""
    campaign_id: CampaignId
    """`REPLIES` for a free-form message."""
    message_id: MessageId

    def __str__(self) -> str:
        named = f"{self.instance}.{self.campaign_id}.{self.message_id}".encode()
        return _BEGINS + base64.urlsafe_b64encode(named).decode()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read one back; None for a text that is not ours, such as a wamid of Meta."""
        if not text.startswith(_BEGINS) or not text.isascii():
            return None
        try:
            found = _NAMED.fullmatch(base64.urlsafe_b64decode(text.removeprefix(_BEGINS)))
        except binascii.Error:
            return None
        if found is None:
            return None
        return cls(found[1].decode(), CampaignId(int(found[2])), MessageId(int(found[3])))

    @property
    def is_reply(self) -> bool:
        """Whether it names a free-form message."""
        return self.campaign_id == REPLIES


class Objection(StrEnum):
    """Why a message is not taken; each member's docstring says what its details go on to name."""

    UNKNOWN_FIELD = "unknown_field"
    """A field that we do not know, and therefore cannot honour."""
    MISSING_FIELD = "missing_field"
    """A field that must be there."""
    BAD_FIELD = "bad_field"
    """A field that cannot be as it is."""
    UNKNOWN_TYPE = "unknown_type"
    """A type of message that we do not send."""
    UNKNOWN_TEMPLATE = "unknown_template"
    """The account has no such template in this language, or it is not approved."""
    TEMPLATE_PAUSED = "template_paused"
    """Meta has paused the template."""
    TEMPLATE_DISABLED = "template_disabled"
    """Meta has disabled the template for good."""
    WRONG_COUNT = "wrong_count"
    """More or fewer parameters than the template has."""
    WRONG_FORMAT = "wrong_format"
    """A parameter of another kind or name than the template has in that place."""
    BAD_PARAMETER = "bad_parameter"
    """A parameter's value that Meta would refuse."""
    TOO_LONG = "too_long"
    """The template's text is too long with these parameters."""
    NEEDS_NUMBER = "needs_number"
    """A template to a person of whom only a user id is known."""
    SUPPRESSED = "suppressed"
    """The person is on the suppression list."""
    WINDOW_CLOSED = "window_closed"
    """A free-form message to a person who has not written within the last 24 hours."""
    SENDER_LOCKED = "sender_locked"
    """The sender is banned or suspended."""
    SENDER_RESTRICTED = "sender_restricted"
    """The sender has reached a limit at Meta."""
    SENDER_NOT_REGISTERED = "sender_not_registered"
    """The sender is not ready: pending, disconnected, offline."""
    SENDER_UNKNOWN = "sender_unknown"
    """The sender's state cannot be told."""
    SENDER_DELETED = "sender_deleted"
    """The sender was removed from its account."""
    SENDER_DISABLED = "sender_disabled"
    """An operator has switched the sender off."""
    ACCOUNT_FAULT = "account_fault"
    """Token, permission or payment of the account were refused."""
    TEMPLATE_HELD = "template_held"
    """Meta does not take messages of this template at present."""
    FENCED = "fenced"
    """The ledger may not send until an operator has confirmed where it is."""
    QUEUE_FULL = "queue_full"
    """As many messages wait for this sender as may."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An expected refusal: nothing was stored."""

    why: Objection
    details: str
    """What exactly is at fault, for people."""
    retry_after: timedelta | None = None
    """Where waiting helps."""


class MessageRef(NamedTuple):
    """Which message of this ledger is meant; under `REPLIES` a free-form one."""

    campaign_id: CampaignId
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """What Meta's form of an event needs besides, as the ledger has it when the event is delivered."""

    waba_id: str
    phone_number_id: str | None
    """None: it concerns an account, and no number."""
    phone: str | None
    """The number's own, E.164."""
    callback_data: str | None = None
    """What the client gave with the message."""
    state: MessageState | None = None
    """Of the message by now."""
    attempt: int | None = None
    """How often it was posted by now."""
    named: Mapping[str, MessageRef] = field(default_factory=dict)
    """Of what people answer: Meta's id → the message, where it is ours."""
