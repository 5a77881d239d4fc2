"""The sandbox takes free-form messages as Meta does, and refuses them for what Meta refuses."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import DANA, NUMBER, Client, a_text

REPLY = {"type": "reply", "reply": {"id": "am", "title": "Morning"}}
ROW = {"id": "b1", "title": "Harbour", "description": "Open until 20:00"}


def pressed(n: int, **reply: str) -> list[dict[str, Any]]:
    """So many buttons, each with an id of its own."""
    return [{"type": "reply", "reply": {"id": f"b{i}", "title": "Go", **reply}} for i in range(n)]


def an_interactive(kind: str, action: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """An interactive message with a body, and with other parts on top."""
    content = {"type": kind, "body": {"text": "Choose"}, "action": action, **parts}
    return {**a_text(), "type": "interactive", "interactive": content}


def a_list(*sections: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A list of sections."""
    return an_interactive("list", {"button": "Branches", "sections": list(sections)}, **parts)


def a_link(url: str, text: str = "Track") -> dict[str, Any]:
    """A button that opens a link."""
    return an_interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": text, "url": url}})


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (an_interactive("button", {"buttons": pressed(3)}), None),
        (an_interactive("button", {"buttons": [REPLY]}, header={"type": "text", "text": "Delivery"}), None),
        (
            an_interactive("button", {"buttons": [REPLY]}, header={"type": "image", "image": {"id": "9"}}),
            None,
        ),
        (an_interactive("button", {"buttons": [REPLY]}, header={"type": "image", "image": {}}), 131008),
        (an_interactive("button", {"buttons": [REPLY]}, footer={"text": "x" * 61}), 131009),
        (an_interactive("button", {"buttons": [REPLY]}, body={"text": "x" * 1025}), 131009),
        (an_interactive("button", {"buttons": pressed(4)}), 131009),
        (an_interactive("button", {"buttons": []}), 131009),
        (an_interactive("button", {"buttons": [REPLY, REPLY]}), 131009),
        (an_interactive("button", {"buttons": pressed(1, title="x" * 21)}), 131009),
        (an_interactive("button", {"buttons": pressed(1, id="x" * 257)}), 131009),
        (a_list({"rows": [ROW]}), None),
        (a_list({"title": "North", "rows": [ROW]}, body={"text": "x" * 4096}), None),
        (a_list({"rows": [ROW]}, header={"type": "image", "image": {"id": "9"}}), 131009),
        (a_list({"rows": [ROW]}, {"rows": [{**ROW, "id": "b2"}]}), 131008),
        (a_list({"rows": [{**ROW, "title": "x" * 25}]}), 131009),
        (a_list({"rows": [{"id": f"r{n}", "title": "Row"} for n in range(11)]}), 131009),
        (a_list({"rows": [ROW, ROW]}), 131009),
        (a_list(), 131009),
        (a_link("https://shop.example/t/77"), None),
        (a_link("ftp://shop.example/t/77"), 131009),
        (a_link("https://shop.example", "x" * 21), 131009),
        (an_interactive("poll", {}), 131009),
        (
            {
                **a_text(),
                "type": "interactive",
                "interactive": {"type": "button", "action": {"buttons": [REPLY]}},
            },
            131008,
        ),
        ({**a_text(), "type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
        ({**a_text(), "type": "location", "location": {"latitude": "1", "longitude": 0}}, 131009),
        ({**a_text(), "type": "sticker", "sticker": {"id": "9"}}, None),
        ({**a_text(), "type": "sticker", "sticker": {"id": "9", "caption": "A"}}, 131009),
        ({**a_text(), "type": "image", "image": {"link": "file:///etc/hosts"}}, 131009),
        ({**a_text(), "type": "contacts", "contacts": [{"name": {"formatted_name": "Ana Lima"}}]}, None),
        ({**a_text(), "type": "contacts", "contacts": [{"name": {}}]}, 131008),
        ({**a_text(), "type": "reaction", "reaction": {"emoji": "👍"}}, 131008),
        ({**a_text(), "context": {"message_id": "wamid.x"}}, None),
        ({**a_text(), "context": {}}, 131008),
        ({**a_text(), "text": {"body": "Hello", "preview_url": "yes"}}, 131009),
    ],
)
async def test_content_is_taken_or_refused_with_metas_code(
    client: Client, message: dict[str, object], code: int | None
) -> None:
    await client.http.post("/_sandbox/windows", json={"phone_number_id": NUMBER, "person": DANA})
    assert await client.code(message) == code


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        ({"message_id": "wamid.x"}, None),
        ({"message_id": "wamid.x", "typing_indicator": {"type": "text"}}, None),
        ({"message_id": "wamid.x", "typing_indicator": {"type": "song"}}, 131009),
        ({"message_id": ""}, 131009),
        ({}, 131008),
    ],
)
async def test_a_mark_names_its_message(client: Client, mark: dict[str, object], code: int | None) -> None:
    assert await client.code({"messaging_product": "whatsapp", "status": "read", **mark}) == code


async def test_what_people_write_uses_up_the_numbers_rate(client: Client) -> None:
    client.world.change_number(NUMBER, rate_per_s=10)
    written = {"phone_number_id": NUMBER, "person": DANA, "text": "Hello?"}
    await client.http.post("/_sandbox/inbound", json=[written] * 9)
    codes = [await client.code(a_text()) for _ in range(2)]
    assert codes == [None, 130429]
