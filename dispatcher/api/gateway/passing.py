"""What clients read of Meta through us, and the files they send and fetch; with the sender's token, which they never see.

A closed list: an id must be a number, an account, a template or a file of ours, a list one of those below, a parameter one
that only asks, a field one that says something of the thing itself. So this is no way to anything else of Meta: `method`,
`ids`, `access_token` and nested fields, by which Graph can be talked into more than that, go no further. Everything else is
refused, with where to go.

Source: Meta, "Business phone numbers", "WhatsApp Business Accounts", "Business profiles", "Message templates" (fields), and
"Graph API overview" (field expansion, method override), read 2026-09.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dispatcher.api.gateway.entry import Call
from dispatcher.api.gateway.errors import INVALID, NOT_FROM_HERE, NOT_VISIBLE, GatewayRefusal
from dispatcher.channel.passing import FILES_MOST_BYTES, File, Passed
from dispatcher.domain.sender import Sender

EDGES: Mapping[str, frozenset[str]] = {
    "number": frozenset(
        {"whatsapp_business_profile", "whatsapp_commerce_settings", "message_qrdls", "settings"}
    ),
    "account": frozenset({"message_templates", "phone_numbers", "flows"}),
}
"""Lists that only tell, by what they are asked of."""
PARAMETERS = frozenset(
    {
        "fields", "limit", "after", "before", "name", "name_or_content", "content", "language", "status", "category",
        "quality_score", "phone_number_id",
    }
)  # fmt: skip
FIELDS = frozenset(
    [
        "id",
        "name",
        "status",
        "display_phone_number",
        "verified_name",
        "quality_rating",
        "quality_score",
        "name_status",
        "new_name_status",
        "code_verification_status",
        "account_mode",
        "platform_type",
        "throughput",
        "messaging_limit_tier",
        "whatsapp_business_manager_messaging_limit",
        "is_official_business_account",
        "is_pin_enabled",
        "is_on_biz_app",
        "is_preverified_number",
        "last_onboarded_time",
        "health_status",
        "country_code",
        "country_dial_code",
        "search_visibility",
        "eligibility_for_api_business_global_search",
        "conversational_automation",
        "webhook_configuration",
        "certificate",
        "new_certificate",
        "unified_cert_status",
        "timezone_id",
        "message_template_namespace",
        "business_verification_status",
        "account_review_status",
        "currency",
        "country",
        "ownership_type",
        "is_enabled_for_insights",
        "marketing_messages_lite_api_status",
        "marketing_messages_onboarding_status",
        "on_behalf_of_business_info",
        "owner_business_info",
        "subscribed_apps",
        "disable_marketing_messages_on_cloud_api",
        "about",
        "address",
        "description",
        "email",
        "profile_picture_url",
        "websites",
        "vertical",
        "language",
        "category",
        "sub_category",
        "parameter_format",
        "components",
        "rejected_reason",
        "message_send_ttl_seconds",
        "previous_category",
        "correct_category",
        "cta_url_link_tracking_opted_out",
        "library_template_name",
        "is_cart_enabled",
        "is_catalog_visible",
        "code",
        "prefilled_message",
        "deep_link_url",
        "qr_image_url",
        "categories",
        "validation_errors",
        "json_version",
        "data_api_version",
        "endpoint_uri",
        "preview",
        "whatsapp_business_account",
        "application",
        "url",
        "mime_type",
        "sha256",
        "file_size",
        "messaging_product",
    ]
)
_FIELD = re.compile(r"\s*([a-z0-9_]+)(\.format\((?:SVG|PNG)\))?\s*")
UPLOAD_WITHIN_S = 300.0
"""From its first byte to Meta's answer; who is slower holds a connection that others want."""
FILE = "file"
"""Behind a file's id: its bytes. Meta has a place of its own for these, which takes no token but Meta's."""


async def read_node(call: Call) -> Response:
    """`GET /{version}/{id}`: a number, an account, a template, or where a file is."""
    node_id = call.request.path_params["node_id"]
    sender, kind = await _owner(call, node_id)
    answer = await call.house.gateway.passing.read(sender, node_id, _asked(call), _here(call))
    if kind == "media" and answer.status == 200:
        answer = _with_our_url(answer, f"{_here(call)}/{FILE}")
    return _as_meta(answer)


async def read_edge(call: Call) -> Response:
    """`GET /{version}/{id}/{list}`."""
    node_id, edge = call.request.path_params["node_id"], call.request.path_params["edge"]
    sender, kind = await _owner(call, node_id)
    if kind == "media" and edge == FILE:
        return await _file(call, sender, node_id)
    if edge not in EDGES.get(kind, ()):
        raise GatewayRefusal(NOT_FROM_HERE, f"{edge} is not read through the dispatcher; ask Meta itself")
    return _as_meta(
        await call.house.gateway.passing.read(sender, f"{node_id}/{edge}", _asked(call), _here(call))
    )


async def upload(call: Call) -> Response:
    """`POST /{version}/{phone_number_id}/media`, passed on as it comes."""
    sender = await call.sender()
    content_type = call.request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise GatewayRefusal(INVALID, "media is uploaded as multipart/form-data")
    length = call.request.headers.get("content-length")
    if int(length or 0) > FILES_MOST_BYTES:  # a number, as the server has proved
        raise _too_large()
    try:
        async with asyncio.timeout(UPLOAD_WITHIN_S):
            answer = await call.house.gateway.passing.upload(sender, content_type, length, _bounded(call))
    except TimeoutError:
        raise GatewayRefusal(INVALID, f"the upload took longer than {UPLOAD_WITHIN_S:.0f} s") from None
    if answer.status == 200 and (media_id := _member(answer, "id")) is not None:
        await call.house.gateway.book.keep_upload(media_id, sender)
    return _as_meta(answer)


async def delete_node(call: Call) -> Response:
    """`DELETE /{version}/{media_id}`."""
    node_id = call.request.path_params["node_id"]
    sender, kind = await _owner(call, node_id)
    if kind != "media":
        raise GatewayRefusal(NOT_FROM_HERE, "only media is deleted through the dispatcher; ask Meta itself")
    return _as_meta(await call.house.gateway.passing.delete(sender, node_id))


async def write_elsewhere(call: Call) -> Response:
    """Whatever else clients write to Meta."""
    hints = {
        "marketing_messages": "send marketing templates to /messages, too",
        "subscribed_apps": "callbacks are told to POST /v1/relays, or with `dispatch subscriptions relay`",
        "message_templates": "make templates at Meta; `dispatch templates sync` reads them",
        "register": "senders are made known by `dispatch senders add`",
    }
    edge = call.request.path_params.get("edge", "")
    hint = hints.get(edge, "ask Meta itself, with a token of Meta")
    raise GatewayRefusal(NOT_FROM_HERE, f"this is not done through the dispatcher: {hint}")


async def _file(call: Call, sender: Sender, media_id: str) -> Response:
    found = await call.house.gateway.passing.file(sender, media_id)
    return _as_meta(found) if isinstance(found, Passed) else _FileResponse(found)


class _FileResponse(StreamingResponse):
    """A file, let go of at the end, however that comes."""

    def __init__(self, file: File) -> None:
        super().__init__(file.pieces, headers=dict(file.headers))
        self._close = file.close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._close()


async def _owner(call: Call, node_id: str) -> tuple[Sender, str]:
    found = await call.house.gateway.book.owner(node_id)
    if found is None:
        raise GatewayRefusal(
            NOT_VISIBLE, f"the dispatcher knows no number, account, template or file {node_id}"
        )
    return found


def _asked(call: Call) -> Mapping[str, str]:
    """The parameters. Raises GatewayRefusal for one that might do more than ask."""
    asked = dict(call.request.query_params)
    # why: some clients write their token there, too; it is a key of ours, and none of Meta's.
    asked.pop("access_token", None)
    if strangers := sorted(asked.keys() - PARAMETERS):
        raise GatewayRefusal(INVALID, f"the parameter {strangers[0]} is not passed on")
    for field in asked.get("fields", "id").split(","):
        if (found := _FIELD.fullmatch(field)) is None or found[1] not in FIELDS:
            raise GatewayRefusal(INVALID, f"the field {field.strip()!r} is not passed on; ask Meta itself")
    return asked


def _here(call: Call) -> str:
    """Our address of what was asked for, as the client reaches it: a proxy may have another one than we know of."""
    public = call.house.settings.gateway_url
    if public is not None:
        return public.rstrip("/") + call.request.url.path
    return str(call.request.url.replace(query="", fragment=""))


def _as_meta(answer: Passed) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")


def _member(answer: Passed, name: str) -> str | None:
    try:
        value = orjson.loads(answer.body).get(name)
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return value if isinstance(value, str) else None


def _with_our_url(answer: Passed, url: str) -> Passed:
    if _member(answer, "url") is None:
        return answer
    return Passed(answer.status, orjson.dumps({**orjson.loads(answer.body), "url": url}))


async def _bounded(call: Call) -> AsyncIterator[bytes]:
    left = FILES_MOST_BYTES
    async for piece in call.request.stream():
        left -= len(piece)
        if left < 0:
            raise _too_large()
        yield piece


def _too_large() -> GatewayRefusal:
    return GatewayRefusal(INVALID, f"the upload is larger than {FILES_MOST_BYTES:,} bytes")
