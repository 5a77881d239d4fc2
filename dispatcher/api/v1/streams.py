"""What flows out of a campaign: everybody as CSV or NDJSON, and its progress as it happens.

Both ask the ledger page by page and hold nothing in between: no transaction, no connection, no more than a page in memory.
So a slow reader costs nobody anything.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from dispatcher.api.guard import PREFIX, Guarded, House, needs
from dispatcher.api.problems import Refusal
from dispatcher.api.schemas import CampaignPath, Format
from dispatcher.api.v1.campaign_models import CampaignDetail
from dispatcher.app import App
from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import MOVES
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.listing import MessageLine, RejectedLine

router = APIRouter(prefix=f"{PREFIX}/campaigns/{{campaign_id}}", tags=["campaigns"], route_class=Guarded)

EXPORT_PAGE = 1_000
LOOK_EVERY_S = 1.0
SILENT_AT_MOST_S = 15.0
"""Then a comment is sent, so that nobody in between takes the connection for dead."""
FOLLOWED_AT_MOST_S = 600.0
"""Then the stream ends and the reader asks again, which looks at the key again as well."""
FOLLOWERS_MOST = 200
"""Streams of progress that one process serves at a time."""

COLUMNS = (
    "upload",
    "line",
    "phone",
    "state",
    "reason",
    "code",
    "detail",
    "sender",
    "attempt",
    "posted_at",
    "wamid",
    "message_id",
    "receipt",
    "delivered_at",
    "read_at",
    "receipt_code",
)
"""Of a row of the export, in either format."""

_NAMED = {"phone": "person", "message_id": "id"}
_fields_of = attrgetter(*(_NAMED.get(column, column) for column in COLUMNS))
"""What stands in the columns, of a message."""

_EXPORT: dict[int | str, Any] = {
    200: {
        "description": "One row for each person, then one for each rejected row.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": f"{','.join(COLUMNS)}\n1,2,+4915123456789,accepted,,,,harbour,1,2026-09-30T08:11:00+00:00,"
                "wamid.HBg,345,delivered,2026-09-30T08:11:02+00:00,,\n",
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"upload":1,"line":2,"phone":"+4915123456789","state":"accepted"}\n',
            },
        },
    }
}
_EVENTS: dict[int | str, Any] = {
    200: {
        "description": "Events `progress`, each with the campaign as `GET /v1/campaigns/{campaign_id}` shows it; the last "
        "one is `end`.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: progress\ndata: {"id":12,"state":"running"}\n\n',
            }
        },
    }
}


def _with(responses: dict[int | str, Any], scope: Scope) -> dict[str, Any]:
    declared = needs(scope)
    return {**declared, "responses": {**declared["responses"], **responses}}


@router.get("/export", response_class=StreamingResponse, **_with(_EXPORT, Scope.READ))
async def export_campaign(
    campaign_id: CampaignPath,
    house: House,
    format: Annotated[Format, Query(description="How rows are written.")] = "ndjson",  # noqa: A002 - the API's word
) -> StreamingResponse:
    """Everybody of the campaign and every rejected row, as a stream. Each row is true at the moment it is read."""
    campaign = await house.campaigns.with_people(CampaignId(campaign_id))
    rows = _rows(house, campaign.id)
    if format == "csv":
        return StreamingResponse(_as_csv(rows), media_type="text/csv")
    return StreamingResponse(_as_ndjson(rows), media_type="application/x-ndjson")


@router.get("/events", response_class=StreamingResponse, **_with(_EVENTS, Scope.READ))
async def follow_campaign(campaign_id: CampaignPath, request: Request, house: House) -> StreamingResponse:
    """The campaign's progress as server-sent events, until it is over; after ten minutes, ask again."""
    await house.campaigns.find(CampaignId(campaign_id))
    followers: Followers = request.app.state.followers
    return StreamingResponse(
        followers.follow(house, CampaignId(campaign_id)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class Followers:
    """Streams of progress of one process."""

    def __init__(self) -> None:
        self._free = FOLLOWERS_MOST

    def follow(self, house: App, campaign_id: CampaignId) -> AsyncIterator[bytes]:
        """One more. Raises Refusal where there are too many."""
        if not self._free:
            raise Refusal(
                503,
                "busy",
                "Too many streams at once",
                f"{FOLLOWERS_MOST} streams of progress are open already",
                headers={"Retry-After": "30"},
            )
        return self._followed(house, campaign_id)

    async def _followed(self, house: App, campaign_id: CampaignId) -> AsyncIterator[bytes]:
        self._free -= 1
        try:
            async for event in _events(house, campaign_id):
                yield event
        finally:
            self._free += 1


async def _events(house: App, campaign_id: CampaignId) -> AsyncIterator[bytes]:
    clock, stopping = house.lane_tools.clock, house.lane_tools.stopping
    ends_s = clock.monotonic() + FOLLOWED_AT_MOST_S
    shown, said_s = b"", clock.monotonic()
    while clock.monotonic() < ends_s and not stopping.is_set():
        detail = CampaignDetail.of_view(await house.campaigns.view(campaign_id))
        data = detail.model_dump_json().encode()
        if not MOVES[detail.state]:
            yield b"event: end\ndata: " + data + b"\n\n"
            return
        if data != shown:
            yield b"event: progress\ndata: " + data + b"\n\n"
            shown, said_s = data, clock.monotonic()
        elif clock.monotonic() - said_s >= SILENT_AT_MOST_S:
            yield b": nothing new\n\n"
            said_s = clock.monotonic()
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await stopping.wait()
        except TimeoutError:
            pass


async def _rows(house: App, campaign_id: CampaignId) -> AsyncIterator[Sequence[dict[str, Any]]]:
    message: MessageId | None = MessageId(0)
    while message is not None:
        page = await house.listings.messages(campaign_id, message, EXPORT_PAGE)
        yield [_of_message(line) for line in page.items]
        message = page.next
    line: int | None = 0
    while line is not None:
        rejected = await house.listings.rejected(campaign_id, line, EXPORT_PAGE)
        yield [_of_rejected(row) for row in rejected.items]
        line = rejected.next


def _of_message(line: MessageLine) -> dict[str, Any]:
    return dict(zip(COLUMNS, _fields_of(line), strict=True))


def _of_rejected(row: RejectedLine) -> dict[str, Any]:
    told = {
        "upload": row.upload,
        "line": row.line,
        "phone": row.value,
        "state": "rejected",
        "reason": row.reason,
        "detail": row.column,
    }
    return {column: told.get(column) for column in COLUMNS}


async def _as_ndjson(rows: AsyncIterator[Sequence[dict[str, Any]]]) -> AsyncIterator[bytes]:
    async for chunk in rows:
        yield b"".join(orjson.dumps(row) + b"\n" for row in chunk)


async def _as_csv(rows: AsyncIterator[Sequence[dict[str, Any]]]) -> AsyncIterator[bytes]:
    yield (",".join(COLUMNS) + "\n").encode()
    async for chunk in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [[_cell(row[column]) for column in COLUMNS] for row in chunk]
        )
        yield text.getvalue().encode()


def _cell(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
