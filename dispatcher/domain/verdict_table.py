"""The table of verdicts: one row for every code of Meta, in the words an engine acts on.

Read it from the top: the words, then the rows, grouped as they are met. A row is: code or range of codes, kind,
scope, how long the scope rests, what ends it, the reason for people, the source. ``verdict.py`` adds what
a code alone cannot say; nothing else in the house looks at numbers of Meta.

Invariant: no code stands twice, and every hold names what lifts it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple


class VerdictKind(StrEnum):
    """What to do, seen from the message that was answered."""

    RETRY_SAME_LATER = "retry_same_later"
    """Certainly not sent; the same message may be tried again when its calendar says so."""
    SLOW_DOWN_SENDER = "slow_down_sender"
    """Certainly not sent; try again, and lower the rate of what the scope names (a pair, a sender, an account)."""
    STOP_SENDER = "stop_sender"
    """Hold everything in the scope until the hold is lifted; its messages stay queued."""
    STOP_TEMPLATE = "stop_template"
    """Hold the template, and with it its campaigns, until the hold is lifted."""
    FAIL_RECIPIENT = "fail_recipient"
    """This person cannot be reached: permanently, or for ``wait``."""
    FAIL_MESSAGE = "fail_message"
    """This message cannot succeed unchanged; person and sender are fine."""
    AMBIGUOUS = "ambiguous"
    """Meta may or may not have taken it. Never posted again by itself; a receipt or the policy decides."""
    AUTH_STOP = "auth_stop"
    """Token or permission: hold everything that uses the token, and call an operator."""
    OPT_OUT = "opt_out"
    """The person stopped marketing: onto the suppression list."""
    NOT_FOR_MESSAGES = "not_for_messages"
    """A code of registration, management, calling or groups. For a message it is final, and news."""

    @property
    def is_stop(self) -> bool:
        """Whether others than this message must wait until a hold is lifted."""
        return self in _STOPS


_STOPS = frozenset({VerdictKind.STOP_SENDER, VerdictKind.STOP_TEMPLATE, VerdictKind.AUTH_STOP})


class Scope(StrEnum):
    """How far a verdict reaches."""

    MESSAGE = "message"
    """This message only."""
    PERSON = "person"
    """This person, whoever sends."""
    PAIR = "pair"
    """This person from this sender."""
    SENDER = "sender"
    """The business number it was sent from."""
    TEMPLATE = "template"
    """The template, in its language and account."""
    ACCOUNT = "account"
    """The WhatsApp Business account: its senders and templates, and the token that speaks for them."""
    PORTFOLIO = "portfolio"
    """The business portfolio with all its accounts."""
    APP = "app"
    """Our application at Meta: everything that is posted through it."""


class Lift(StrEnum):
    """What ends the effect of a verdict."""

    NOTHING = "nothing"
    """There is nothing to end: it is over with the message, or final for the person."""
    TIME = "time"
    """``wait`` has passed."""
    EVENT = "event"
    """A webhook or a poll says so; where there is a ``wait``, that is when to probe."""
    OPERATOR = "operator"
    """A human being mends something: pays, renews a token, edits a template."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer of Meta, understood."""

    code: int
    kind: VerdictKind
    scope: Scope
    wait: timedelta | None
    """How long the scope rests at least; None where time alone mends nothing."""
    lift: Lift
    reason: str
    """Short, for people."""
    source: str
    """The page or project the row rests on."""
    read: date
    """When the source was read."""
    is_news: bool = False
    """A code which is not in the table: to be counted and logged."""

    @property
    def is_certainly_not_sent(self) -> bool:
        """Whether posting the message again could not make a second copy."""
        return self.kind is not VerdictKind.AMBIGUOUS


class Source(NamedTuple):
    """Where a row comes from, and when that was read."""

    address: str
    read: date


ERRORS = Source(
    "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/", date(2026, 9, 11)
)
"""Meta, "Error codes"."""
OPENAPI = Source("https://github.com/facebook/openapi business-messaging-api_v23.0.yaml", date(2025, 11, 21))
"""Meta's own description of the API; for codes which the error page leaves out."""
CLIENTS = Source("https://github.com/vaam-apps/meta-whatsapp-rs", date(2026, 9, 26))
"""A client checked page by page against Meta's documentation; for codes seen in practice."""
PYWA = Source("https://github.com/david-lev/pywa", date(2026, 8, 12))
"""A client that follows the documentation closely; for codes seen in practice."""

K, S, L = VerdictKind, Scope, Lift
_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

Row = tuple[int | range, VerdictKind, Scope, timedelta | None, Lift, str, Source]

# A table is read by its lines.
# fmt: off
TABLE: tuple[Row, ...] = (
    # Meta is in trouble: it may have taken the message or not.
    (1, K.AMBIGUOUS, S.MESSAGE, None, L.NOTHING, "Meta failed for an unknown reason", ERRORS),
    (2, K.AMBIGUOUS, S.MESSAGE, 5 * _MINUTE, L.TIME, "Meta is down, overloaded or being upgraded", ERRORS),
    (131000, K.AMBIGUOUS, S.MESSAGE, None, L.NOTHING, "something went wrong at Meta", ERRORS),
    (131016, K.AMBIGUOUS, S.MESSAGE, 5 * _SECOND, L.TIME, "a service of Meta is unavailable", ERRORS),
    # Too fast.
    (4, K.SLOW_DOWN_SENDER, S.APP, _MINUTE, L.TIME, "our app makes too many calls", ERRORS),
    (613, K.SLOW_DOWN_SENDER, S.SENDER, _MINUTE, L.TIME, "too many calling-permission queries", ERRORS),
    (80007, K.SLOW_DOWN_SENDER, S.ACCOUNT, _MINUTE, L.TIME, "too many calls for this account", ERRORS),
    (130429, K.SLOW_DOWN_SENDER, S.SENDER, _SECOND, L.TIME, "the sender's messages per second are exceeded", ERRORS),
    (131056, K.SLOW_DOWN_SENDER, S.PAIR, _SECOND, L.TIME, "too many messages to this person in a short time", ERRORS),
    # The token or its permissions.
    (0, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "the token is expired, revoked or invalid", ERRORS),
    (3, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "a capability or permission is missing", ERRORS),
    (10, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "permission is missing or was removed", ERRORS),
    (104, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "no token was sent", OPENAPI),
    (190, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "the token has expired or is invalid", ERRORS),
    (range(200, 300), K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "permission is not granted or was removed", ERRORS),
    (131005, K.AUTH_STOP, S.ACCOUNT, None, L.OPERATOR, "access denied: a permission is missing", ERRORS),
    # The sender, its account or its portfolio may not send now.
    (33, K.STOP_SENDER, S.SENDER, None, L.OPERATOR, "the business number was deleted or its id is wrong", ERRORS),
    (368, K.STOP_SENDER, S.ACCOUNT, None, L.EVENT, "the account is restricted for policy violations", ERRORS),
    (803, K.STOP_SENDER, S.SENDER, None, L.OPERATOR, "the business number's id does not exist", OPENAPI),
    (131031, K.STOP_SENDER, S.ACCOUNT, None, L.EVENT, "the account is locked", ERRORS),
    (131037, K.STOP_SENDER, S.SENDER, None, L.EVENT, "the sender's display name is not approved yet", ERRORS),
    (131042, K.STOP_SENDER, S.ACCOUNT, None, L.OPERATOR, "the account has a payment problem", ERRORS),
    (131045, K.STOP_SENDER, S.SENDER, None, L.OPERATOR, "the number is not registered: wrong certificate", ERRORS),
    (131048, K.STOP_SENDER, S.SENDER, 6 * _HOUR, L.EVENT, "limited: too many people blocked or reported it", ERRORS),
    (131057, K.STOP_SENDER, S.SENDER, _MINUTE, L.TIME, "the sender is in maintenance mode", ERRORS),
    (131064, K.STOP_SENDER, S.PORTFOLIO, 6 * _HOUR, L.EVENT, "limited: templates in the wrong category", ERRORS),
    (133010, K.STOP_SENDER, S.SENDER, None, L.OPERATOR, "the number is not registered", ERRORS),
    (2494100, K.STOP_SENDER, S.SENDER, _MINUTE, L.TIME, "the sender is in maintenance mode", ERRORS),
    # The template may not be sent now.
    (131063, K.STOP_TEMPLATE, S.TEMPLATE, None, L.OPERATOR, "the account sends no marketing by Cloud API", ERRORS),
    (132001, K.STOP_TEMPLATE, S.TEMPLATE, None, L.EVENT, "the template does not exist in this language", ERRORS),
    (132015, K.STOP_TEMPLATE, S.TEMPLATE, None, L.EVENT, "the template is paused for low quality", ERRORS),
    (132016, K.STOP_TEMPLATE, S.TEMPLATE, None, L.OPERATOR, "the template is disabled for good", ERRORS),
    (132068, K.STOP_TEMPLATE, S.TEMPLATE, None, L.EVENT, "the template's flow is blocked", ERRORS),
    (132069, K.STOP_TEMPLATE, S.TEMPLATE, _HOUR, L.TIME, "the template's flow is throttled: 10 an hour", ERRORS),
    (134102, K.STOP_TEMPLATE, S.TEMPLATE, None, L.OPERATOR, "the template is unavailable as marketing message", ERRORS),
    (139200, K.STOP_TEMPLATE, S.TEMPLATE, None, L.OPERATOR, "direct sending is blocked", ERRORS),
    (134101, K.RETRY_SAME_LATER, S.TEMPLATE, 10 * _MINUTE, L.TIME, "the template is still being synced", ERRORS),
    # The person.
    (130403, K.FAIL_RECIPIENT, S.PAIR, None, L.OPERATOR, "the business has blocked this person", ERRORS),
    (130497, K.FAIL_RECIPIENT, S.PAIR, None, L.NOTHING, "the business may not message this country", ERRORS),
    (131021, K.FAIL_RECIPIENT, S.PAIR, None, L.NOTHING, "sender and recipient are the same number", ERRORS),
    (131026, K.FAIL_RECIPIENT, S.PERSON, 30 * _DAY, L.TIME, "not on WhatsApp, or unable to get the message", ERRORS),
    (131030, K.FAIL_RECIPIENT, S.PAIR, None, L.OPERATOR, "not on the test number's list of recipients", ERRORS),
    (131049, K.RETRY_SAME_LATER, S.PERSON, _DAY, L.TIME, "Meta spares this person marketing for now", ERRORS),
    (131050, K.OPT_OUT, S.PERSON, None, L.EVENT, "the person stopped marketing messages", ERRORS),
    # The message cannot go as it is.
    (100, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a parameter is unknown, misspelt or too long", ERRORS),
    (130472, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the person is in an experiment without marketing", ERRORS),
    (131008, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a required parameter is missing", ERRORS),
    (131009, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a parameter's value is not valid", ERRORS),
    (131020, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the group is unknown or invalid", ERRORS),
    (131041, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the group is unknown or invalid", ERRORS),
    (131047, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the service window is closed: send a template", ERRORS),
    (131051, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "this type of message is not supported", ERRORS),
    (131052, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the media could not be downloaded", ERRORS),
    (131053, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the media cannot be used", ERRORS),
    (131055, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "only marketing may go through this endpoint", ERRORS),
    (131062, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "this message needs a phone number, not a user id", ERRORS),
    (range(131201, 131216), K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a group message was refused", ERRORS),
    (132000, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the template wants another number of parameters", ERRORS),
    (132005, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the text is too long with its parameters", ERRORS),
    (132007, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the text violates WhatsApp's character policy", ERRORS),
    (132008, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a template parameter's value is not valid", PYWA),
    (132012, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "a template parameter has the wrong format", ERRORS),
    (132018, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the template's parameters are not valid", ERRORS),
    (134011, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the payments terms are not accepted", ERRORS),
    (134100, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "only marketing may go through this endpoint", ERRORS),
    (135000, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "something in the parameters is wrong", ERRORS),
    (137000, K.FAIL_MESSAGE, S.MESSAGE, None, L.NOTHING, "the person's identity has changed", ERRORS),
    # Registration, management, calling, groups: never the answer to a message we post.
    (131044, K.NOT_FOR_MESSAGES, S.ACCOUNT, None, L.NOTHING, "a payment problem of calling", ERRORS),
    (131059, K.NOT_FOR_MESSAGES, S.APP, None, L.NOTHING, "the page cursor is stale: list again", ERRORS),
    (131060, K.NOT_FOR_MESSAGES, S.MESSAGE, None, L.NOTHING, "an inbound message is not available", ERRORS),
    (133000, K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "deregistration is incomplete: repeat it", ERRORS),
    (133004, K.NOT_FOR_MESSAGES, S.SENDER, _MINUTE, L.TIME, "registration is unavailable for now", ERRORS),
    (133005, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the two-step PIN is wrong", ERRORS),
    (133006, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the number must be verified again", ERRORS),
    (133008, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "too many PIN guesses: the details say how long", ERRORS),
    (133009, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "PIN guessed too fast: the details say how long", ERRORS),
    (133015, K.NOT_FOR_MESSAGES, S.SENDER, 5 * _MINUTE, L.TIME, "the number was deleted a moment ago", ERRORS),
    (133016, K.NOT_FOR_MESSAGES, S.SENDER, 3 * _DAY, L.TIME, "registered or deregistered too often", ERRORS),
    (136024, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "no more verification codes for now", CLIENTS),
    (range(138000, 138030), K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "an error of calling", ERRORS),
    (range(139000, 139005), K.NOT_FOR_MESSAGES, S.ACCOUNT, None, L.NOTHING, "an error of flows", ERRORS),
    (range(139100, 139104), K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "an error of the block list", ERRORS),
    (range(141000, 142000), K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "a finding of the health check", ERRORS),
    (range(147001, 147006), K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "an error of usernames", ERRORS),
    (range(200005, 200008), K.NOT_FOR_MESSAGES, S.ACCOUNT, None, L.NOTHING, "an error of template insights", ERRORS),
    (1752041, K.NOT_FOR_MESSAGES, S.APP, None, L.NOTHING, "a duplicate request of partner onboarding", ERRORS),
    (2388012, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the number cannot be migrated", ERRORS),
    (2388019, K.NOT_FOR_MESSAGES, S.ACCOUNT, None, L.OPERATOR, "the account has as many templates as it may", ERRORS),
    (2388039, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "the template cannot be edited now", ERRORS),
    (2388040, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "a field of the template is too long", ERRORS),
    (2388047, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "the template's header is not valid", ERRORS),
    (2388072, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "the template's body is not valid", ERRORS),
    (2388073, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "the template's footer is not valid", ERRORS),
    (2388091, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the number cannot be migrated", ERRORS),
    (2388093, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the number cannot be migrated", ERRORS),
    (2388103, K.NOT_FOR_MESSAGES, S.SENDER, None, L.OPERATOR, "the number cannot be migrated", ERRORS),
    (2388293, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "too many variables for so few words", ERRORS),
    (2388299, K.NOT_FOR_MESSAGES, S.TEMPLATE, None, L.OPERATOR, "a variable begins or ends the template", ERRORS),
    (range(2494164, 2494180), K.NOT_FOR_MESSAGES, S.ACCOUNT, None, L.NOTHING, "an error of in-app sign-up", CLIENTS),
    (range(2593107, 2593109), K.NOT_FOR_MESSAGES, S.SENDER, None, L.NOTHING, "history was synced too often", ERRORS),
)

# fmt: on

LEGACY_CODES: Mapping[int, int] = {
    402: 131042,
    470: 131047,
    471: 131048,
    472: 130472,
    480: 137000,
    1004: 131009,
    1005: 131005,
    1008: 131008,
    1009: 131009,
    1013: 131026,
    1026: 131026,
    1031: 131031,
    130470: 131047,
}
"""Codes of the On-Premises API, still met in imports and partner APIs → their equivalent."""


def rows() -> Iterator[Verdict]:
    """The table, one verdict per code."""
    for codes, kind, scope, wait, lift, reason, source in TABLE:
        for code in codes if isinstance(codes, range) else (codes,):
            yield Verdict(code, kind, scope, wait, lift, reason, source.address, source.read)
