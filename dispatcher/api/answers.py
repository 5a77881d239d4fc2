"""Answers that are made once and sent often: plain texts for people, next to nothing for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Send


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A whole answer. `headers` beyond type and length, names in lower case."""

    status: int
    text: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    _events: tuple[dict[str, Any], dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        content = self.text.encode()
        length = (b"content-length", str(len(content)).encode())
        kind = ((b"content-type", b"text/plain; charset=utf-8"),) if content else ()
        start = {
            "type": "http.response.start",
            "status": self.status,
            "headers": [length, *kind, *self.headers],
        }
        object.__setattr__(self, "_events", (start, {"type": "http.response.body", "body": content}))

    async def send(self, send: Send) -> None:
        """Send it (ASGI)."""
        start, body = self._events
        await send(start)
        await send(body)
