"""`dispatch subscriptions …`: who is told of events, and how delivery to each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.delivery import event_name
from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import (
    COUNTED_MOST,
    DeliveryState,
    EventFormat,
    Subscription,
    SubscriptionId,
)
from dispatcher.domain.relay import RelayTo
from dispatcher.settings import secret as read_secret

family = group("subscriptions", "Who is told of events, by callbacks.")

SubscriptionArgument = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The subscription's number.")
]
UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Where events are posted.")]
KindsOption = Annotated[
    list[str],
    typer.Option(
        "--kind", help="What it hears: message.accepted, message.*, or *; several times for several."
    ),
]
SendersOption = Annotated[
    list[str] | None,
    typer.Option("--sender", help="Only what concerns this sender; several times for several."),
]
FormatOption = Annotated[EventFormat, typer.Option("--format", help="How events are written.")]


@command(family, "add")
async def add(
    app: App,
    out: Output,
    url: UrlArgument,
    kinds: KindsOption,
    senders: SendersOption = None,
    format_: FormatOption = EventFormat.EVENTS,
) -> None:
    """Tell somebody of events, and write the secret that signs them out, once: it is kept sealed."""
    subscription, secret = await app.subscriptions.create(url, kinds, senders or None, format_)
    out.note(f"subscription {subscription.id} was made; this is the only time that its secret is shown:")
    _, state = await app.subscriptions.find(subscription.id)
    out.answer({**_shape(subscription, state), "secret": secret}, secret)


@command(family, "relay")
async def relay(
    app: App,
    out: Output,
    url: UrlArgument,
    app_secret_env: Annotated[
        str,
        typer.Option(
            "--app-secret-env",
            metavar="VARIABLE",
            help="The environment variable with the secret that signs.",
        ),
    ],
    verify_token_env: Annotated[
        str,
        typer.Option(
            "--verify-token-env",
            metavar="VARIABLE",
            help="The same with the callback's own word for the handshake.",
        ),
    ],
    senders: SendersOption = None,
) -> None:
    """Tell the callback of a client of the gateway, in Meta's form, what Meta would tell it. It must answer at once."""
    to = RelayTo(read_secret(f"env:{app_secret_env}"), read_secret(f"env:{verify_token_env}"))
    subscription, _ = await app.subscriptions.create(url, (), senders or None, EventFormat.META, relay=to)
    _, state = await app.subscriptions.find(subscription.id)
    out.answer(
        _shape(subscription, state), f"subscription {subscription.id} was made: the callback has answered"
    )


@command(family, "list")
async def list_subscriptions(app: App, out: Output) -> None:
    """All subscriptions: what each hears, what waits, since when it fails."""
    found = await app.subscriptions.all(SubscriptionId(0), LARGEST_ID)
    rows = [
        (
            str(each.id),
            each.url.partition("?")[0],
            ", ".join(each.kinds),
            "enabled" if each.is_enabled else f"stopped: {each.stopped}",
            _counted(state.pending),
            _counted(state.dead),
            f"{clock_text(state.failing_since)}: {state.last_error}" if state.failing_since else "",
        )
        for each, state in found
    ]
    columns = ("id", "url", "hears", "state", "waiting", "dead", "failing since")
    out.answer(
        {"subscriptions": [_shape(*each) for each in found]},
        table(columns, rows) if rows else "nobody is told of events",
    )


@command(family, "show")
async def show(app: App, out: Output, number: SubscriptionArgument) -> None:
    """One subscription as it stands."""
    subscription, state = await app.subscriptions.find(SubscriptionId(number))
    shape = _shape(subscription, state)
    told = {**shape, **shape["delivery"]}
    del told["delivery"]
    rows = [(name, _text(value)) for name, value in told.items()]
    out.answer(shape, table(("what", "value"), rows))


@command(family, "set")
async def change(
    app: App,
    out: Output,
    number: SubscriptionArgument,
    url: Annotated[str | None, typer.Option("--url", help="Where events are posted.")] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="What it hears, in place of what it has heard.")
    ] = None,
    senders: SendersOption = None,
    all_senders: Annotated[
        bool, typer.Option("--all-senders", help="Whatever sender it concerns, or none.")
    ] = False,
    enabled: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="While disabled, what becomes true is not kept for it."),
    ] = None,
) -> None:
    """Change what you name; enable it again, also after a 410 of its receiver."""
    changes: dict[str, Any] = {}
    if url is not None:
        changes["url"] = url
    if kinds:
        changes["kinds"] = kinds
    if senders and all_senders:
        raise BadValue("--sender and --all-senders exclude each other; nothing was changed")
    if senders or all_senders:
        changes["senders"] = senders or None
    if enabled is not None:
        changes["is_enabled"] = enabled
    if not changes:
        raise BadValue("say what is to be different; nothing was changed")
    subscription, state = await app.subscriptions.change(SubscriptionId(number), changes)
    out.answer(_shape(subscription, state), f"subscription {number} was changed")


@command(family, "rotate-secret")
async def rotate_secret(app: App, out: Output, number: SubscriptionArgument) -> None:
    """Make another secret and write it out, once. For a day, what is delivered is signed with both."""
    secret = await app.subscriptions.rotate_secret(SubscriptionId(number))
    out.note("the secret before it signs as well for a day; this is the only time that the new one is shown:")
    out.answer({"id": number, "secret": secret}, secret)


@command(family, "ping")
async def ping(app: App, out: Output, number: SubscriptionArgument) -> None:
    """Send an event that says nothing, behind all that waits, to see whether it arrives."""
    event_id = await app.subscriptions.ping(SubscriptionId(number))
    event = event_name(app.subscriptions.instance, event_id)
    out.answer({"event": event}, f"{event} is on its way; `dispatch subscriptions show {number}` tells more")


@command(family, "remove")
async def remove(app: App, out: Output, number: SubscriptionArgument) -> None:
    """Forget a subscription, with all that waits for it and its dead letters."""
    subscription, state = await app.subscriptions.remove(SubscriptionId(number))
    out.answer(_shape(subscription, state), f"subscription {number} is forgotten")


def _shape(subscription: Subscription, state: DeliveryState) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "url": subscription.url,
        "kinds": list(subscription.kinds),
        "senders": list(subscription.senders) if subscription.senders is not None else None,
        "format": subscription.format,
        "enabled": subscription.is_enabled,
        "stopped": subscription.stopped,
        "created_at": subscription.created_at,
        "changed_at": subscription.changed_at,
        "former_secret_until": subscription.former_secret_until,
        "delivery": {
            "pending": state.pending,
            "oldest_at": state.oldest_at,
            "dead": state.dead,
            "failing_since": state.failing_since,
            "failures": state.failures,
            "last_error": state.last_error,
            "next_at": state.next_at,
            "delivered_at": state.delivered_at,
        },
    }


def _counted(number: int) -> str:
    return f"more than {COUNTED_MOST:,}" if number > COUNTED_MOST else f"{number:,}"


def _text(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
