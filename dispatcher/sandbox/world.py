"""What exists in the sandbox: portfolios, accounts, numbers, templates and people with a peculiarity.

The facts only: who may send what is decided in `judge`, how much in `limits`, and strangers' input is
validated in `settings` before it gets here. Every entry is frozen; a change replaces it, so that a post
sees a number either before or after a change and never half of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from .templates import TemplateForm, read_form
from .webhooks.callback import Callback

Person = int | str
"""A phone number as its digits (E.164 without plus: at most 15, so it fits 64 bits), or a business-scoped id."""

Component = dict[str, Any]
"""One part of a template in Meta's own format, kept as it was given and listed as it was kept."""


class NumberStatus(StrEnum):
    """How Meta sees a business number. Source: Meta, "Business phone numbers", `status`, read 2026-09."""

    CONNECTED = "CONNECTED"
    """Active."""
    PENDING = "PENDING"
    """Added, its registration or verification not finished."""
    DELETED = "DELETED"
    """Removed from its account."""
    BANNED = "BANNED"
    """Deactivated for violating a policy."""
    RESTRICTED = "RESTRICTED"
    """Reached its messaging limit."""
    DISCONNECTED = "DISCONNECTED"
    """Not connected to WhatsApp's network."""
    UNKNOWN = "UNKNOWN"
    """Its state cannot be determined."""
    MIGRATED = "MIGRATED"
    """Moved to another account or provider."""
    RATE_LIMITED = "RATE_LIMITED"
    """Slowed down after staying at low quality; still sends."""
    FLAGGED = "FLAGGED"
    """Its quality has fallen to low; still sends."""
    UNVERIFIED = "UNVERIFIED"
    """Its business is not verified; still sends, within a low tier."""


class Quality(StrEnum):
    """The rating people's feedback gave a number. Source: as `NumberStatus`, `quality_rating`."""

    GREEN = "GREEN"
    """High."""
    YELLOW = "YELLOW"
    """Medium."""
    RED = "RED"
    """Low; the number still sends."""
    UNKNOWN = "UNKNOWN"
    """Not yet rated."""


class LimitScope(StrEnum):
    """Whose people a messaging limit counts."""

    SENDER = "sender"
    """Each number has its own limit: the rule before 2025-10-07."""
    PORTFOLIO = "portfolio"
    """All numbers of a portfolio share one limit. Source: Meta, "Messaging limits", read 2026-09."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A business with its accounts. `tier_limit`: people a rolling day, None for unlimited."""

    id: str
    name: str = "Sandbox portfolio"
    tier_limit: int | None = 250


@dataclass(frozen=True, slots=True)
class Waba:
    """A WhatsApp Business Account (WABA): owns numbers and templates."""

    id: str
    portfolio_id: str
    name: str = "Sandbox account"


@dataclass(frozen=True, slots=True)
class Number:
    """A business number. `tier_limit` counts when `limit_scope` is the sender; None means unlimited."""

    id: str
    waba_id: str
    display_phone_number: str
    token: str = "sandbox-token"  # noqa: S105 - opens nothing but the sandbox
    verified_name: str = "Sandbox Shop"
    status: NumberStatus = NumberStatus.CONNECTED
    quality: Quality = Quality.GREEN
    tier_limit: int | None = 250
    limit_scope: LimitScope = LimitScope.SENDER
    rate_per_s: int = 80
    throughput: str = "STANDARD"

    digits: int = field(init=False, repr=False, compare=False)
    """The number itself as a person would dial it: nobody may write to themselves."""

    def __post_init__(self) -> None:
        """Read the digits once. Raises ValueError when there are none."""
        object.__setattr__(self, "digits", int("".join(filter(str.isdigit, self.display_phone_number))))


@dataclass(frozen=True, slots=True)
class Template:
    """One template in one language. Its identity is (account, name, language); the id is per language."""

    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: tuple[Component, ...]
    status: str = "APPROVED"
    parameter_format: str = "POSITIONAL"
    quality: Quality = Quality.GREEN
    form: TemplateForm = field(init=False, repr=False, compare=False)
    label: str = field(init=False, repr=False, compare=False)
    """How the record names it."""

    def __post_init__(self) -> None:
        """Read what a message must fill in, once, so that a post only compares. Raises ValueError."""
        object.__setattr__(self, "form", read_form(self.components, named=self.parameter_format == "NAMED"))
        object.__setattr__(self, "label", f"template:{self.name}:{self.language}")

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by: account, name, language."""
        return self.waba_id, self.name, self.language


@dataclass(frozen=True, slots=True)
class Timing:
    """The lengths rehearsals shorten. Source: Meta, "Messaging limits" and "Throughput", read 2026-09."""

    day_ms: int = 86_400_000
    """How long a person counts against a tier, and how long a service window stays open."""
    pair_interval_ms: int = 6_000
    """One message to one person each so many milliseconds …"""
    pair_burst: int = 45
    """… with so many at once, borrowed from the time after."""


@dataclass(slots=True)
class SandboxWorld:
    """All there is, by id. Change it through its methods, or over the console."""

    portfolios: dict[str, Portfolio] = field(default_factory=dict)
    wabas: dict[str, Waba] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    templates: dict[tuple[str, str, str], Template] = field(default_factory=dict)
    unknown_people: set[Person] = field(default_factory=set)
    """Not on WhatsApp: accepted at first, and failed later by webhook, as Meta does."""
    opted_out_people: set[Person] = field(default_factory=set)
    """Want no marketing from us."""
    timing: Timing = field(default_factory=Timing)
    callback: Callback | None = None
    """Where webhooks go; without one there are none."""
    tokens: set[str] = field(default_factory=set)
    """Every token that is valid for some number."""

    def put_portfolios(self, portfolios: Iterable[Portfolio]) -> None:
        """Add portfolios; one with a known id is replaced, others stay."""
        self.portfolios.update({portfolio.id: portfolio for portfolio in portfolios})

    def put_wabas(self, wabas: Iterable[Waba]) -> None:
        """Add accounts, all or none. Raises KeyError with the portfolio that does not exist."""
        entries = list(wabas)
        for waba in entries:
            self.portfolios[waba.portfolio_id]
        self.wabas.update({waba.id: waba for waba in entries})

    def put_numbers(self, numbers: Iterable[Number]) -> None:
        """Add numbers, all or none. Raises KeyError with the account that does not exist."""
        entries = list(numbers)
        for number in entries:
            self.wabas[number.waba_id]
        self.numbers.update({number.id: number for number in entries})
        self.tokens = {number.token for number in self.numbers.values()}

    def put_templates(self, templates: Iterable[Template]) -> None:
        """Add templates, all or none. Raises KeyError with the account that does not exist."""
        entries = list(templates)
        for template in entries:
            self.wabas[template.waba_id]
        self.templates.update({template.key: template for template in entries})

    def change_number(self, number_id: str, **changes: Any) -> Number:
        """Change some fields of a number, from the next post on. Raises KeyError for an unknown number."""
        self.put_numbers([replace(self.numbers[number_id], **changes)])
        return self.numbers[number_id]

    def portfolio_of(self, number: Number) -> Portfolio:
        """The portfolio a number belongs to, by way of its account."""
        return self.portfolios[self.wabas[number.waba_id].portfolio_id]

    def limit_of(self, number: Number) -> int | None:
        """People this number may open in a rolling day, None for unlimited."""
        if number.limit_scope is LimitScope.PORTFOLIO:
            return self.portfolio_of(number).tier_limit
        return number.tier_limit

    def waba_is_visible(self, waba_id: str, token: str) -> bool:
        """Whether a token sees an account: it does when it is accepted by one of its numbers."""
        return any(n.waba_id == waba_id and n.token == token for n in self.numbers.values())
