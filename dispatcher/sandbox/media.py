"""Files: uploaded by numbers, sent by people, described, fetched and deleted as at Meta.

An id is opened by the token of the number it belongs to, and so is the place where its bytes are, which is another one.
What is kept is forgotten with the oldest, so that a sandbox that runs for long does not grow.

Source: Meta, "Media" (upload, retrieve URL, download, delete), read 2026-09.
"""

from collections import OrderedDict
from dataclasses import dataclass
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256
from itertools import count

from starlette.requests import Request

from .refusals import Refusal, not_visible
from .world import Number, SandboxWorld

_KEPT = 1_000
_BYTES_MOST = 100_000_000
PLACE = "/whatsapp_business/attachments"
"""Where bytes are; the id is asked for by `mid`."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file."""

    id: str
    number_id: str
    mime_type: str
    content: bytes

    def node(self, base_url: str) -> dict[str, object]:
        """As Meta describes it."""
        return {
            "messaging_product": "whatsapp",
            "url": f"{base_url}{PLACE}?mid={self.id}",
            "mime_type": self.mime_type,
            "sha256": sha256(self.content).hexdigest(),
            "file_size": len(self.content),
            "id": self.id,
        }


class Files:
    """All that were uploaded."""

    def __init__(self, world: SandboxWorld) -> None:
        """Nothing yet."""
        self._world = world
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._ids = count(800_000_000_000_001)

    def put(self, number: Number, mime_type: str, content: bytes) -> StoredFile:
        """Keep a file of a number."""
        stored = StoredFile(str(next(self._ids)), number.id, mime_type, content)
        self._files[stored.id] = stored
        while len(self._files) > _KEPT:
            self._files.popitem(last=False)
        return stored

    def find(self, media_id: str, token: str | None, verb: str = "get") -> StoredFile | Refusal:
        """A file that this token opens."""
        stored = self._files.get(media_id)
        number = self._world.numbers.get(stored.number_id) if stored is not None else None
        if stored is None or number is None or number.token != token:
            return not_visible(media_id, verb)
        return stored

    def delete(self, stored: StoredFile) -> None:
        """Forget it."""
        self._files.pop(stored.id, None)


async def read_upload(request: Request) -> tuple[str, bytes] | Refusal:
    """Type and bytes of an uploaded file."""
    parts = _parts(request.headers.get("content-type", ""), await request.body())
    if parts.get("messaging_product") is None or _text(parts["messaging_product"]) != "whatsapp":
        return Refusal(100, "The parameter messaging_product is required.")
    if (part := parts.get("file")) is None:
        return Refusal(100, "The parameter file is required.")
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or not 0 < len(content) <= _BYTES_MOST:
        return Refusal(131053, "The file is empty or too large.")
    return _text(parts["type"]) if "type" in parts else part.get_content_type(), content


def _parts(content_type: str, body: bytes) -> dict[str, MIMEPart]:
    """The parts of a form, by their names."""
    framed = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    message = BytesParser(policy=HTTP).parsebytes(framed)
    if not message.is_multipart():
        return {}
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            found[name] = part
    return found


def _text(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode(errors="replace").strip() if isinstance(payload, bytes) else ""
