"""Campaigns: create, list, show, change; start, pause, resume, cancel; and why one is where it is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dispatcher.api.creating import create_once
from dispatcher.api.etags import campaign_etag, must_match
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import CampaignPath, Cursor, IdempotencyKey, IfMatch, Limit, number_of
from dispatcher.api.v1.campaign_models import (
    CampaignDetail,
    CampaignOut,
    CampaignPage,
    ExplanationOut,
    StoppedOut,
)
from dispatcher.api.v1.campaign_orders import CampaignChange, CampaignIn
from dispatcher.app import App
from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import CampaignId
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/campaigns", tags=["campaigns"], route_class=Guarded)


@router.post("", status_code=201, response_model=CampaignDetail, **needs(Scope.CAMPAIGNS_WRITE))
async def create_campaign(
    request: Request, body: CampaignIn, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Create a draft without people. The template must be known, and fit the mapping."""

    async def work(orders: Orders) -> CampaignDetail:
        plan, columns = body.plan(await _senders_of(orders, body))
        campaign, _ = await orders.campaigns.create(plan, columns)
        return CampaignDetail.of_view(await orders.campaigns.view(campaign.id))

    return await create_once(request, house, caller, key, work)


@router.get("", **needs(Scope.READ))
async def list_campaigns(
    house: House,
    cursor: Cursor = None,
    limit: Limit = 100,
    state: Annotated[CampaignState | None, Query(description="Only those in this state.")] = None,
) -> CampaignPage:
    """Campaigns with their counts, the newest first. Single messages are left out."""
    before = number_of(cursor)
    page = await house.listings.campaigns(CampaignId(before) if before is not None else None, limit, state)
    names = {sender.id: sender.name for sender in await house.senders.all()}
    return CampaignPage(
        items=[CampaignOut.of(campaign, counts, names) for campaign, counts in page.items],
        next=str(page.next) if page.next is not None else None,
    )


@router.get("/{campaign_id}", **needs(Scope.READ))
async def show_campaign(campaign_id: CampaignPath, house: House, response: Response) -> CampaignDetail:
    """A campaign as it stands: counts, who waits for what and until when, what each sender has done."""
    return await _shown(house, CampaignId(campaign_id), response)


@router.patch("/{campaign_id}", **needs(Scope.CAMPAIGNS_WRITE))
async def change_campaign(
    campaign_id: CampaignPath, body: CampaignChange, if_match: IfMatch, house: House, response: Response
) -> CampaignDetail:
    """Change what may be changed until the campaign is over; it binds from the next turn on."""
    seen = await house.campaigns.find(CampaignId(campaign_id))
    must_match(if_match, campaign_etag(seen))
    if changes := body.changes():
        await house.campaigns.change(seen.id, changes, None if if_match == "*" else seen)
    return await _shown(house, seen.id, response)


@router.post("/{campaign_id}/start", **needs(Scope.CAMPAIGNS_WRITE))
async def start_campaign(campaign_id: CampaignPath, house: House, response: Response) -> CampaignDetail:
    """Let it go. A second time changes nothing."""
    await house.campaigns.start(CampaignId(campaign_id))
    return await _shown(house, CampaignId(campaign_id), response)


@router.post("/{campaign_id}/resume", **needs(Scope.CAMPAIGNS_WRITE))
async def resume_campaign(campaign_id: CampaignPath, house: House, response: Response) -> CampaignDetail:
    """Go on after a pause. A second time changes nothing."""
    await house.campaigns.resume(CampaignId(campaign_id))
    return await _shown(house, CampaignId(campaign_id), response)


@router.post("/{campaign_id}/pause", **needs(Scope.CAMPAIGNS_WRITE))
async def pause_campaign(campaign_id: CampaignPath, house: House) -> StoppedOut:
    """Stop posting, within a second; who was not handed over stays pending. A second time changes nothing."""
    stopped = await house.campaigns.pause(CampaignId(campaign_id))
    return StoppedOut.of(stopped, await house.campaigns.view(stopped.campaign.id))


@router.post("/{campaign_id}/cancel", **needs(Scope.CAMPAIGNS_WRITE))
async def cancel_campaign(campaign_id: CampaignPath, house: House) -> StoppedOut:
    """Stop for good; who was not handed over is cancelled. A second time changes nothing."""
    stopped = await house.campaigns.cancel(CampaignId(campaign_id))
    return StoppedOut.of(stopped, await house.campaigns.view(stopped.campaign.id))


@router.get("/{campaign_id}/explanation", **needs(Scope.READ))
async def explain_campaign(campaign_id: CampaignPath, house: House) -> ExplanationOut:
    """Why it is where it is: what binds now, until when, what would bind next, what one can do."""
    return ExplanationOut.of(await house.explain.explain_campaign(CampaignId(campaign_id)))


async def _shown(house: App, campaign_id: CampaignId, response: Response) -> CampaignDetail:
    view = await house.campaigns.view(campaign_id)
    response.headers["ETag"] = campaign_etag(view.campaign)
    return CampaignDetail.of_view(view)


async def _senders_of(orders: Orders, body: CampaignIn) -> list[str]:
    if isinstance(body.senders, list):
        return body.senders
    portfolio_id = body.senders.portfolio_id
    names = [
        sender.name
        for sender in await orders.senders.all()
        if sender.portfolio_id == portfolio_id and sender.enabled
    ]
    if not names:
        raise BadValue(f"the portfolio {portfolio_id} has no sender that is switched on; nothing was created")
    return names
