"""Decides what Meta would answer to one posted message, writes it into the record and has it reported.

The order is fixed here (Meta's is not): token, number, body, status, rate, content, opt-out, pair, tier.
Every post that reaches a number able to send spends of its rate, whatever comes of it; pair and tier are
spent by accepted messages only. Nothing here waits or knows HTTP: one call is one verdict, at one instant.

Statuses that cannot send answer with: BANNED 131031, RESTRICTED 131048, PENDING, DISCONNECTED and MIGRATED
133010, UNKNOWN 131045, DELETED 33. Posting from a MIGRATED number is refused but no violation: whether it
moved is for Meta to say, not for a sender to know.

Source: Meta, "Send messages", "Cloud API error codes", "Messaging limits", "Throughput", read 2026-09.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .envelope import read_message, read_recipient
from .freeform import check_freeform, check_mark
from .limits import PairLimit, RateBucket, Reach
from .parameters import check_components
from .record import Record
from .refusals import Refusal, ViolationKind, not_visible
from .weather import Clock
from .webhooks.receipts import Receipts
from .webhooks.updates import AcceptedMessage
from .world import LimitScope, Number, NumberStatus, Person, SandboxWorld, Template

_CANNOT_SEND: Mapping[NumberStatus, Refusal] = {
    NumberStatus.BANNED: Refusal(
        131031, "The business account has been banned for violating a policy.", ViolationKind.BLOCKED_SENDER
    ),
    NumberStatus.RESTRICTED: Refusal(
        131048,
        "This phone number is restricted: it reached its messaging limit.",
        ViolationKind.BLOCKED_SENDER,
    ),
    NumberStatus.PENDING: Refusal(
        133010, "The phone number's registration is not finished.", ViolationKind.BLOCKED_SENDER
    ),
    NumberStatus.DISCONNECTED: Refusal(
        133010, "The phone number is not connected to WhatsApp.", ViolationKind.BLOCKED_SENDER
    ),
    NumberStatus.UNKNOWN: Refusal(
        131045, "The phone number's state cannot be determined.", ViolationKind.BLOCKED_SENDER
    ),
    NumberStatus.DELETED: Refusal(33, "The phone number has been deleted.", ViolationKind.BLOCKED_SENDER),
    NumberStatus.MIGRATED: Refusal(133010, "The phone number has moved to another account."),
}

_UNSENDABLE_TEMPLATE = {"PAUSED": 132015, "DISABLED": 132016}
_SENDABLE_TEMPLATE = frozenset({"APPROVED", "FLAGGED"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message taken over."""

    wamid: str
    given: str
    """The person as the message named them."""
    person: Person
    from_template: bool


@dataclass(frozen=True, slots=True)
class MarkedRead:
    """Not a message: the business has read one."""


Verdict = Accepted | MarkedRead | Refusal
"""What is answered to a post."""


@dataclass(frozen=True, slots=True)
class _Content:
    """A checked content: its name in the record, and the template if it is one."""

    name: str
    template: Template | None


class Judge:
    """Judges posts against a world, with the limits' memory of what was accepted before."""

    def __init__(
        self, world: SandboxWorld, record: Record, clock_ms: Clock, receipts: Receipts | None = None
    ) -> None:
        """world and record are shared with the console; the clock decides what time it is.

        receipts: told of every accepted message while the world has a callback.
        """
        self.world = world
        self.record = record
        self._clock_ms = clock_ms
        self._receipts = receipts
        self.reset()

    def reset(self) -> None:
        """Forget what was accepted and which service windows are open."""
        self._rates: dict[str, RateBucket] = {}
        self._pairs = PairLimit()
        self._reaches: dict[tuple[LimitScope, str], Reach] = {}
        self._open_until_ms: dict[tuple[str, Person], int] = {}

    def now_ms(self) -> int:
        """The time by which everything is judged."""
        return self._clock_ms()

    def open_window(self, number_id: str, person: Person) -> int:
        """A person has written to a number: open their service window. Returns its end in milliseconds."""
        until_ms = self._clock_ms() + self.world.timing.day_ms
        self._open_until_ms[number_id, person] = until_ms
        return until_ms

    def receive(self, number_id: str, person: Person) -> int:
        """The same, and what a person writes uses up the number's rate as much as what it sends.

        Source: Meta, "Throughput" (inbound and outbound messages count together), read 2026-09.
        """
        self._take_rate(self.world.numbers[number_id], self._clock_ms())
        return self.open_window(number_id, person)

    def move_person(self, person: Person, to: Person) -> None:
        """A person has another number: their windows and their wishes go with them."""
        for (number_id, whose), until_ms in list(self._open_until_ms.items()):
            if whose == person:
                self._open_until_ms[number_id, to] = max(
                    until_ms, self._open_until_ms.get((number_id, to), 0)
                )
        if person in self.world.opted_out_people:
            self.world.opted_out_people.add(to)

    def people_reached(self, number: Number) -> int:
        """How many people count against this number's limit now."""
        return self._reach(number).count(self._clock_ms(), day_ms=self.world.timing.day_ms)

    def post(self, number_id: str, token: str | None, body: bytes, *, error: int | None = None) -> Verdict:
        """Judge one `POST /{number_id}/messages`.

        token: the bearer token, None if none was sent.
        error: a code to refuse an otherwise acceptable message with, None to be honest.
        """
        at_ms = self._clock_ms()
        number = self._visible_number(number_id, token)
        if isinstance(number, Refusal):
            return self._refuse(number_id, "", at_ms, number)
        message = read_message(body)
        if isinstance(message, Refusal):
            return self._refuse(number_id, "", at_ms, message)
        if message.get("status") == "read":
            refusal = check_mark(message)
            return MarkedRead() if refusal is None else self._refuse(number_id, "", at_ms, refusal)
        person = read_recipient(message)
        if isinstance(person, Refusal):
            return self._refuse(number_id, str(message.get("to", "")), at_ms, person)
        verdict = self._judge(number, person, message, at_ms)
        if error is not None and not isinstance(verdict, Refusal):
            verdict = Refusal(error, "")
        if isinstance(verdict, Refusal):
            return self._refuse(number_id, str(person), at_ms, verdict)
        return self._accept(number, person, message, verdict, at_ms)

    def _refuse(self, number_id: str, to: str, at_ms: int, refusal: Refusal) -> Refusal:
        self.record.refuse(number_id, refusal.code)
        if refusal.violation is not None:
            self.record.violate(refusal.violation, number_id, to, at_ms, refusal.code)
        return refusal

    def _visible_number(self, number_id: str, token: str | None) -> Number | Refusal:
        if token is None:
            return Refusal(104, "")
        if token not in self.world.tokens:
            return Refusal(190, "", title="Invalid OAuth access token - Cannot parse access token")
        number = self.world.numbers.get(number_id)
        if number is None or number.token != token:
            return not_visible(number_id, "post")
        return number

    def _judge(
        self, number: Number, person: Person, message: Mapping[str, Any], at_ms: int
    ) -> _Content | Refusal:
        """Everything from the number's status to its tier, in the order the module's head names."""
        cannot_send = _CANNOT_SEND.get(number.status)
        if cannot_send is not None:
            return cannot_send
        if not self._take_rate(number, at_ms):
            return Refusal(130429, "Message failed to send: too many messages a second.", ViolationKind.RATE)
        if person == number.digits:
            return Refusal(131021, "Recipient phone number is the sender's own.")
        pair = (number.id, person)
        in_window = self._open_until_ms.get(pair, 0) > at_ms
        content = self._check_content(number, person, message, in_window=in_window)
        if isinstance(content, Refusal):
            return content
        timing = self.world.timing
        if not self._pairs.allows(pair, at_ms, interval_ms=timing.pair_interval_ms, burst=timing.pair_burst):
            return Refusal(
                131056,
                "Message failed to send because there were too many messages sent from this phone number "
                "to the same phone number in a short period of time.",
                ViolationKind.PAIR,
            )
        limit = self.world.limit_of(number)
        if not in_window and not self._reach(number).allows(person, limit, at_ms, day_ms=timing.day_ms):
            return Refusal(
                131048,
                f"Message failed to send: the messaging limit of {limit} people a day is reached "
                f"({number.limit_scope.value}).",
                ViolationKind.TIER,
            )
        return content

    def _check_content(
        self, number: Number, person: Person, message: Mapping[str, Any], *, in_window: bool
    ) -> _Content | Refusal:
        kind = message.get("type", "text")
        if kind != "template":
            refusal = check_freeform(kind, message)
            if refusal is None and not in_window:
                refusal = Refusal(
                    131047, "More than 24 hours have passed since the person last wrote to this number."
                )
            return refusal or _Content(str(kind), None)
        template = self._template(number, message.get("template"))
        if isinstance(template, Refusal):
            return template
        if template.category == "MARKETING" and person in self.world.opted_out_people:
            return Refusal(131050, "The recipient has chosen to stop receiving marketing messages from you.")
        if template.category == "AUTHENTICATION" and isinstance(person, str):
            return Refusal(131062, "An authentication template needs a phone number.")
        refusal = check_components(template.form, message["template"].get("components"))
        return refusal or _Content(template.label, template)

    def _template(self, number: Number, wanted: object) -> Template | Refusal:
        if not isinstance(wanted, dict):
            return Refusal(131008, "Parameter 'template' is missing or not an object.")
        name, language = wanted.get("name"), wanted.get("language")
        code = language.get("code") if isinstance(language, dict) else None
        if not isinstance(name, str) or not isinstance(code, str):
            return Refusal(131008, "template['name'] and template['language']['code'] are required strings.")
        template = self.world.templates.get((number.waba_id, name, code))
        if template is None:
            return Refusal(
                132001, f"template name ({name}) does not exist in {code}", ViolationKind.UNKNOWN_TEMPLATE
            )
        if template.status not in _SENDABLE_TEMPLATE:
            refused = _UNSENDABLE_TEMPLATE.get(template.status, 132001)
            return Refusal(
                refused, f"template ({name}, {code}) is {template.status}", ViolationKind.UNAPPROVED_TEMPLATE
            )
        return template

    def _accept(
        self, number: Number, person: Person, message: Mapping[str, Any], content: _Content, at_ms: int
    ) -> Accepted:
        pair = (number.id, person)
        self._pairs.spend(pair, at_ms, interval_ms=self.world.timing.pair_interval_ms)
        if self._open_until_ms.get(pair, 0) <= at_ms:
            self._reach(number).spend(person, at_ms)
        token = message.get("biz_opaque_callback_data", "")
        receipts = self._receipts if self.world.callback is not None else None
        fails_later = 131026 if person in self.world.unknown_people else None
        if receipts is not None and fails_later is None:
            fails_later = receipts.code_to_fail_with()
        wamid = self.record.accept(
            number_id=number.id,
            person=person,
            content=content.name,
            token=token,
            at_ms=at_ms,
            once_per_campaign=content.template is not None,
            fails_later=fails_later,
        )
        if receipts is not None:
            category = "service" if content.template is None else content.template.category.lower()
            receipts.plan(AcceptedMessage(wamid, number, person, token, category, at_ms), fails_later)
        given = message.get("to") or message["recipient"]
        return Accepted(wamid, given, person, from_template=content.template is not None)

    def _take_rate(self, number: Number, at_ms: int) -> bool:
        bucket = self._rates.get(number.id)
        if bucket is None:
            bucket = self._rates[number.id] = RateBucket(number.rate_per_s, at_ms)
        return bucket.take(number.rate_per_s, at_ms)

    def _reach(self, number: Number) -> Reach:
        if number.limit_scope is LimitScope.PORTFOLIO:
            owner = (LimitScope.PORTFOLIO, self.world.portfolio_of(number).id)
        else:
            owner = (LimitScope.SENDER, number.id)
        reach = self._reaches.get(owner)
        if reach is None:
            reach = self._reaches[owner] = Reach()
        return reach
