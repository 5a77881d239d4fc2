"""Senders and templates as the API takes and shows them. A token goes in, sealed, and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints

from dispatcher.api.schemas import HOLD, Flag, HoldOut, MetaId, Model, Name, example
from dispatcher.domain.errors import BadValue
from dispatcher.domain.gate import sender_hold
from dispatcher.domain.grant import Usage
from dispatcher.domain.ids import SenderId
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus
from dispatcher.domain.template import Template
from dispatcher.engine.senders import SenderView
from dispatcher.vault import Vault

RateText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?/(s|min|h)$")]
"""How fast it may send at most: `80/s`."""
TierText = Annotated[
    str,
    StringConstraints(
        pattern=r"^(unlimited|TIER_UNLIMITED|TIER_NOT_SET|TIER_[1-9][0-9]{0,3}[KM]?|[1-9][0-9]{0,8})$"
    ),
]
"""People per rolling day: `TIER_1K`, a number, or `unlimited`."""
PhoneText = Annotated[str, StringConstraints(pattern=r"^\+[0-9]{5,15}$")]
Token = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=1_000,
        description="Its access token. It is kept encrypted (seal_key), and never shown.",
        json_schema_extra={"writeOnly": True},
    ),
]
_SENDER: Mapping[str, Any] = {
    "name": "harbour",
    "phone": "+12025550100",
    "phone_number_id": "200000000000001",
    "waba_id": "100000000000001",
    "portfolio_id": None,
    "status": "CONNECTED",
    "lifecycle": "online",
    "quality": "high",
    "tier": 10_000,
    "tier_label": "TIER_10K",
    "limit_scope": "sender",
    "rate_per_s": 80.0,
    "rate_now_per_s": 80.0,
    "enabled": True,
    "token": "sealed",
    "origin": "platform",
    "may_send": False,
    "holds": [HOLD],
    "usage": {
        "reach_used": 10_000,
        "reach_limit": 10_000,
        "reach_next": "2026-10-02T08:00:00Z",
        "rate_per_s": 80.0,
        "rate_level": 20,
        "rate_cause": None,
        "rate_full_at": None,
    },
}


class SenderIn(Model):
    """A number that is to be known."""

    model_config = example(
        name="harbour",
        phone="+12025550100",
        phone_number_id="200000000000001",
        waba_id="100000000000001",
        token="the-access-token",  # noqa: S106 - opens nothing
        tier="TIER_10K",
        rate="80/s",
    )

    name: Name
    phone: PhoneText
    phone_number_id: MetaId
    waba_id: MetaId
    portfolio_id: MetaId | None = None
    token: Token
    status: SenderStatus = SenderStatus.CONNECTED
    lifecycle: Lifecycle = Lifecycle.ONLINE
    quality: Quality = Quality.UNRATED
    tier: TierText = "TIER_250"
    limit_scope: LimitScope = LimitScope.SENDER
    rate: RateText = "80/s"
    enabled: Flag = True

    def sender(self, vault: Vault) -> Sender:
        """As the house has it. Raises BadValue."""
        return Sender(
            id=SenderId(0),  # given by the ledger
            name=self.name,
            phone_number_id=self.phone_number_id,
            phone=_e164(self.phone),
            waba_id=self.waba_id,
            portfolio_id=self.portfolio_id,
            status=self.status,
            lifecycle=self.lifecycle,
            quality=self.quality,
            tier=Tier.parse(self.tier),
            limit_scope=self.limit_scope,
            rate=Rate.parse(self.rate),
            enabled=self.enabled,
            token_ref=vault.seal(self.token.get_secret_value()),
            origin="platform",
        )


class SenderChange(Model):
    """What is to be different; what is not named stays."""

    model_config = example(rate="40/s", enabled=True)

    phone: PhoneText | None = None
    waba_id: MetaId | None = None
    portfolio_id: Annotated[MetaId | None, Field(description="null: in no portfolio any more.")] = None
    token: Token | None = None
    status: SenderStatus | None = None
    lifecycle: Lifecycle | None = None
    quality: Quality | None = None
    tier: TierText | None = None
    limit_scope: LimitScope | None = None
    rate: RateText | None = None
    enabled: Flag | None = None

    def changes(self, vault: Vault) -> dict[str, Any]:
        """Fields of `Sender`. Raises BadValue."""
        plain = ("waba_id", "status", "lifecycle", "quality", "limit_scope", "enabled")
        changes = {name: value for name in plain if (value := getattr(self, name)) is not None}
        if "portfolio_id" in self.model_fields_set:
            changes["portfolio_id"] = self.portfolio_id
        if self.phone is not None:
            changes["phone"] = _e164(self.phone)
        if self.tier is not None:
            changes["tier"] = Tier.parse(self.tier)
        if self.rate is not None:
            changes["rate"] = Rate.parse(self.rate)
        if self.token is not None:
            changes["token_ref"] = vault.seal(self.token.get_secret_value())
        return changes


class UsageOut(Model):
    """What is taken of its limits now."""

    reach_used: int
    reach_limit: int | None
    reach_next: Annotated[datetime | None, Field(description="When the next reach token comes back.")]
    rate_per_s: Annotated[float, Field(description="In force now.")]
    rate_level: Annotated[int, Field(description="Messages that could go at once; below 0: owed.")]
    rate_cause: str | None
    rate_full_at: datetime | None

    @classmethod
    def of(cls, usage: Usage) -> UsageOut:
        """As the house has it."""
        return cls(
            reach_used=usage.reach_used,
            reach_limit=usage.reach_limit,
            reach_next=usage.reach_next,
            rate_per_s=usage.rate.per_s,
            rate_level=usage.rate_level,
            rate_cause=usage.rate_cause or None,
            rate_full_at=usage.rate_full_at,
        )


class SenderOut(Model):
    """A sender as it stands."""

    model_config = example(**_SENDER)

    name: str
    phone: str
    phone_number_id: str
    waba_id: str
    portfolio_id: str | None
    status: SenderStatus
    lifecycle: Lifecycle
    quality: Quality
    tier: Annotated[int | None, Field(description="People per rolling day; null: unlimited.")]
    tier_label: str
    limit_scope: LimitScope
    rate_per_s: float
    rate_now_per_s: Annotated[float, Field(description="After what status and quality make of it.")]
    enabled: bool
    token: Annotated[
        str, Field(description="Where it is: `env:NAME`, `file:/path` or `sealed`. Never the token.")
    ]
    origin: str
    may_send: bool
    holds: Annotated[list[HoldOut], Field(description="Why it may not, its status first.")]
    usage: Annotated[UsageOut | None, Field(description="null: it has not sent yet, or Redis is away.")]

    @classmethod
    def of(cls, view: SenderView, policy: Policy) -> SenderOut:
        """As the house has it."""
        sender = view.sender
        own = sender_hold(sender, policy.stricter)
        holds = [*([own] if own is not None else []), *view.holds]
        return cls(
            name=sender.name,
            phone=sender.phone,
            phone_number_id=sender.phone_number_id,
            waba_id=sender.waba_id,
            portfolio_id=sender.portfolio_id,
            status=sender.status,
            lifecycle=sender.lifecycle,
            quality=sender.quality,
            tier=sender.tier.limit,
            tier_label=sender.tier.label,
            limit_scope=sender.limit_scope,
            rate_per_s=sender.rate.per_s,
            rate_now_per_s=limits_of(sender, policy).rate.per_s,
            enabled=sender.enabled,
            token=sender.token_place,
            origin=sender.origin,
            may_send=not holds,
            holds=[HoldOut.of(hold) for hold in holds],
            usage=UsageOut.of(view.usage) if view.usage else None,
        )


class SenderList(Model):
    """All senders, by name."""

    model_config = example(items=[_SENDER])

    items: list[SenderOut]


class SlotOut(Model):
    """A place in a template."""

    path: str
    kind: str
    required: bool


class TemplateOut(Model):
    """A template as the account has it."""

    waba_id: str
    name: str
    language: str
    status: str
    category: str
    slots: list[SlotOut]
    unsupported: Annotated[list[str], Field(description="Parts for which it cannot be sent.")]
    read_at: Annotated[datetime | None, Field(description="When it was read from Meta.")]

    @classmethod
    def of(cls, waba_id: str, template: Template, read_at: datetime | None) -> TemplateOut:
        """As the house has it."""
        return cls(
            waba_id=waba_id,
            name=template.name,
            language=template.language,
            status=template.status,
            category=template.category,
            slots=[
                SlotOut(path=slot.path, kind=slot.kind, required=slot.required) for slot in template.slots
            ],
            unsupported=list(template.unsupported),
            read_at=read_at,
        )


class TemplateList(Model):
    """Known templates, by account, name and language."""

    model_config = example(
        items=[
            {
                "waba_id": "100000000000001",
                "name": "autumn_offer",
                "language": "en_US",
                "status": "APPROVED",
                "category": "MARKETING",
                "slots": [{"path": "body.1", "kind": "text", "required": True}],
                "unsupported": [],
                "read_at": "2026-09-30T07:00:00Z",
            }
        ]
    )

    items: list[TemplateOut]


def _e164(text: str) -> str:
    phone = parse_phone(text)
    if isinstance(phone, BadPhone):
        raise BadValue(f"{text!r} is not usable as the sender's number: {phone.text}")
    return phone.e164
