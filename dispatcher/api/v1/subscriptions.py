"""Subscriptions to events: who is told, how delivery stands, and what nobody took."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dispatcher.api.creating import REPEATED, create_once
from dispatcher.api.etags import must_match, subscription_etag
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import Cursor, IdempotencyKey, IfMatch, Limit, checked_deadline, number_of
from dispatcher.api.v1.operations import DoneOut
from dispatcher.api.v1.subscription_models import (
    DeadOut,
    DeadPage,
    PingOut,
    PurgeIn,
    ReplayIn,
    SecretOut,
    SubscriptionChange,
    SubscriptionCreated,
    SubscriptionIn,
    SubscriptionOut,
    SubscriptionPage,
    SubscriptionPath,
)
from dispatcher.domain.access import Scope
from dispatcher.domain.delivery import event_name
from dispatcher.domain.event import EventId, SubscriptionId
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/subscriptions", tags=["events"], route_class=Guarded)


@router.post("", status_code=201, response_model=SubscriptionCreated, **needs(Scope.EVENTS_ADMIN))
async def create_subscription(
    request: Request, body: SubscriptionIn, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Be told of events, at an address of yours. `seal_key` must be configured, for the secret is kept sealed.

    The secret is in the first answer alone: whoever has lost it makes another one (rotate-secret).
    """
    new, secret = await house.subscriptions.prepare(body.url, body.kinds, body.senders, body.format)

    async def work(orders: Orders) -> SubscriptionCreated:
        added = await orders.subscriptions.add(new)
        return SubscriptionCreated.new(*await orders.subscriptions.find(added.id))

    kept = await create_once(request, house, caller, key, work)
    if REPEATED in kept.headers:
        return kept
    made = SubscriptionCreated.model_validate_json(bytes(kept.body))
    shown = made.model_copy(update={"secret": secret})
    return Response(
        shown.model_dump_json(), 201, {"Cache-Control": "no-store"}, media_type="application/json"
    )


@router.get("", **needs(Scope.EVENTS_ADMIN))
async def list_subscriptions(house: House, cursor: Cursor = None, limit: Limit = 100) -> SubscriptionPage:
    """All subscriptions, and how delivery to each stands."""
    after = SubscriptionId(number_of(cursor) or 0)
    found = await house.subscriptions.all(after, limit + 1)
    items = [SubscriptionOut.of(*each) for each in found[:limit]]
    return SubscriptionPage(items=items, next=str(items[-1].id) if len(found) > limit else None)


@router.get("/{subscription_id}", **needs(Scope.EVENTS_ADMIN))
async def show_subscription(
    subscription_id: SubscriptionPath, house: House, response: Response
) -> SubscriptionOut:
    """One subscription as it stands: what waits, since when it fails, and why."""
    subscription, state = await house.subscriptions.find(SubscriptionId(subscription_id))
    response.headers["ETag"] = subscription_etag(subscription)
    return SubscriptionOut.of(subscription, state)


@router.patch("/{subscription_id}", **needs(Scope.EVENTS_ADMIN))
async def change_subscription(
    subscription_id: SubscriptionPath,
    body: SubscriptionChange,
    if_match: IfMatch,
    house: House,
    response: Response,
) -> SubscriptionOut:
    """Change what you name, disable it, or enable it again, also after a 410 of its receiver."""
    seen, state = await house.subscriptions.find(SubscriptionId(subscription_id))
    must_match(if_match, subscription_etag(seen))
    if changes := body.changes():
        expected = None if if_match == "*" else seen
        seen, state = await house.subscriptions.change(seen.id, changes, expected)
    response.headers["ETag"] = subscription_etag(seen)
    return SubscriptionOut.of(seen, state)


@router.delete("/{subscription_id}", **needs(Scope.EVENTS_ADMIN))
async def remove_subscription(subscription_id: SubscriptionPath, house: House) -> SubscriptionOut:
    """Forget a subscription, with all that waits for it and its dead letters. Answers with what it was."""
    return SubscriptionOut.of(*await house.subscriptions.remove(SubscriptionId(subscription_id)))


@router.post("/{subscription_id}/rotate-secret", **needs(Scope.EVENTS_ADMIN))
async def rotate_secret(subscription_id: SubscriptionPath, house: House, response: Response) -> SecretOut:
    """Make another secret. For a day each request is signed with both."""
    response.headers["Cache-Control"] = "no-store"
    return SecretOut(secret=await house.subscriptions.rotate_secret(SubscriptionId(subscription_id)))


@router.post("/{subscription_id}/ping", **needs(Scope.EVENTS_ADMIN))
async def ping(subscription_id: SubscriptionPath, house: House) -> PingOut:
    """Send an event that says nothing, to see whether it arrives. It goes behind all that waits."""
    event_id = await house.subscriptions.ping(SubscriptionId(subscription_id))
    return PingOut(event=event_name(house.subscriptions.instance, event_id))


@router.get("/{subscription_id}/dead", **needs(Scope.EVENTS_ADMIN))
async def list_dead_letters(
    subscription_id: SubscriptionPath, house: House, cursor: Cursor = None, limit: Limit = 100
) -> DeadPage:
    """Events that the receiver did not take in time, and why."""
    after = EventId(number_of(cursor) or 0)
    found = await house.subscriptions.dead_letters(SubscriptionId(subscription_id), after, limit + 1)
    instance = house.subscriptions.instance
    return DeadPage(
        items=[DeadOut.of(dead, instance) for dead in found[:limit]],
        next=str(found[limit - 1].event.id) if len(found) > limit else None,
    )


@router.post("/{subscription_id}/dead/replay", **needs(Scope.EVENTS_ADMIN))
async def replay_dead_letters(subscription_id: SubscriptionPath, body: ReplayIn, house: House) -> DoneOut:
    """Have dead letters delivered again, under their ids, before whatever else waits."""
    checked_deadline(body.since)
    ids, since = body.chosen(house.subscriptions.instance)
    return DoneOut(changed=await house.subscriptions.replay(SubscriptionId(subscription_id), ids, since))


@router.post("/{subscription_id}/dead/purge", **needs(Scope.EVENTS_ADMIN))
async def purge_dead_letters(subscription_id: SubscriptionPath, body: PurgeIn, house: House) -> DoneOut:
    """Forget dead letters for good."""
    checked_deadline(body.before)
    ids, before = body.chosen(house.subscriptions.instance)
    return DoneOut(changed=await house.subscriptions.purge(SubscriptionId(subscription_id), ids, before))
