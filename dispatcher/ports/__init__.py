"""The seams of the house: what the engine needs from the world.

Each port has one promise and one conformance suite in `tests/contracts/`, run over every implementation.
The engine knows these names and nothing of SQL, Redis, HTTP or arq.
"""

from dispatcher.ports.access import AuditBook, KeyBook, KeyRates
from dispatcher.ports.archive import ArchiveBook
from dispatcher.ports.books import CampaignBook, FenceBook, Management, SenderBook, UnsureBook
from dispatcher.ports.events import (
    Callbacks,
    DeadEvents,
    Envelopes,
    EventTelemetry,
    Outbox,
    SubscriptionBook,
)
from dispatcher.ports.gateway import GatewayBook, RelayBook, StandingBook, TemplateReader
from dispatcher.ports.intake import Inbox, IntakeBatch, ReceiptBook
from dispatcher.ports.lane import (
    Channel,
    Clock,
    Jobs,
    Limits,
    Memory,
    Payload,
    Payloads,
    Telemetry,
    Turns,
    Witness,
)
from dispatcher.ports.listings import Listings
from dispatcher.ports.people import ConversationBook, PeopleBook, SuppressionBook
from dispatcher.ports.replies import (
    ReplyBook,
    ReplyChannel,
    ReplyJobs,
    ReplyPayloads,
    ReplyTurns,
    UnsureReplyBook,
)

__all__ = [
    "ArchiveBook",
    "AuditBook",
    "Callbacks",
    "CampaignBook",
    "Channel",
    "Clock",
    "ConversationBook",
    "DeadEvents",
    "Envelopes",
    "EventTelemetry",
    "FenceBook",
    "GatewayBook",
    "Inbox",
    "IntakeBatch",
    "Jobs",
    "KeyBook",
    "KeyRates",
    "Limits",
    "Listings",
    "Management",
    "Memory",
    "Outbox",
    "Payload",
    "Payloads",
    "PeopleBook",
    "ReceiptBook",
    "RelayBook",
    "ReplyBook",
    "ReplyChannel",
    "ReplyJobs",
    "ReplyPayloads",
    "ReplyTurns",
    "SenderBook",
    "StandingBook",
    "SubscriptionBook",
    "SuppressionBook",
    "Telemetry",
    "TemplateReader",
    "Turns",
    "UnsureBook",
    "UnsureReplyBook",
    "Witness",
]
