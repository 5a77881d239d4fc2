"""What schemathesis is told about this API: how CSV and NDJSON are sent."""

from __future__ import annotations

import schemathesis


@schemathesis.serializer("text/csv", "application/x-ndjson")
def as_text(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """As it is."""
    return value if isinstance(value, bytes) else str(value).encode()
