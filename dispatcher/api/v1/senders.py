"""Senders: make known, list, show, change; lift what holds one; and the templates of their accounts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dispatcher.api.creating import create_once
from dispatcher.api.etags import must_match, sender_etag
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import IdempotencyKey, IfMatch, SenderPath
from dispatcher.api.v1.sender_models import (
    SenderChange,
    SenderIn,
    SenderList,
    SenderOut,
    TemplateList,
    TemplateOut,
)
from dispatcher.app import App, policy_of
from dispatcher.domain.access import Scope
from dispatcher.engine.senders import SenderView
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/senders", tags=["senders"], route_class=Guarded)
templates = APIRouter(prefix=f"{PREFIX}/templates", tags=["senders"], route_class=Guarded)


@router.post("", status_code=201, response_model=SenderOut, **needs(Scope.SENDERS_ADMIN))
async def create_sender(
    request: Request, body: SenderIn, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Make a number known. Its token is sealed in the ledger, so `seal_key` must be configured."""

    async def work(orders: Orders) -> SenderOut:
        sender = await orders.senders.add(body.sender(house.vault))
        return SenderOut.of(SenderView(sender, (), None), policy_of(house.settings))

    response = await create_once(request, house, caller, key, work)
    await house.senders.announce()
    return response


@router.get("", **needs(Scope.READ))
async def list_senders(house: House) -> SenderList:
    """All senders: status, quality, tier, what holds each, and what is used of its limits now."""
    policy = policy_of(house.settings)
    return SenderList(items=[SenderOut.of(view, policy) for view in await house.senders.views()])


@router.get("/{name}", **needs(Scope.READ))
async def show_sender(name: SenderPath, house: House, response: Response) -> SenderOut:
    """One sender as it stands."""
    return await _shown(house, name, response)


@router.patch("/{name}", **needs(Scope.SENDERS_ADMIN))
async def change_sender(
    name: SenderPath, body: SenderChange, if_match: IfMatch, house: House, response: Response
) -> SenderOut:
    """Change what you name; it binds from the next batch of a running campaign on."""
    seen = await house.senders.named(name)
    must_match(if_match, sender_etag(seen))
    if changes := body.changes(house.vault):
        await house.senders.change(name, changes, None if if_match == "*" else seen)
    return await _shown(house, name, response)


@router.post("/{name}/lift-holds", **needs(Scope.SENDERS_ADMIN))
async def lift_holds(name: SenderPath, house: House, response: Response) -> SenderOut:
    """What Meta complained about is mended: go on."""
    await house.senders.lift_holds(name)
    return await _shown(house, name, response)


@router.post("/{name}/templates", **needs(Scope.SENDERS_ADMIN))
async def read_templates(name: SenderPath, house: House) -> TemplateList:
    """Read the templates of its account anew from Meta."""
    sender = await house.senders.named(name)
    read = await house.senders.sync_templates(name)
    return TemplateList(items=[TemplateOut.of(sender.waba_id, template, None) for template in read])


@templates.get("", **needs(Scope.READ))
async def list_templates(house: House) -> TemplateList:
    """Templates as they were last read, with the slots that a campaign has to fill."""
    known = await house.senders.templates()
    return TemplateList(items=[TemplateOut.of(waba_id, template, at) for waba_id, template, at in known])


async def _shown(house: App, name: str, response: Response) -> SenderOut:
    view = await house.senders.view(name)
    response.headers["ETag"] = sender_etag(view.sender)
    return SenderOut.of(view, policy_of(house.settings))
