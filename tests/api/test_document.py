"""The OpenAPI document: complete, with an example for everything, and true, as far as schemathesis can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from front_door import FrontDoor

from benchmarks import fuzz
from dispatcher.domain.access import Scope
from dispatcher.processes import start_api


async def document(door: FrontDoor) -> dict[str, Any]:
    answer = await door.client.get("/v1/openapi.json")
    return dict(answer.json())


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All of them, with a name for people."""
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def has_example(described: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether a body, of a request or an answer, is shown."""
    for media in content.values():
        schema = media.get("schema", {})
        if name := schema.get("$ref", "").rpartition("/")[2]:
            schema = described["components"]["schemas"][name]
        if not ("example" in media or schema.get("examples")):
            return False
    return bool(content)


async def test_every_operation_is_explained_and_shown_by_an_example(door: FrontDoor) -> None:
    described = await document(door)
    assert described["openapi"].startswith("3.1")
    for name, operation in operations(described):
        assert operation["description"], name
        good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        assert has_example(described, good["content"]), f"{name}: no example of an answer"
        if body := operation.get("requestBody"):
            assert has_example(described, body["content"]), f"{name}: no example of a request"
        for parameter in operation.get("parameters", []):
            has = "example" in parameter or "examples" in parameter or "examples" in parameter["schema"]
            is_closed = "enum" in str(parameter["schema"]) or "$ref" in str(parameter["schema"])
            assert has or is_closed, f"{name}: no example of {parameter['name']}"


async def test_every_operation_names_its_scope_and_every_error_is_a_problem(door: FrontDoor) -> None:
    described = await document(door)
    for name, operation in operations(described):
        [[scope]] = [each["key"] for each in operation["security"]]
        assert Scope(scope), name
        for status, answer in operation["responses"].items():
            if not status.startswith("2"):
                assert list(answer["content"]) == ["application/problem+json"], (name, status)


async def test_creating_calls_take_a_name_and_what_can_be_edited_needs_an_etag(door: FrontDoor) -> None:
    described = await document(door)
    for name, operation in operations(described):
        headers = {
            each["name"]: each["required"]
            for each in operation.get("parameters", [])
            if each["in"] == "header"
        }
        if "201" in operation["responses"] and operation["operationId"] != "create_key":
            assert headers == {"Idempotency-Key": True}, name
        if name.startswith("PATCH"):
            assert headers == {"If-Match": True}, name


async def test_no_answer_is_outside_the_document(door: FrontDoor, tmp_path: Path) -> None:
    """Some hundred cases; `python -m benchmarks fuzz` asks thousands."""
    for template in fuzz.TEMPLATES:
        fields = ("name", "language", "category", "components")
        await door.world.meta.has_template({field: template[field] for field in fields})
    key = await fuzz.furnish(door.world.app)
    # In a process of its own, it does not share one with whoever asks.
    process, url = await asyncio.to_thread(start_api, door.world.app.settings)
    try:
        code, said, cases = await asyncio.to_thread(
            fuzz.ask, url, key, tmp_path, examples=1, phases="examples,fuzzing"
        )
    finally:
        await asyncio.to_thread(process.stop)
    assert code == 0, said
    assert cases.total() > 200
    assert max(cases) < 500
