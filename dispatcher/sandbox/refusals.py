"""How Meta says no: error codes with their titles, and the JSON an error is wrapped in.

One row per code that an answer to a send or a read may carry. Which refusal fits is decided elsewhere;
what the sandbox records as a violation of the sender's duties is named here as well, since both travel
together in a `Refusal`.

Source: Meta, "Cloud API error codes" (HTTP column: page of 2025-12-12; titles: read 2026-09).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson


class ViolationKind(StrEnum):
    """What a sender that keeps the rules never does."""

    BLOCKED_SENDER = "blocked_sender"
    """Posted from a number whose status forbids sending."""
    RATE = "rate"
    """Posted faster than the number's messages per second."""
    PAIR = "pair"
    """Posted to one person faster than the pair limit."""
    TIER = "tier"
    """Opened more people in a rolling day than the messaging limit allows."""
    UNKNOWN_TEMPLATE = "unknown_template"
    """Named a template that does not exist in this language."""
    UNAPPROVED_TEMPLATE = "unapproved_template"
    """Named a template that exists but may not be sent: pending, rejected, paused, disabled."""
    DUPLICATE = "duplicate"
    """Sent the same message again, or a second message of one campaign to one person. Accepted: Meta would."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not accepted. `code` is Meta's; `details` says what exactly was wrong."""

    code: int
    details: str
    violation: ViolationKind | None = None
    subcode: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """What belongs to a code: the HTTP status it is answered with and its title."""

    http_status: int
    title: str


ERRORS: Mapping[int, ErrorRow] = {
    0: ErrorRow(401, "We were unable to authenticate the app user"),
    1: ErrorRow(400, "Invalid request or possible server error"),
    2: ErrorRow(503, "Temporary due to downtime or due to being overloaded"),
    3: ErrorRow(500, "Capability or permissions issue"),
    4: ErrorRow(400, "The app has reached its API call rate limit"),
    10: ErrorRow(403, "Permission is either not granted or has been removed"),
    33: ErrorRow(400, "The business phone number has been deleted"),
    100: ErrorRow(400, "Invalid parameter"),
    104: ErrorRow(401, "An access token is required to request this resource"),
    190: ErrorRow(401, "Your access token has expired"),
    200: ErrorRow(403, "Permission is either not granted or has been removed"),
    368: ErrorRow(403, "Temporarily blocked for policies violations"),
    80007: ErrorRow(400, "Rate limit issues"),
    130429: ErrorRow(400, "Rate limit hit"),
    130472: ErrorRow(400, "User's number is part of an experiment"),
    130497: ErrorRow(403, "Business account is restricted from messaging users in this country"),
    131000: ErrorRow(500, "Something went wrong"),
    131005: ErrorRow(403, "Access denied"),
    131008: ErrorRow(400, "Required parameter is missing"),
    131009: ErrorRow(400, "Parameter value is not valid"),
    131016: ErrorRow(500, "Service unavailable"),
    131021: ErrorRow(400, "Recipient cannot be sender"),
    131026: ErrorRow(400, "Message undeliverable"),
    131030: ErrorRow(400, "Recipient phone number not in allowed list"),
    131031: ErrorRow(403, "Business account has been locked"),
    131037: ErrorRow(400, "Display name approval needed before sending messages"),
    131042: ErrorRow(400, "Business eligibility payment issue"),
    131045: ErrorRow(500, "Message failed to send due to a phone number registration error"),
    131047: ErrorRow(400, "Re-engagement message"),
    131048: ErrorRow(400, "Spam rate limit hit"),
    131049: ErrorRow(400, "This message was not delivered to maintain healthy ecosystem engagement"),
    131050: ErrorRow(400, "User has stopped marketing messages from this business"),
    131051: ErrorRow(400, "Unsupported message type"),
    131052: ErrorRow(400, "Media download error"),
    131053: ErrorRow(400, "Media upload error"),
    131056: ErrorRow(400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: ErrorRow(500, "Account in maintenance mode"),
    131059: ErrorRow(400, "Invalid cursor"),
    131062: ErrorRow(400, "Recipient given by a business-scoped user id is not supported"),
    131063: ErrorRow(400, "Marketing messages are disabled on Cloud API"),
    131064: ErrorRow(400, "Limited because of template classification violations"),
    132000: ErrorRow(400, "Number of parameters does not match the expected number of params"),
    132001: ErrorRow(404, "Template name does not exist in the translation"),
    132005: ErrorRow(400, "Template hydrated text too long"),
    132007: ErrorRow(400, "Template format character policy violated"),
    132012: ErrorRow(400, "Parameter format does not match format in the created template"),
    132015: ErrorRow(400, "Template is paused"),
    132016: ErrorRow(400, "Template is disabled"),
    132018: ErrorRow(400, "There is an issue with the parameters in your template"),
    132068: ErrorRow(400, "Flow is blocked"),
    132069: ErrorRow(400, "Flow is throttled"),
    133004: ErrorRow(503, "Server is temporarily unavailable"),
    133010: ErrorRow(400, "Account not registered"),
    134101: ErrorRow(400, "Template is syncing"),
    135000: ErrorRow(400, "Generic user error"),
}

_NEWS = ErrorRow(400, "An unknown error has occurred")
"""Any other code, asked for by a test of how a sender takes news."""

_GRAPH_CODES = frozenset({0, 3, 10, 33, 100, 104, 190, 200})
"""Errors of the Graph itself, not of WhatsApp: without `error_data` when nothing is detailed."""


def http_status(refusal: Refusal) -> int:
    """The HTTP status Meta answers this refusal with."""
    return ERRORS.get(refusal.code, _NEWS).http_status


def title_of(code: int) -> str:
    """What Meta calls this code."""
    return ERRORS.get(code, _NEWS).title


def error_body(refusal: Refusal, trace_id: str) -> bytes:
    """The JSON body of a refusal, in Meta's shape.

    Source: Meta, "Cloud API error codes", error response syntax, read 2026-09.
    """
    title = refusal.title or title_of(refusal.code)
    error: dict[str, object] = {
        "message": f"(#{refusal.code}) {title}",
        "type": "OAuthException",
        "code": refusal.code,
    }
    if refusal.details or refusal.code not in _GRAPH_CODES:
        error["error_data"] = {"messaging_product": "whatsapp", "details": refusal.details or title}
    if refusal.subcode is not None:
        error["error_subcode"] = refusal.subcode
        error["type"] = "GraphMethodException"
    error["fbtrace_id"] = trace_id
    return orjson.dumps({"error": error})


def not_visible(object_id: str, verb: str) -> Refusal:
    """The answer for an id that does not exist or is not visible to the token: Meta does not say which."""
    return Refusal(
        100,
        "",
        subcode=33,
        title=(
            f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded "
            "due to missing permissions, or does not support this operation"
        ),
    )
