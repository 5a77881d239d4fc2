"""The part of Meta's Graph API a sender uses: posting messages; reading numbers and templates; files.

`post_message` is the hot path and therefore plain ASGI; reads are Starlette endpoints. Verdicts come from
`judge`; this file turns them into Meta's bytes, and has `connection` spoil what `dice` drew. What Meta reports
later, by webhook, starts from the judge too (`receipts`) and does not pass here.

Source: Meta, "Send messages", "Business phone numbers" and "Message templates", read 2026-09.
"""

import asyncio
import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .behaviour import Fault
from .connection import ACCEPTING_FAULTS, answer, break_unread, lose, read_body, reset_in_body
from .dice import Dice
from .judge import Accepted, Judge, MarkedRead, Verdict
from .media import PLACE, Files, StoredFile, read_upload
from .refusals import Refusal, error_body, http_status, not_visible
from .webhooks.account_events import tier_text
from .world import Number, NumberStatus, SandboxWorld, Template

Headers = Iterable[tuple[bytes, bytes]]
"""Header names in lower case, with their values, as ASGI has them."""

_VERSION = re.compile(r"v\d+\.\d+")
_NESTED = re.compile(r"\{[^}]*\}")
_PAGE = 25
_PAGE_MAX = 1000

_NUMBER_DEFAULT_FIELDS = "verified_name,code_verification_status,display_phone_number,quality_rating"
_TEMPLATE_DEFAULT_FIELDS = "name,parameter_format,components,language,status,category"


class Graph:
    """Meta's side of the wire."""

    def __init__(self, world: SandboxWorld, judge: Judge, dice: Dice) -> None:
        """All three are shared with the console."""
        self._world = world
        self._judge = judge
        self._dice = dice
        self._traces = count(1)
        self.files = Files(world)
        self.routes = [
            Route(PLACE, self.fetch_file),
            Route("/{version}/{number_id}/media", self.upload, methods=["POST"]),
            Route("/{version}/{number_id}/whatsapp_business_profile", self.show_profile),
            Route("/{version}/{waba_id}/message_templates", self.list_templates),
            Route("/{version}/{waba_id}/phone_numbers", self.list_numbers),
            Route("/{version}/{node_id}", self.show_node),
            Route("/{version}/{media_id}", self.delete_file, methods=["DELETE"]),
        ]

    def answer_at_once(self, number_id: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
        """Status and body for one posted message, when `behaviour` asks for nothing special."""
        return self._answer_of(self._judge.post(number_id, _bearer(headers), body))

    async def post_message(self, scope: Scope, receive: Receive, send: Send, number_id: str) -> None:
        """`POST /{version}/{number_id}/messages`, one message."""
        fate = self._dice.fate()
        if fate is Fault.CLOSED_UNREAD:
            await break_unread(scope, receive)
            return
        if fate is Fault.RESET_IN_BODY:
            await reset_in_body(scope, receive)
            return
        body = await read_body(receive)
        if body is None:
            return  # why: the client went away in the middle of its request; nothing was said to us.
        if fate is Fault.BARE_5XX:
            await answer(send, 502, b"")
            return
        verdict = self._judge.post(
            number_id, _bearer(scope["headers"]), body, error=fate if type(fate) is int else None
        )
        latency_s = self._dice.latency_s()
        if latency_s > 0:
            await asyncio.sleep(latency_s)
        status, said = self._answer_of(verdict)
        if isinstance(fate, Fault) and fate in ACCEPTING_FAULTS and isinstance(verdict, Accepted):
            await lose(fate, scope, receive, send, status, said)
        else:
            await answer(send, status, said)

    async def list_templates(self, request: Request) -> Response:
        """`GET /{version}/{waba_id}/message_templates`, paged; filters `status`, `name`, `language`, `category`."""
        waba_id = request.path_params["waba_id"]
        refusal = self._check_waba(request, waba_id)
        if refusal is not None:
            return self._refused(refusal)
        wanted = {
            k: v for k, v in request.query_params.items() if k in {"status", "name", "language", "category"}
        }
        nodes = {
            template.id: _template_node(template)
            for template in self._world.templates.values()
            if template.waba_id == waba_id and all(getattr(template, k) == v for k, v in wanted.items())
        }
        return self._page(request, nodes, _TEMPLATE_DEFAULT_FIELDS)

    async def list_numbers(self, request: Request) -> Response:
        """`GET /{version}/{waba_id}/phone_numbers`, paged."""
        waba_id = request.path_params["waba_id"]
        refusal = self._check_waba(request, waba_id)
        if refusal is not None:
            return self._refused(refusal)
        nodes = {n.id: self._number_node(n) for n in self._world.numbers.values() if n.waba_id == waba_id}
        return self._page(request, nodes, _NUMBER_DEFAULT_FIELDS)

    async def show_node(self, request: Request) -> Response:
        """`GET /{version}/{phone_number_id}?fields=…`, or a file's id: where it is."""
        node_id = request.path_params["node_id"]
        if node_id not in self._world.numbers:
            found = self._file(request, node_id, "get")
            return (
                _json(found.node(_base(request))) if isinstance(found, StoredFile) else self._refused(found)
            )
        number = self._number(request, node_id)
        if isinstance(number, Refusal):
            return self._refused(number)
        node = _select(self._number_node(number), request.query_params.get("fields", _NUMBER_DEFAULT_FIELDS))
        return self._refused(node) if isinstance(node, Refusal) else _json(node)

    async def show_profile(self, request: Request) -> Response:
        """`GET /{version}/{phone_number_id}/whatsapp_business_profile`: the little that a sandbox has to say."""
        number = self._number(request, request.path_params["number_id"])
        if isinstance(number, Refusal):
            return self._refused(number)
        return _json({"data": [{"about": number.verified_name, "messaging_product": "whatsapp"}]})

    async def upload(self, request: Request) -> Response:
        """`POST /{version}/{phone_number_id}/media`, a form with `file`, `type` and `messaging_product`."""
        number = self._number(request, request.path_params["number_id"])
        if isinstance(number, Refusal):
            return self._refused(number)
        given = await read_upload(request)
        if isinstance(given, Refusal):
            return self._refused(given)
        return _json({"id": self.files.put(number, *given).id})

    async def fetch_file(self, request: Request) -> Response:
        """The bytes, at the place that Meta names for five minutes; a token is needed all the same."""
        found = self.files.find(request.query_params.get("mid", ""), _bearer(request.scope["headers"]))
        if isinstance(found, Refusal):
            return Response(status_code=404)
        return Response(found.content, media_type=found.mime_type)

    async def delete_file(self, request: Request) -> Response:
        """`DELETE /{version}/{media_id}`."""
        found = self._file(request, request.path_params["media_id"], "delete")
        if isinstance(found, Refusal):
            return self._refused(found)
        self.files.delete(found)
        return _json({"success": True})

    def _number(self, request: Request, number_id: str) -> Number | Refusal:
        """The number that an address names, if the token opens it."""
        token = _bearer(request.scope["headers"])
        number = self._world.numbers.get(number_id)
        if (refusal := self._check_token(token)) is not None:
            return refusal
        if not _is_versioned(request) or number is None or number.token != token:
            return not_visible(number_id, "get")
        return number

    def _file(self, request: Request, media_id: str, verb: str) -> StoredFile | Refusal:
        token = _bearer(request.scope["headers"])
        if (refusal := self._check_token(token)) is not None:
            return refusal
        return (
            self.files.find(media_id, token, verb) if _is_versioned(request) else not_visible(media_id, verb)
        )

    def _answer_of(self, verdict: Verdict) -> tuple[int, bytes]:
        if isinstance(verdict, Accepted):
            return 200, _accepted_body(verdict)
        if isinstance(verdict, MarkedRead):
            return 200, b'{"success":true}'
        return http_status(verdict), error_body(verdict, self._trace())

    def _check_token(self, token: str | None) -> Refusal | None:
        if token is None:
            return Refusal(104, "")
        return None if token in self._world.tokens else Refusal(190, "", title="Invalid OAuth access token")

    def _check_waba(self, request: Request, waba_id: str) -> Refusal | None:
        token = _bearer(request.scope["headers"])
        refusal = self._check_token(token)
        if refusal is not None:
            return refusal
        if not _is_versioned(request) or token is None or not self._world.waba_is_visible(waba_id, token):
            return not_visible(waba_id, "get")
        return None

    def _page(
        self, request: Request, nodes: Mapping[str, Mapping[str, Any]], default_fields: str
    ) -> Response:
        """One page of nodes by id, with `paging.next` while there are more."""
        query = request.query_params
        limit = query.get("limit", str(_PAGE))
        if not limit.isdecimal() or int(limit) < 1:
            return self._refused(Refusal(100, "Param limit must be a positive number."))
        ids = sorted(nodes)
        after = _read_cursor(query["after"]) if "after" in query else ""
        if after is None:
            return self._refused(Refusal(131059, "The cursor is not valid: start again without one."))
        start = bisect_right(ids, after)
        shown = ids[start : start + min(int(limit), _PAGE_MAX)]
        data: list[dict[str, Any]] = []
        for node_id in shown:
            node = _select(nodes[node_id], query.get("fields", default_fields))
            if isinstance(node, Refusal):
                return self._refused(node)
            data.append(node)
        page: dict[str, Any] = {"data": data}
        if shown:
            last = _cursor(shown[-1])
            page["paging"] = {"cursors": {"before": _cursor(shown[0]), "after": last}}
            if shown[-1] != ids[-1]:
                # why with the token: Meta writes it there, too, and whoever passes pages on must see to it.
                token = _bearer(request.scope["headers"])
                page["paging"]["next"] = str(request.url.include_query_params(after=last, access_token=token))
        return _json(page)

    def _number_node(self, number: Number) -> dict[str, Any]:
        tier = tier_text(self._world.limit_of(number))
        return {
            "id": number.id,
            "display_phone_number": number.display_phone_number,
            "verified_name": number.verified_name,
            "status": number.status.value,
            "quality_rating": number.quality.value,
            "quality_score": {"score": number.quality.value},
            "name_status": "APPROVED",
            "new_name_status": "NONE",
            "code_verification_status": "NOT_VERIFIED"
            if number.status is NumberStatus.PENDING
            else "VERIFIED",
            "account_mode": "LIVE",
            "platform_type": "CLOUD_API",
            "throughput": {"level": number.throughput},
            "whatsapp_business_manager_messaging_limit": tier,
            "messaging_limit_tier": tier,
            "is_official_business_account": False,
            "is_pin_enabled": True,
            "is_on_biz_app": False,
        }

    def _refused(self, refusal: Refusal) -> Response:
        body = error_body(refusal, self._trace())
        return Response(body, http_status(refusal), media_type="application/json")

    def _trace(self) -> str:
        return f"Sandbox{next(self._traces):012d}"


def _template_node(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "parameter_format": template.parameter_format,
        "components": template.components,
        "quality_score": {"score": template.quality.value, "date": 0},
        "rejected_reason": "NONE",
        "message_send_ttl_seconds": -1,
        "sub_category": "",
    }


def _select(node: Mapping[str, Any], fields: str) -> dict[str, Any] | Refusal:
    """The fields asked for, and always the id."""
    chosen = {"id": node["id"]}
    for field in _NESTED.sub("", fields).split(","):
        name = field.strip()
        if name and name not in node:
            return Refusal(100, "", title=f"Tried accessing nonexisting field ({name})")
        if name:
            chosen[name] = node[name]
    return chosen


def _accepted_body(accepted: Accepted) -> bytes:
    """The answer to an accepted message. `message_status` comes with templates only, as Meta documents it."""
    person = accepted.person
    who = b'"wa_id":"%d"' % person if isinstance(person, int) else b'"user_id":' + orjson.dumps(person)
    status = b',"message_status":"accepted"' if accepted.from_template else b""
    return b'{"messaging_product":"whatsapp","contacts":[{"input":%b,%b}],"messages":[{"id":"%b"%b}]}' % (
        orjson.dumps(accepted.given),
        who,
        accepted.wamid.encode(),
        status,
    )


def _bearer(headers: Headers) -> str | None:
    """The token of an `Authorization: Bearer …` header; None without one."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None
    return None


def _is_versioned(request: Request) -> bool:
    return _VERSION.fullmatch(request.path_params["version"]) is not None


def _cursor(node_id: str) -> str:
    return base64.urlsafe_b64encode(b"after:" + node_id.encode()).decode()


def _read_cursor(cursor: str) -> str | None:
    try:
        mark, _, node_id = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return node_id if mark == "after" else None


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
