"""Subscriptions in Meta's own form, for clients of the gateway: their callback is told what Meta would tell it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from dispatcher.api.creating import create_once
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import IdempotencyKey, Model, example
from dispatcher.api.v1.subscription_models import CallbackUrl, Kinds, Senders, SubscriptionOut
from dispatcher.domain.access import Scope
from dispatcher.domain.event import EventFormat
from dispatcher.domain.relay import RelayTo
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/relays", tags=["events"], route_class=Guarded)

Secret = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class RelayIn(Model):
    """What a client of Meta's API would tell Meta about its callback."""

    model_config = example(
        url="https://shop.example/webhooks",
        app_secret="0123456789abcdef0123456789abcdef",  # noqa: S106 - opens nothing
        verify_token="tell-nobody",  # noqa: S106 - opens nothing
    )

    url: CallbackUrl
    app_secret: Annotated[Secret, Field(description="Signs each request: `X-Hub-Signature-256`.")]
    verify_token: Annotated[
        Secret, Field(description="For the handshake, which is made at once; it is not kept.")
    ]
    kinds: Annotated[
        Kinds | None, Field(description="null: all that Meta has a form for; docs/gateway.md lists it.")
    ] = None
    senders: Senders = None


@router.post("", status_code=201, response_model=SubscriptionOut, **needs(Scope.EVENTS_ADMIN))
async def create_relay(
    request: Request, body: RelayIn, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Have a callback told in Meta's form what Meta reports, what people write, and what will not be sent.

    The callback must answer Meta's handshake (`hub.challenge`) at once. `seal_key` must be configured, for what signs is kept
    sealed.
    """
    to = RelayTo(body.app_secret, body.verify_token)
    new, _ = await house.subscriptions.prepare(
        body.url, body.kinds or (), body.senders, EventFormat.META, relay=to
    )

    async def work(orders: Orders) -> SubscriptionOut:
        added = await orders.subscriptions.add(new)
        return SubscriptionOut.of(*await orders.subscriptions.find(added.id))

    return await create_once(request, house, caller, key, work)
