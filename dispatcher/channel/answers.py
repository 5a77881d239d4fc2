"""From Meta's HTTP answers to what is known about a message.

Branches on the error's `code` only; the HTTP status helps with codes nobody has seen yet.
Source: Meta, "Error codes" and "Send messages" (Cloud API), read 2026-09.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from dispatcher.channel.transport import HttpAnswer
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.verdict import VerdictKind, verdict_for

_DETAIL_CHARS = 300
# why a name: to look up a member of an enum takes a quarter as long as to make the whole answer.
_ACCEPTED = PostedKind.ACCEPTED


def read_answer(answer: HttpAnswer) -> Posted:
    """Total: an answer that cannot be understood leaves the outcome open."""
    return _read(answer, _accepted)


def read_mark(answer: HttpAnswer) -> Posted:
    """The answer to a mark, which is no message: `{"success": true}` where Meta took it."""
    return _read(answer, _marked)


def _read(answer: HttpAnswer, read_success: Callable[[dict[str, Any]], Posted | None]) -> Posted:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return _unclear(answer)
    if not isinstance(body, dict):
        return _unclear(answer)
    if answer.status == 200:
        return read_success(body) or _unclear(answer)
    error = body.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return _unclear(answer)
    detail = _detail(error)
    verdict = verdict_for(
        error["code"],
        http_status=answer.status,
        is_transient=error.get("is_transient") is True,
        details=detail,
    )
    kind = PostedKind.UNSURE if verdict.kind is VerdictKind.AMBIGUOUS else PostedKind.REFUSED
    return Posted(kind, verdict=verdict, detail=detail)


def _accepted(body: dict[str, Any]) -> Posted | None:
    # why not a match: with `**rest` it copies the message, and there is one answer per post.
    messages = body.get("messages")
    message = messages[0] if isinstance(messages, list) and messages else None
    if not isinstance(message, dict):
        return None
    wamid = message.get("id")
    if not isinstance(wamid, str) or not wamid or "\n" in wamid:  # the ledger takes many ids as lines
        return None
    status = message.get("message_status")
    return Posted(_ACCEPTED, wamid, None if status is None or status == "accepted" else str(status))


def _marked(body: dict[str, Any]) -> Posted | None:
    return Posted(PostedKind.ACCEPTED) if body.get("success") is True else None


def _detail(error: dict[str, Any]) -> str:
    """The reason in Meta's words: `error_data.details` (an object, or in some Graph errors a string) and `message`."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else data
    parts = [str(part) for part in (details, error.get("message")) if part]
    return "; ".join(dict.fromkeys(parts))[:_DETAIL_CHARS]


def _unclear(answer: HttpAnswer) -> Posted:
    start = answer.body[:80].decode(errors="replace")
    return Posted(PostedKind.UNSURE, detail=f"HTTP {answer.status} without a readable answer: {start!r}")
