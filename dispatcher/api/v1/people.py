"""People of a draft: by pages of JSON or by a stream of any size, each whole or not at all; and the rows that were rejected."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from dispatcher.api.creating import create_once
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import CampaignPath, Cursor, IdempotencyKey, Limit, Line, number_of
from dispatcher.api.uploads import SUFFIXES, Bounded, PagedPeople, Upload, Uploads
from dispatcher.api.v1.people_models import (
    PeopleIn,
    RejectedOut,
    RejectedPage,
    UploadLine,
    UploadList,
    UploadOut,
)
from dispatcher.domain.access import Scope
from dispatcher.domain.audience import PHONE_COLUMNS
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.ids import CampaignId
from dispatcher.engine.audience import AudienceFile, open_audience
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/campaigns/{{campaign_id}}", tags=["people"], route_class=Guarded)

PhoneColumn = Annotated[
    Line | None,
    Query(
        description="The column of phone numbers; without it `phone`, or in CSV the first that is called like one.",
        examples=["phone"],
    ),
]
Region = Annotated[
    str | None,
    Query(pattern=r"^[A-Z]{2}$", description="Country of numbers without a country code.", examples=["GB"]),
]
_STREAM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "CSV with a header, or one JSON object on each line; plain or gzipped.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "phone,first_name\n+4915123456789,Ann\n+447700900102,Bob\n",
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"phone": "+4915123456789", "first_name": "Ann"}\n',
            },
        },
    }
}


@router.post("/people", status_code=201, response_model=UploadOut, **needs(Scope.CAMPAIGNS_WRITE))
async def add_people(
    campaign_id: CampaignPath,
    request: Request,
    body: PeopleIn,
    key: IdempotencyKey,
    house: House,
    caller: Caller,
    phone_column: PhoneColumn = None,
    region: Region = None,
) -> Response:
    """Add a page of people to a draft. Who is in it already counts as a duplicate."""
    del body  # checked and described; below it is read as a stream is read, so that both make the same ledger
    raw = await request.body()

    async def work(orders: Orders) -> UploadOut:
        campaign = await orders.campaigns.find(CampaignId(campaign_id))
        phone = phone_column or PHONE_COLUMNS[0]
        people = await asyncio.to_thread(PagedPeople.of_body, raw, _columns(campaign, phone))
        report = await orders.add_people(
            campaign, people, phone_column=phone, default_region=region or house.settings.default_region
        )
        return UploadOut.of(report)

    return await create_once(request, house, caller, key, work)


@router.post(
    "/people/stream",
    status_code=201,
    response_model=UploadOut,
    **needs(Scope.CAMPAIGNS_WRITE, is_streamed=True, **_STREAM),
)
async def stream_people(
    campaign_id: CampaignPath,
    request: Request,
    key: IdempotencyKey,
    house: House,
    caller: Caller,
    phone_column: PhoneColumn = None,
    region: Region = None,
) -> Response:
    """Add a stream of people to a draft: all of it, or nothing where it breaks off."""
    uploads: Uploads = request.app.state.uploads
    # why before: nobody should send a million rows to learn that there is no such campaign.
    await house.campaigns.find(CampaignId(campaign_id))
    async with uploads.taken(request) as upload:

        async def work(orders: Orders) -> UploadOut:
            campaign = await orders.campaigns.find(CampaignId(campaign_id))
            with await asyncio.to_thread(_opened, upload, campaign, phone_column) as audience:
                report = await orders.add_people(
                    campaign,
                    Bounded(audience, house.settings.upload_rows_most),
                    phone_column=phone_column,
                    default_region=region or house.settings.default_region,
                )
            return UploadOut.of(report)

        return await create_once(request, house, caller, key, work, body_digest=upload.digest)


@router.get("/uploads", **needs(Scope.READ))
async def list_uploads(campaign_id: CampaignPath, house: House) -> UploadList:
    """All pages and streams that were added."""
    campaign = await house.campaigns.find(CampaignId(campaign_id))
    return UploadList(items=[UploadLine.of(upload) for upload in await house.listings.uploads(campaign.id)])


@router.get("/rejected", **needs(Scope.READ))
async def list_rejected(
    campaign_id: CampaignPath, house: House, cursor: Cursor = None, limit: Limit = 100
) -> RejectedPage:
    """Rows that became no message, each with its line and the reason."""
    campaign = await house.campaigns.with_people(CampaignId(campaign_id))
    page = await house.listings.rejected(campaign.id, min(number_of(cursor) or 0, 2**31 - 1), limit)
    return RejectedPage(
        items=[RejectedOut.of(row) for row in page.items],
        next=str(page.next) if page.next is not None else None,
    )


def _columns(campaign: Campaign, phone: str) -> list[str]:
    return list(dict.fromkeys([phone, *campaign.columns]))


def _opened(upload: Upload, campaign: Campaign, phone_column: str | None) -> AudienceFile:
    is_ndjson = upload.path.suffix == SUFFIXES["application/x-ndjson"]
    columns = _columns(campaign, phone_column or PHONE_COLUMNS[0]) if is_ndjson else None
    return open_audience(upload.path, columns=columns)
