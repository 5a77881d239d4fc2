"""`dispatch senders …`: who we send from, how each stands, and what it may do.

Where a sender's token is, and how it is sealed, is said in `tokens.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dispatcher.app import App, policy_of
from dispatcher.cli.command import command, group
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import clock_text, sender_shape, sender_view_shape
from dispatcher.cli.tokens import (
    SealTokenOption,
    TokenEnvOption,
    TokenFileOption,
    mind_token,
    register,
    token_problem,
    token_ref,
)
from dispatcher.domain.errors import BadValue
from dispatcher.domain.gate import sender_hold
from dispatcher.domain.hold import LIFTED_BY
from dispatcher.domain.ids import SenderId
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus
from dispatcher.engine.explain import describe
from dispatcher.engine.senders import SenderView
from dispatcher.vault import Vault

family = group("senders", "The WhatsApp numbers we send from.")

_WARNINGS = {
    SenderStatus.MIGRATED: "the number moved to another account or provider; Meta refuses what this one may not send",
    SenderStatus.RATE_LIMITED: "Meta restricts it after a time of low quality, so it sends slowly",
    SenderStatus.FLAGGED: "its quality has fallen to low, so it sends slowly",
    SenderStatus.UNVERIFIED: "the business is not verified by Meta, so its low tier applies",
}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What you call the sender.")]
PhoneNumberIdOption = Annotated[
    str, typer.Option("--phone-number-id", metavar="ID", help="Meta's id of the number.")
]
PhoneOption = Annotated[str, typer.Option("--phone", help="The number itself, with + and country code.")]
PhoneChange = Annotated[
    str | None, typer.Option("--phone", help="The number itself, with + and country code.")
]
WabaOption = Annotated[
    str, typer.Option("--waba-id", metavar="ID", help="Meta's id of its WhatsApp Business Account.")
]
WabaChange = Annotated[
    str | None, typer.Option("--waba-id", metavar="ID", help="Meta's id of its WhatsApp Business Account.")
]
PortfolioOption = Annotated[
    str | None,
    typer.Option("--portfolio-id", metavar="ID", help="Meta's id of its business portfolio; '' for none."),
]
StatusOption = Annotated[
    SenderStatus, typer.Option("--status", case_sensitive=False, help="Meta's status of the number.")
]
StatusChange = Annotated[
    SenderStatus | None, typer.Option("--status", case_sensitive=False, help="Meta's status of the number.")
]
LifecycleOption = Annotated[
    Lifecycle,
    typer.Option("--lifecycle", case_sensitive=False, help="The platform's own view of the sender."),
]
LifecycleChange = Annotated[
    Lifecycle | None,
    typer.Option("--lifecycle", case_sensitive=False, help="The platform's own view of the sender."),
]
QualityOption = Annotated[
    Quality, typer.Option("--quality", case_sensitive=False, help="Meta's rating of the number.")
]
QualityChange = Annotated[
    Quality | None, typer.Option("--quality", case_sensitive=False, help="Meta's rating of the number.")
]
TierOption = Annotated[
    str, typer.Option("--tier", help="People per rolling day: TIER_1K, a number, or unlimited.")
]
TierChange = Annotated[
    str | None, typer.Option("--tier", help="People per rolling day: TIER_1K, a number, or unlimited.")
]
ScopeOption = Annotated[
    LimitScope, typer.Option("--limit-scope", help="Whether the tier is its own or its portfolio's.")
]
ScopeChange = Annotated[
    LimitScope | None, typer.Option("--limit-scope", help="Whether the tier is its own or its portfolio's.")
]
RateOption = Annotated[str, typer.Option("--rate", help="How fast it may send at most, such as 80/s.")]
RateChange = Annotated[str | None, typer.Option("--rate", help="How fast it may send at most, such as 80/s.")]


@command(family, "add")
async def add(
    app: App,
    out: Output,
    name: NameArgument,
    phone_number_id: PhoneNumberIdOption,
    phone: PhoneOption,
    waba_id: WabaOption,
    portfolio_id: PortfolioOption = None,
    token_env: TokenEnvOption = None,
    token_file: TokenFileOption = None,
    seal_token: SealTokenOption = False,
    status: StatusOption = SenderStatus.CONNECTED,
    lifecycle: LifecycleOption = Lifecycle.ONLINE,
    quality: QualityOption = Quality.UNRATED,
    tier: TierOption = "TIER_250",
    limit_scope: ScopeOption = LimitScope.SENDER,
    rate: RateOption = "80/s",
    origin: Annotated[str, typer.Option("--origin", help="How the number came here.")] = "platform",
) -> None:
    """Make a number known. Its access token is read where you say, each time a process starts."""
    reference = token_ref(app.vault, token_env, token_file, seal=seal_token)
    if reference is None:
        raise BadValue(
            "a sender needs to know where its access token is; nothing was added",
            hint="add --token-env VARIABLE, --token-file PATH or --seal-token; the token itself is never an argument",
        )
    if not name.strip():
        raise BadValue("a sender needs a name; nothing was added")
    added = await app.senders.add(
        Sender(
            id=SenderId(0),  # given by the ledger
            name=name.strip(),
            phone_number_id=_meta_id("--phone-number-id", phone_number_id),
            phone=_e164(phone),
            waba_id=_meta_id("--waba-id", waba_id),
            portfolio_id=_meta_id("--portfolio-id", portfolio_id) if portfolio_id else None,
            status=status,
            lifecycle=lifecycle,
            quality=quality,
            tier=Tier.parse(tier),
            limit_scope=limit_scope,
            rate=Rate.parse(rate),
            enabled=True,
            token_ref=reference,
            origin=origin,
        )
    )
    out.answer(
        sender_shape(added, policy_of(app.settings)),
        f"sender {added.name} was added; `dispatch templates sync --from {added.name}` reads its account's templates",
    )
    mind_token(out, app.vault, added)


@command(family, "set")
async def change(
    app: App,
    out: Output,
    name: NameArgument,
    phone: PhoneChange = None,
    waba_id: WabaChange = None,
    portfolio_id: PortfolioOption = None,
    token_env: TokenEnvOption = None,
    token_file: TokenFileOption = None,
    seal_token: SealTokenOption = False,
    status: StatusChange = None,
    lifecycle: LifecycleChange = None,
    quality: QualityChange = None,
    tier: TierChange = None,
    limit_scope: ScopeChange = None,
    rate: RateChange = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Switch the sender on or off.")
    ] = None,
    lift_holds: Annotated[
        bool, typer.Option("--lift-holds", help="What Meta complained about is mended: go on.")
    ] = False,
) -> None:
    """Change what you name; it binds from the next batch of a running campaign on."""
    given: dict[str, Any] = {
        "phone": _e164(phone) if phone is not None else None,
        "waba_id": _meta_id("--waba-id", waba_id) if waba_id is not None else None,
        "status": status,
        "lifecycle": lifecycle,
        "quality": quality,
        "tier": Tier.parse(tier) if tier is not None else None,
        "limit_scope": limit_scope,
        "rate": Rate.parse(rate) if rate is not None else None,
        "enabled": enabled,
        "token_ref": token_ref(app.vault, token_env, token_file, seal=seal_token),
    }
    changes = {field: value for field, value in given.items() if value is not None}
    if portfolio_id is not None:
        changes["portfolio_id"] = _meta_id("--portfolio-id", portfolio_id) if portfolio_id else None
    if not changes and not lift_holds:
        raise BadValue("nothing to change was named", hint="`dispatch senders set --help` lists what can be")
    if changes:
        await app.senders.change(name, changes)
    if lift_holds:
        await app.senders.lift_holds(name)
    view = await app.senders.view(name)
    done = [*sorted(changes), *(["holds lifted"] if lift_holds else [])]
    out.answer(
        {**sender_view_shape(view, policy_of(app.settings)), "changed": sorted(changes)},
        f"sender {name}: {', '.join(done)}",
    )
    if "token_ref" in changes:
        mind_token(out, app.vault, view.sender)


@command(family, "list")
async def list_senders(app: App, out: Output) -> None:
    """All senders, and whether each may send."""
    policy = policy_of(app.settings)
    views = [await app.senders.view(sender.name) for sender in await app.senders.all()]
    columns = ("name", "number", "status", "quality", "tier", "rate", "enabled", "may send")
    rows = [
        (s.name, s.phone, s.status, s.quality, str(s.tier), str(s.rate), s.enabled, _may_send(view, policy))
        for view in views
        for s in (view.sender,)
    ]
    out.answer(
        {"senders": [sender_view_shape(view, policy) for view in views]},
        table(columns, rows) if rows else "there are no senders; `dispatch senders add` makes one known",
    )


@command(family, "show")
async def show(app: App, out: Output, name: NameArgument) -> None:
    """Everything about one sender: status, limits, what is used of them, holds, warnings."""
    policy = policy_of(app.settings)
    view = await app.senders.view(name)
    warnings = _warnings(view.sender, app.vault)
    holds = [
        (hold.reason, hold.detail, clock_text(hold.until), LIFTED_BY[hold.reason]) for hold in view.holds
    ]
    out.answer(
        {**sender_view_shape(view, policy), "warnings": warnings},
        table(("", ""), _facts(view, policy)),
        *(f"warning: {warning}" for warning in warnings),
        *([table(("held by", "detail", "until", "ends by"), holds)] if holds else []),
    )


def _facts(view: SenderView, policy: Policy) -> list[tuple[str, object]]:
    sender, usage = view.sender, view.usage
    now = limits_of(sender, policy).rate
    facts: list[tuple[str, object]] = [
        ("name", sender.name),
        ("number", sender.phone),
        ("phone number id", sender.phone_number_id),
        ("account (WABA)", sender.waba_id),
        ("portfolio", sender.portfolio_id),
        ("status", sender.status),
        ("lifecycle", sender.lifecycle),
        ("quality", sender.quality),
        ("tier", _tier(sender)),
        ("rate", f"{sender.rate}" if now == sender.rate else f"{sender.rate}, slowed to {now}"),
        ("enabled", sender.enabled),
        ("token", sender.token_place),
        ("origin", sender.origin),
        ("may send", _may_send(view, policy)),
    ]
    if usage is None:
        facts.append(("used", "not known: it has not sent yet, or Redis is away"))
    else:
        of = f" of {usage.reach_limit:,}" if usage.reach_limit is not None else ""
        back = f", the next comes back {clock_text(usage.reach_next)}" if usage.reach_next else ""
        facts.append(("people reached", f"{usage.reach_used:,}{of}{back}"))
        facts.append(
            ("rate in force", f"{usage.rate}" + (f", {usage.rate_cause}" if usage.rate_cause else ""))
        )
        if usage.rate_full_at is not None:
            facts.append(("rate whole again", clock_text(usage.rate_full_at)))
        facts.append(("can go at once", usage.rate_level))
    return facts


def _tier(sender: Sender) -> str:
    levels = [
        f"Tier {level} ({scheme} guide)"
        for scheme in ("growth", "status")
        if (level := sender.tier.level(scheme)) is not None
    ]
    scope = "its own" if sender.limit_scope is LimitScope.SENDER else "shared by its portfolio"
    return ", ".join([f"{sender.tier} people a day", *levels, scope])


def _may_send(view: SenderView, policy: Policy) -> str:
    blocked = sender_hold(view.sender, policy.stricter)
    if blocked is None and not view.holds:
        return "yes"
    return "no: " + "; ".join(describe(hold) for hold in ([blocked] if blocked else view.holds))


def _warnings(sender: Sender, vault: Vault) -> list[str]:
    warnings = [_WARNINGS[sender.status]] if sender.status in _WARNINGS else []
    if sender.quality is Quality.LOW and sender.status is SenderStatus.CONNECTED:
        warnings.append("its quality is low, so it sends slowly")
    if problem := token_problem(vault, sender):
        warnings.append(problem)
    return warnings


def _meta_id(option: str, text: str) -> str:
    if not text.isascii() or not text.isdecimal():
        raise BadValue(f"{option} takes an id of Meta, digits only, not {text!r}")
    return text


def _e164(text: str) -> str:
    phone = parse_phone(text)
    if isinstance(phone, BadPhone):
        raise BadValue(f"{text!r} is not usable as the sender's number: {phone.text}")
    return phone.e164


register(family)
