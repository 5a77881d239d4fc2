"""The console's part about people: they write, press buttons, react, change their mind about marketing, change their number.

Everything travels to the callback as receipts do, late, twice or never by the behaviour of now, and is kept in `Sayings`.

Source: Meta, "Messages webhooks", "user_preferences", "user_id_update" and "Business-scoped user ids", read 2026-09.
"""

from base64 import b64encode
from secrets import token_bytes
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..inputs import InboundInput, MoveInput, PreferenceInput
from ..judge import Judge
from ..said import Saying, Sayings
from ..webhooks.deliveries import Deliveries
from ..webhooks.updates import Event, Inbound, Update, contact, name_of, number_value, scoped_id
from ..world import Number, Person, SandboxWorld
from .io import answer_json, read_some

_SILENT_KINDS = frozenset({"system", "edit", "revoke"})
"""Kinds that open no service window: nothing new is said."""


class PeopleConsole:
    """Has people say things."""

    def __init__(self, world: SandboxWorld, judge: Judge, deliveries: Deliveries, sayings: Sayings) -> None:
        """The judge is told when a person writes, since that opens a service window."""
        self._world = world
        self._judge = judge
        self._deliveries = deliveries
        self._sayings = sayings
        self.routes = [
            Route("/_sandbox/inbound", self.write, methods=["POST"]),
            Route("/_sandbox/preferences", self.prefer, methods=["POST"]),
            Route("/_sandbox/moves", self.move, methods=["POST"]),
            Route("/_sandbox/said", self.show_said),
        ]

    async def write(self, request: Request) -> Response:
        """People write to numbers, one or a list: `text`, `button`, `interactive`, `media`, `reaction` or a `message` fragment. Opens service windows."""
        said = await read_some(request, InboundInput)
        numbers = [self._known(each.phone_number_id) for each in said]
        return answer_json(
            {"messages": [self._write(number, each) for number, each in zip(numbers, said, strict=True)]}
        )

    async def prefer(self, request: Request) -> Response:
        """People tell Meta whether they want marketing, one or a list: `value` is stop, resume or signup. Posts are judged by it at once."""
        said = await read_some(request, PreferenceInput)
        numbers = [self._known(each.phone_number_id) for each in said]
        for number, each in zip(numbers, said, strict=True):
            self._prefer(number, each)
        return answer_json({"preferences": len(said)})

    async def move(self, request: Request) -> Response:
        """People change their number, one or a list: from `person` to `to`. Numbers they write to are told, of a new scoped id as well."""
        said = await read_some(request, MoveInput)
        numbers = [self._known(each.phone_number_id) for each in said]
        for number, each in zip(numbers, said, strict=True):
            self._move(number, *each.way())
        return answer_json({"moves": len(said)})

    async def show_said(self, _: Request) -> Response:
        """What people said, oldest first, and when the receiver had answered for it with 200."""
        return answer_json({"said": self._sayings.shown()})

    def _write(self, number: Number, said: InboundInput) -> dict[str, object]:
        """One message of a person; the window opens whether or not anybody is told."""
        person, now_ms, content = said.who(), self._judge.now_ms(), said.content()
        is_hidden = said.is_hidden or isinstance(person, str)
        fragment = self._fragment(person, now_ms, is_hidden=is_hidden, wamid=said.id)
        if said.context_id is not None:
            fragment["context"] = {"from": str(number.digits), "id": said.context_id}
        fragment |= content
        kind = str(content.get("type", "unknown"))
        open_until_ms = None
        if kind not in _SILENT_KINDS and "group_id" not in content:
            open_until_ms = self._judge.receive(number.id, person)
        wamid = str(fragment["id"])
        saying = self._sayings.note(Saying(now_ms, number.id, person, kind, said.words(), wamid))
        self._tell(Inbound(number, person, said.name or name_of(person), fragment, is_hidden), saying)
        return {"id": wamid, "open_until_ms": open_until_ms}

    def _prefer(self, number: Number, said: PreferenceInput) -> None:
        person, now_ms = said.who(), self._judge.now_ms()
        if said.value == "stop":
            self._world.opted_out_people.add(person)
        else:
            self._world.opted_out_people.discard(person)
        told: dict[str, Any] = {
            **self._ids(person),
            "detail": f"User requested to {said.value} marketing messages",
            "category": "marketing_messages",
            "value": said.value,
            "timestamp": now_ms // 1000,  # why an integer: here it is one, in messages a text
        }
        saying = self._sayings.note(Saying(now_ms, number.id, person, "preference", said.value, ""))
        self._tell(self._event(number, "user_preferences", person, told, now_ms), saying)

    def _move(self, number: Number, person: int, to: int) -> None:
        now_ms, name = self._judge.now_ms(), name_of(person)
        self._judge.move_person(person, to)
        saying = self._sayings.note(Saying(now_ms, number.id, person, "moved", str(to), ""))
        fragment = self._fragment(person, now_ms, is_hidden=False, wamid=None)
        fragment.pop("from_user_id", None)
        fragment["type"] = "system"
        fragment["system"] = {
            "body": f"User {name} changed from {person} to {to}",
            "wa_id": str(to),
            "type": "user_changed_number",
        }
        self._tell(Inbound(number, person, name, fragment, has_contact=False), saying)
        if self._deliveries.scoped_ids:
            told: dict[str, Any] = {
                "wa_id": str(to),
                "detail": "User id updated",
                "user_id": {"previous": scoped_id(person), "current": scoped_id(to)},
                "timestamp": str(now_ms // 1000),
            }
            self._tell(self._event(number, "user_id_update", to, told, now_ms), None)

    def _fragment(
        self, person: Person, now_ms: int, *, is_hidden: bool, wamid: str | None
    ) -> dict[str, object]:
        """What every message begins with."""
        fragment: dict[str, object] = {} if is_hidden else {"from": str(person)}
        if is_hidden or self._deliveries.scoped_ids:
            fragment["from_user_id"] = scoped_id(person)
        wamid = wamid or f"wamid.{b64encode(token_bytes(18)).decode()}"
        return fragment | {"id": wamid, "timestamp": str(now_ms // 1000)}

    def _ids(self, person: Person) -> dict[str, str]:
        ids = {"wa_id": str(person)} if isinstance(person, int) else {}
        if self._deliveries.scoped_ids or not ids:
            ids["user_id"] = scoped_id(person)
        return ids

    def _event(self, number: Number, field: str, person: Person, told: dict[str, Any], now_ms: int) -> Event:
        """News of one person, in a field of the account that lists such news under its own name."""
        described = contact(person, name_of(person), scoped_ids=self._deliveries.scoped_ids)
        value = {**number_value(number), "contacts": [described], field: [told]}
        return Event(number.waba_id, field, value, now_ms)

    def _tell(self, update: Update, saying: Saying | None) -> None:
        if self._world.callback is not None:
            self._deliveries.add(update, self._judge.now_ms(), saying.answered if saying else None)

    def _known(self, number_id: str) -> Number:
        number = self._world.numbers.get(number_id)
        if number is None:
            raise HTTPException(404, f"there is no number {number_id}")
        return number
