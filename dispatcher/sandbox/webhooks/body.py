"""Puts updates into Meta's envelope.

Several updates make one body: those of one number share a change, up to so many, and everything else gets an entry
of its own. The same updates always make the same bytes, so a repeated POST need not be kept.

Source: Meta, "Webhooks", and Graph "Webhooks, getting started", on escaped Unicode; read 2026-09.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from .updates import Event, Inbound, Json, Receipt, Update, messages_value, receipts_value

_JSON = json.JSONEncoder(separators=(",", ":"))


def body_of(updates: Sequence[Update], *, scoped_ids: bool, per_entry: int) -> bytes:
    """The bytes of one POST. Not ASCII is escaped as `\\uXXXX` with lower-case digits, as Meta does."""
    entries = list(_entries(updates, scoped_ids=scoped_ids, per_entry=per_entry))
    envelope = {"object": "whatsapp_business_account", "entry": entries}
    return _JSON.encode(envelope).encode()


def _entries(updates: Iterable[Update], *, scoped_ids: bool, per_entry: int) -> Iterator[Json]:
    receipts: defaultdict[str, list[Receipt]] = defaultdict(list)
    messages: defaultdict[str, list[Inbound]] = defaultdict(list)
    for update in updates:
        match update:
            case Receipt():
                receipts[update.message.number.id].append(update)
            case Inbound():
                messages[update.number.id].append(update)
            case Event():
                yield _entry(update.waba_id, update.field, update.value, update.at_ms)
    for said in messages.values():
        for start in range(0, len(said), per_entry):
            value = messages_value(said[start : start + per_entry], scoped_ids=scoped_ids)
            yield _entry(said[0].number.waba_id, "messages", value)
    for reported in receipts.values():
        for start in range(0, len(reported), per_entry):
            value = receipts_value(reported[start : start + per_entry], scoped_ids=scoped_ids)
            yield _entry(reported[0].message.number.waba_id, "messages", value)


def _entry(waba_id: str, field: str, value: object, at_ms: int | None = None) -> Json:
    """One entry with one change. Account fields carry a time in seconds, messages do not."""
    change = {"field": field, "value": value}
    if at_ms is None:
        return {"id": waba_id, "changes": [change]}
    return {"id": waba_id, "time": at_ms // 1000, "changes": [change]}
