"""A call as a value: what is asked and how the answer is read, and nothing of how it travels.

So everything that the API offers is written down once (`campaigns.py`, `messages.py` …), and the two clients in
`clients.py` differ in how they wait and in nothing else.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast

from dispatcher.client.people import Content

Answer = TypeVar("Answer")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One question and its answer."""

    method: str
    path: str
    """Below `/v1`."""
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """What is sent as JSON."""
    content: Content | None = None
    """What is sent as a stream, in place of a body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    """Whether making it twice is as good as once, so that a lost answer is no reason to give up."""

    def read(self, body: bytes) -> Answer:
        """The answer as it came: JSON, with the types of `shapes.py`."""
        return cast("Answer", json.loads(body))


@dataclass(frozen=True, slots=True)
class Paged(Generic[Item]):
    """A list that is read page by page."""

    first: Call[Any]

    def page(self, cursor: str | None) -> Call[Any]:
        """One page of it."""
        params = {**self.first.params, **({"cursor": cursor} if cursor is not None else {})}
        return replace(self.first, params=params)


@dataclass(frozen=True, slots=True)
class Streamed(Generic[Item]):
    """An answer that flows, read line by line."""

    call: Call[Any]
    read_line: Callable[[str], Item | None]
    """None: nothing of interest."""


def get(path: str, **params: Any) -> Call[Any]:
    """A question that changes nothing."""
    return Call("GET", path, {name: value for name, value in params.items() if value is not None})


def create(path: str, body: Any, once: str | None, **more: Any) -> Call[Any]:
    """A call that creates something, under a name by which a repetition is known; without one, a random name."""
    name = {"Idempotency-Key": once if once is not None else str(uuid.uuid4())}
    return Call("POST", path, body=body, headers=name, **more)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
