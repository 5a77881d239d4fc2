"""Words for tests of the gateway: a client of Meta's API that knows nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from front_door import FrontDoor
from support.builders import a_phone

ANN, BOB, EVE = a_phone(1), a_phone(2), a_phone(3)


class Client:
    """Posts to Meta's addresses with a key of ours."""

    def __init__(self, door: FrontDoor, number_id: str, key: str = "") -> None:
        self.door = door
        self.number_id = number_id
        self.headers = {"Authorization": f"Bearer {key or door.key}"}

    async def call(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Any call."""
        headers = {**self.headers, **how.pop("headers", {})}
        return await self.door.client.request(method, f"/v25.0/{path}", headers=headers, **how)

    async def post(self, said: Mapping[str, Any], **how: Any) -> httpx.Response:
        """A message as the client writes it."""
        body = {"messaging_product": "whatsapp", "recipient_type": "individual", **said}
        return await self.call("POST", f"{self.number_id}/messages", json=body, **how)

    async def sends(self, said: Mapping[str, Any], **how: Any) -> str:
        """The same of a message that is taken. Returns its id."""
        answer = await self.post(said, **how)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["messages"][0]["id"])

    async def refused(self, said: Mapping[str, Any], **how: Any) -> tuple[int, str]:
        """Code and details of a refusal, in Meta's form."""
        answer = await self.post(said, **how)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        assert {"message", "type", "code", "error_data", "fbtrace_id"} <= error.keys()
        assert error["message"].startswith(f"(#{error['code']}) ")
        return error["code"], error["error_data"]["details"]


def a_text(to: str = ANN, body: str = "It comes tomorrow.", **fields: Any) -> dict[str, Any]:
    """A text, to be sent within a window."""
    return {"to": to, "type": "text", "text": {"body": body}, **fields}


def a_template(
    to: str = ANN, *values: str, name: str = "autumn", language: str = "en_US", **fields: Any
) -> dict[str, Any]:
    """The account's offer, with its two values."""
    parameters = [{"type": "text", "text": value} for value in values or ("Ann", "20%")]
    components = [{"type": "body", "parameters": parameters}]
    template = {"name": name, "language": {"code": language}, "components": components}
    return {"to": to, "type": "template", "template": template, **fields}
