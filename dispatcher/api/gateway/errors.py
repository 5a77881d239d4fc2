"""What we refuse in Meta's format and with Meta's codes: one table, from our reasons to Meta's.

Clients branch on `code`; `error_data.details` says in words what is at fault, as Meta's own details do. The HTTP status is
Meta's where Meta has one that holds, and 429 wherever waiting helps, with the time in `Retry-After`.
Source: Meta, "Error codes" (shape, codes, titles), read 2026-09; HTTP statuses of the page of 2025-12-12.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import orjson
from starlette.responses import Response

from dispatcher.api.problems import AGAIN_S, retry_after
from dispatcher.domain.access import Denial, Denied
from dispatcher.domain.errors import (
    BadValue,
    Busy,
    ChannelRefused,
    ChannelUnavailable,
    DispatcherError,
    LedgerUnavailable,
    LimitsUnavailable,
)
from dispatcher.domain.gateway import Objection, Refused
from dispatcher.domain.queued_reply import NotQueued, ReplyRefusal


class MetaError(NamedTuple):
    """A kind of error of Meta's."""

    code: int
    status: int
    title: str
    is_transient: bool = False
    """Whether the same may succeed later, unchanged."""


UNKNOWN_KEY = MetaError(190, 401, "Invalid OAuth access token")
NOT_VISIBLE = MetaError(
    100,
    400,
    "Unsupported request. The object does not exist, cannot be loaded due to missing permissions, or does not support "
    "this operation",
)
UNAVAILABLE = MetaError(131016, 503, "Service unavailable", is_transient=True)
INVALID = MetaError(100, 400, "Invalid parameter")
TOO_MANY_CALLS = MetaError(80007, 429, "Rate limit issues", is_transient=True)
DEFECT = MetaError(131000, 500, "Something went wrong")
NOT_FROM_HERE = MetaError(3, 403, "Capability or permissions issue")
"""What clients may not do through us."""

ERRORS: Mapping[Denial | Objection, MetaError] = {
    Denial.NO_KEY: MetaError(104, 401, "An access token is required to request this resource"),
    Denial.UNKNOWN_KEY: UNKNOWN_KEY,
    Denial.REVOKED_KEY: UNKNOWN_KEY,
    Denial.EXPIRED_KEY: MetaError(190, 401, "Error validating access token: the session has expired"),
    Denial.MISSING_SCOPE: MetaError(10, 403, "Application does not have permission for this action"),
    Denial.TOO_MANY_CALLS: MetaError(4, 429, "Application request limit reached", is_transient=True),
    Objection.UNKNOWN_FIELD: INVALID,
    Objection.MISSING_FIELD: MetaError(131008, 400, "Required parameter is missing"),
    Objection.BAD_FIELD: MetaError(131009, 400, "Parameter value is not valid"),
    Objection.UNKNOWN_TYPE: MetaError(131051, 400, "Unsupported message type"),
    Objection.UNKNOWN_TEMPLATE: MetaError(132001, 404, "Template name does not exist in the translation"),
    Objection.TEMPLATE_PAUSED: MetaError(132015, 400, "Template is paused"),
    Objection.TEMPLATE_DISABLED: MetaError(132016, 400, "Template is disabled"),
    Objection.TEMPLATE_HELD: MetaError(132015, 400, "Template is paused"),
    Objection.WRONG_COUNT: MetaError(
        132000, 400, "Number of parameters does not match the expected number of params"
    ),
    Objection.WRONG_FORMAT: MetaError(
        132012, 400, "Parameter format does not match format in the created template"
    ),
    Objection.BAD_PARAMETER: MetaError(132018, 400, "There is an issue with the parameters in your template"),
    Objection.TOO_LONG: MetaError(132005, 400, "Template hydrated text too long"),
    Objection.NEEDS_NUMBER: MetaError(
        131062, 400, "Recipient given by a business-scoped user id is not supported"
    ),
    Objection.SUPPRESSED: MetaError(131050, 400, "User has stopped marketing messages from this business"),
    Objection.WINDOW_CLOSED: MetaError(131047, 400, "Re-engagement message"),
    Objection.SENDER_LOCKED: MetaError(131031, 403, "Business account has been locked"),
    Objection.SENDER_RESTRICTED: MetaError(131048, 400, "Spam rate limit hit"),
    Objection.SENDER_NOT_REGISTERED: MetaError(133010, 400, "Account not registered"),
    Objection.SENDER_UNKNOWN: MetaError(
        131045, 500, "Message failed to send due to a phone number registration error"
    ),
    Objection.SENDER_DELETED: MetaError(33, 400, "The business phone number has been deleted"),
    Objection.SENDER_DISABLED: MetaError(368, 403, "Temporarily blocked"),
    Objection.ACCOUNT_FAULT: MetaError(131042, 400, "Business eligibility payment issue"),
    Objection.FENCED: UNAVAILABLE,
    Objection.QUEUE_FULL: MetaError(130429, 429, "Rate limit hit", is_transient=True),
}
"""Our reason → Meta's error. Total, as a test holds."""

_REPLIES: Mapping[ReplyRefusal, Objection] = {
    ReplyRefusal.NO_CONVERSATION: Objection.WINDOW_CLOSED,
    ReplyRefusal.WINDOW_CLOSED: Objection.WINDOW_CLOSED,
    ReplyRefusal.SENDER_BLOCKED: Objection.SENDER_RESTRICTED,
    ReplyRefusal.BAD_CONTENT: Objection.BAD_FIELD,
    ReplyRefusal.KEY_TAKEN: Objection.BAD_FIELD,
}


class GatewayRefusal(Exception):
    """Ends a call with an error of Meta's."""

    def __init__(self, error: MetaError, details: str, wait: timedelta | None = None) -> None:
        super().__init__(details)
        self.error = error
        self.details = details
        self.wait = wait

    @property
    def answer(self) -> Response:
        """As Meta writes it."""
        told = {
            "message": f"(#{self.error.code}) {self.error.title}",
            "type": "OAuthException",
            "code": self.error.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details},
            **({"is_transient": True} if self.error.is_transient else {}),
            "fbtrace_id": f"D{secrets.token_hex(8)}",
        }
        headers = {"Retry-After": retry_after(self.wait)} if self.wait is not None else {}
        if self.error.status == 401:
            headers["WWW-Authenticate"] = 'OAuth "Facebook Platform" "invalid_token"'
        body = orjson.dumps({"error": told})
        return Response(body, self.error.status, headers, media_type="application/json")


def denied(refusal: Denied, *, is_bare: bool = False) -> GatewayRefusal:
    """Why a call was not let in. is_bare: it came without any token; to Meta, one that is none is a bad one."""
    why = refusal.why
    if why is Denial.NO_KEY and not is_bare:
        why = Denial.UNKNOWN_KEY
    return GatewayRefusal(ERRORS[why], f"{_DENIED[why]}; nothing was done", refusal.retry_after)


_DENIED: Mapping[Denial, str] = {
    Denial.NO_KEY: "the header Authorization must be: Bearer, and a key of the dispatcher",
    Denial.UNKNOWN_KEY: "we do not know this key; the token here is a key of the dispatcher, not one of Meta",
    Denial.REVOKED_KEY: "the key was revoked",
    Denial.EXPIRED_KEY: "the key has expired",
    Denial.MISSING_SCOPE: "the key's scopes do not open this: templates need messages:write, all else replies:write, "
    "and whatever is only looked at needs read",
    Denial.TOO_MANY_CALLS: "the key is used faster than its rate allows",
}


def refused(refusal: Refused) -> GatewayRefusal:
    """Why a message is not taken."""
    return GatewayRefusal(ERRORS[refusal.why], refusal.details, refusal.retry_after)


def not_queued(refusal: NotQueued) -> GatewayRefusal:
    """Why a free-form message is not taken."""
    details = refusal.detail if refusal.field is None else f"{refusal.field}: {refusal.detail}"
    return GatewayRefusal(ERRORS[_REPLIES[refusal.reason]], details)


def of_house(error: DispatcherError) -> GatewayRefusal | None:
    """What an error of the house is to a client; None for a defect."""
    again = timedelta(seconds=AGAIN_S)
    match error:
        case LedgerUnavailable() | LimitsUnavailable() | ChannelUnavailable() | Busy():
            return GatewayRefusal(UNAVAILABLE, str(error), again)
        case ChannelRefused() if error.code == TOO_MANY_CALLS.code:
            return GatewayRefusal(TOO_MANY_CALLS, str(error), again)
        case ChannelRefused():
            code = error.code or DEFECT.code
            return GatewayRefusal(MetaError(code, 400, "Meta has refused this"), str(error))
        case BadValue():
            return GatewayRefusal(ERRORS[Objection.BAD_FIELD], str(error))
        case _:
            return None
