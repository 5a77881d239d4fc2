"""Webhook bodies for tests: the samples of every shape, bodies around single updates, and news in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from dispatcher.domain.receipt import Receipt
from dispatcher.domain.webhook import AccountNews, Inbound, News, Report, Unreadable

_FOLDER = Path(__file__).parent.parent / "samples" / "webhooks"
SAMPLES: Mapping[str, bytes] = {path.stem: path.read_bytes() for path in sorted(_FOLDER.glob("*.json"))}
"""One body per shape that Meta documents or that was seen; all values are ours."""

START = datetime.fromtimestamp(1_795_000_000, UTC)
"""The time of the samples; `told` counts seconds from here."""


def a_status(n: int = 1, /, **members: Any) -> dict[str, Any]:
    """The n-th message was sent; `members` say otherwise, None leaves one out."""
    told = {
        "id": f"wamid.OUT{n:04d}==",
        "status": "sent",
        "timestamp": "1795000010",
        "recipient_id": "12025550143",
        "biz_opaque_callback_data": f"7f3a.42.{n}.1",
    }
    return _without_none({**told, **members})


def a_text(n: int = 1, /, **members: Any) -> dict[str, Any]:
    """The n-th message of a person."""
    told = {
        "from": "12025550143",
        "id": f"wamid.IN{n:04d}==",
        "timestamp": "1795000100",
        "type": "text",
        "text": {"body": "Hello"},
    }
    return _without_none({**told, **members})


def a_value(**members: Any) -> dict[str, Any]:
    """The value of a change of the field "messages"."""
    metadata = {"display_phone_number": "12025550100", "phone_number_id": "200000000000001"}
    return {"messaging_product": "whatsapp", "metadata": metadata, **members}


def a_body(value: object, field: object = "messages", **entry: Any) -> bytes:
    """A webhook with one change; `entry` as `time=…` or `id=…`."""
    return an_envelope({"id": "100000000000001", **entry, "changes": [{"field": field, "value": value}]})


def an_envelope(*entries: object) -> bytes:
    """A webhook with these entries."""
    return orjson.dumps({"object": "whatsapp_business_account", "entry": entries})


def told(news: News) -> str:
    """What news says, in a line."""
    match news:
        case Report():
            receipt = news.receipt
            code = None if receipt.code is None else f"code {receipt.code}"
            billed = {True: "billed", False: "free", None: None}[receipt.is_billable]
            parts: Sequence[object] = (
                _moment(receipt), news.wamid, news.recipient, news.recipient_user_id, news.token,
                receipt.price_category, billed, code, receipt.detail,
            )  # fmt: skip
        case Inbound():
            answers = news.context_wamid and f"to {news.context_wamid}"
            parts = (
                f"{news.kind} {_since_start(news.at)}", news.wamid, news.person, news.user_id, news.name, answers,
            )  # fmt: skip
        case AccountNews():
            parts = (f"{news.field} {_since_start(news.at)}", f"of {news.waba_id}")
        case Unreadable():
            parts = (f"unreadable: {news.reason}", news.detail)
    return ", ".join(str(part) for part in parts if part is not None)


def _moment(receipt: Receipt) -> str:
    assert receipt.state is not None
    return f"{receipt.state} {_since_start(getattr(receipt, f'{receipt.state}_at'))}"


def _since_start(at: datetime | None) -> str:
    return "at no time" if at is None else f"+{(at - START).total_seconds():.0f}s"


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if member is not None}
