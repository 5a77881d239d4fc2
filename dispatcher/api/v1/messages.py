"""Messages: those of a campaign, page by page, and single ones outside any campaign."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dispatcher.api.creating import create_once
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import (
    CampaignPath,
    Cursor,
    IdempotencyKey,
    Limit,
    MessagePath,
    SinglePath,
    checked_deadline,
    number_of,
)
from dispatcher.api.v1.message_models import (
    ExplainedMessage,
    MessageOut,
    MessagePage,
    Number,
    SingleAccepted,
    SingleIn,
    SingleOut,
)
from dispatcher.app import App
from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import CampaignKind
from dispatcher.domain.errors import BadValue, NotFound
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.engine.campaigns import Plan
from dispatcher.orders import Orders

of_campaigns = APIRouter(
    prefix=f"{PREFIX}/campaigns/{{campaign_id}}/messages", tags=["messages"], route_class=Guarded
)
singles = APIRouter(prefix=f"{PREFIX}/messages", tags=["messages"], route_class=Guarded)


@of_campaigns.get("", **needs(Scope.READ))
async def list_messages(
    campaign_id: CampaignPath,
    house: House,
    cursor: Cursor = None,
    limit: Limit = 100,
    state: Annotated[MessageState | None, Query(description="Only those in this state.")] = None,
) -> MessagePage:
    """A campaign's messages in the order in which they were added.

    A page of one state looks at some thousand messages at most, so that it costs the same however large the campaign is.
    It may be short, or empty, and have a `next` all the same.
    """
    campaign = await house.campaigns.with_people(CampaignId(campaign_id))
    page = await house.listings.messages(campaign.id, MessageId(number_of(cursor) or 0), limit, state)
    return MessagePage(
        items=[MessageOut.of(line) for line in page.items],
        next=str(page.next) if page.next is not None else None,
    )


@of_campaigns.get("/to", **needs(Scope.READ))
async def show_message_to(
    campaign_id: CampaignPath,
    person: Annotated[Number, Query(description="A phone number.", examples=["+4915123456789"])],
    house: House,
) -> ExplainedMessage:
    """The message to one person, with its history, and why it is where it is."""
    key = _key_of(person, house)
    view = await house.explain.message_to(CampaignId(campaign_id), key)
    return ExplainedMessage.of(view, await house.explain.explain_message(view))


@of_campaigns.get("/{message_id}", **needs(Scope.READ))
async def show_message(campaign_id: CampaignPath, message_id: MessagePath, house: House) -> ExplainedMessage:
    """A message with its history, and why it is where it is."""
    view = await house.explain.message(CampaignId(campaign_id), MessageId(message_id))
    return ExplainedMessage.of(view, await house.explain.explain_message(view))


@singles.post("", status_code=201, response_model=SingleAccepted, **needs(Scope.MESSAGES_WRITE))
async def send_message(
    request: Request, body: SingleIn, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Send one template message (utility or authentication) to one person, with all that is promised of campaigns."""

    async def work(orders: Orders) -> SingleAccepted:
        to = parse_phone(body.to, house.settings.default_region)
        if isinstance(to, BadPhone):
            raise BadValue(f"{body.to!r} is no number that can be written to: {to.text}; nothing was sent")
        plan = Plan(
            name=f"single: {body.template}",
            template=body.template,
            language=body.language,
            senders=[body.sender],
            priority=body.priority,
            deadline=checked_deadline(body.deadline),
            unsure_policy=body.unsure_policy,
            kind=CampaignKind.SINGLE,
            metadata=body.metadata,
        )
        campaign = await orders.send_one(plan, to.e164, body.values)
        return SingleAccepted(id=campaign.id, to=to.e164)

    return await create_once(request, house, caller, key, work)


@singles.get("/{message_id}", **needs(Scope.READ))
async def show_single(message_id: SinglePath, house: House) -> SingleOut:
    """A single message as it stands."""
    return await _single(house, CampaignId(message_id))


@singles.post("/{message_id}/cancel", **needs(Scope.MESSAGES_WRITE))
async def cancel_single(message_id: SinglePath, house: House) -> SingleOut:
    """Do not send it, unless it was handed over already. A second time changes nothing."""
    single = await _single(house, CampaignId(message_id))
    await house.campaigns.cancel(CampaignId(single.id))
    return await _single(house, CampaignId(single.id))


async def _single(house: App, campaign_id: CampaignId) -> SingleOut:
    try:
        campaign = await house.campaigns.find(campaign_id)
    except NotFound:
        campaign = None
    if campaign is None or campaign.kind is not CampaignKind.SINGLE:
        raise NotFound(f"there is no single message {campaign_id}")
    await house.campaigns.with_people(campaign_id)
    [line] = (await house.listings.messages(campaign_id, MessageId(0), 1)).items
    view = await house.explain.message(campaign_id, line.id)
    return SingleOut.of_single(campaign, view, await house.explain.explain_message(view))


def _key_of(person: str, house: App) -> PersonKey:
    phone = parse_phone(person, house.settings.default_region)
    if isinstance(phone, BadPhone):
        raise BadValue(f"{person!r} is no phone number: {phone.text}")
    return PersonKey(phone.key)
