"""Where Meta delivers webhooks: signed bodies go into the inbox, and only then is the answer 200.

Nothing is parsed here; what a body says is intake's business. Where people speak in it, the answer waits a moment for
intake, so that whoever opted out gets nothing any more once Meta has our answer. Each refusal is an answer of its own, and none of them
loses anything: Meta repeats whatever was not answered with 200, for days. Memory is bounded, whoever sends and however
much: bodies that are being read or wait for the ledger count against one budget.

Raw ASGI, because this is a hot path: no request object, no router.

Source: Meta, "Create a webhook endpoint" (verification requests; anything but 200 is repeated) and "Webhooks" (bodies of
up to 3 MB), read 2026-09.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from urllib.parse import parse_qsl

import structlog
from starlette.types import Message, Receive, Scope, Send

from dispatcher.api.answers import Answer
from dispatcher.channel.signatures import Signatures
from dispatcher.channel.urgency import people_speak_in
from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.ledger.applied import AppliedWatch
from dispatcher.ledger.group_commit import InboxWriter

PATH = "/webhooks/whatsapp"
BODY_MOST_BYTES = 4 * 2**20
"""Meta's limit is 3 MB."""
READ_WITHIN_S = 10.0
"""How long the rest of a body may take once it has begun to arrive; until then it holds no memory."""
CHALLENGE_MOST_CHARACTERS = 1_000
COMPLAIN_EVERY_S = 60.0

_AGAIN = ((b"retry-after", b"5"),)
# why: what is left of the body is not read, so nothing else can be read from this connection.
_CLOSE = ((b"connection", b"close"),)

DONE = Answer(200)
CUT_OFF = Answer(400, "The connection ended before the body did.", _CLOSE)
UNSIGNED = Answer(401, "The header X-Hub-Signature-256 is missing.", _CLOSE)
FORGED = Answer(401, "X-Hub-Signature-256 is not right for this body and any of our app secrets.")
STRANGER = Answer(403, "This is not a verification request that we expect.")
NOT_ALLOWED = Answer(405, "Only GET and POST are of use here.", ((b"allow", b"GET, POST"), *_CLOSE))
TOO_SLOW = Answer(408, "The body did not arrive in time.", _CLOSE)
TOO_LARGE = Answer(413, "The body is larger than 4 MB.", _CLOSE)
NO_SECRET = Answer(
    503, "No app secret is configured (webhook_secrets), so nothing can be believed.", (*_AGAIN, *_CLOSE)
)
NO_TOKEN = Answer(503, "No verify token is configured (webhook_verify_token).", _AGAIN)
FULL = Answer(503, "Too much is waiting to be stored. Try again.", (*_AGAIN, *_CLOSE))
LATE = Answer(
    200, "What people said is stored; intake has not applied it in time. Does an intake worker run?"
)
AWAY = Answer(503, "The webhook could not be stored in time. Try again.", _AGAIN)

log = structlog.get_logger("api")


class Webhooks:
    """The endpoint, as an ASGI application for its path."""

    def __init__(
        self,
        writer: InboxWriter,
        watch: AppliedWatch,
        signatures: Signatures,
        verify_token: str | None,
        *,
        memory_bytes: int,
    ) -> None:
        """memory_bytes: how much all bodies together may hold until they are stored."""
        self._writer = writer
        self._watch = watch
        self._signatures = signatures
        self._verify_token = verify_token.encode() if verify_token is not None else None
        self._free_bytes = memory_bytes
        self._complaints = _Complaints()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        match scope["method"]:
            case "POST":
                answer = await self._post(scope, receive)
            case "GET":
                answer = self._get(scope)
            case _:
                answer = NOT_ALLOWED
        await answer.send(send)

    def _get(self, scope: Scope) -> Answer:
        """The handshake by which Meta learns that this address is ours."""
        if self._verify_token is None:
            return self._refuse(NO_TOKEN)
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        token = asked.get("hub.verify_token", "").encode(errors="replace")
        is_known = hmac.compare_digest(token, self._verify_token)
        challenge = asked.get("hub.challenge", "")
        if not is_known or asked.get("hub.mode") != "subscribe" or len(challenge) > CHALLENGE_MOST_CHARACTERS:
            return self._refuse(STRANGER)
        return Answer(200, challenge, ((b"x-content-type-options", b"nosniff"),))

    async def _post(self, scope: Scope, receive: Receive) -> Answer:
        signature, length = b"", b"0"
        for name, value in scope["headers"]:
            if name == b"x-hub-signature-256":
                signature = value
            elif name == b"content-length":
                length = value
        if not self._signatures:
            return self._refuse(NO_SECRET)
        if not signature:
            return self._refuse(UNSIGNED)
        if int(length) > BODY_MOST_BYTES:  # the server has proved that it is a number
            return self._refuse(TOO_LARGE)
        event = await receive()
        body: bytes | Answer = event.get("body", b"")
        if event.get("more_body") or event["type"] == "http.disconnect":
            body = await self._read_on(event, receive)
        if isinstance(body, Answer):
            return self._refuse(body)
        if len(body) > self._free_bytes:
            return self._refuse(FULL)
        if not self._signatures.is_valid(signature, body):
            return self._refuse(FORGED)
        is_urgent = people_speak_in(body)
        self._free_bytes -= len(body)
        try:
            await self._writer.write(body, is_urgent=is_urgent)
        except LedgerUnavailable as error:
            return self._refuse(AWAY, error)
        finally:
            self._free_bytes += len(body)
        if is_urgent and not await self._watch.applied():
            # why 200 all the same: it is stored, and to have it once more would help nobody.
            self._complaints.about(LATE, None)
        return DONE

    async def _read_on(self, event: Message, receive: Receive) -> bytes | Answer:
        """The whole body, of which this is the first piece; or what is wrong with it."""
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                while event["type"] != "http.disconnect":
                    piece = event.get("body", b"")
                    if len(piece) > self._free_bytes:
                        return FULL
                    pieces.append(piece)
                    self._free_bytes -= len(piece)
                    size_bytes += len(piece)
                    if size_bytes > BODY_MOST_BYTES:
                        return TOO_LARGE
                    if not event.get("more_body"):
                        return b"".join(pieces)
                    event = await receive()
                return CUT_OFF
        except TimeoutError:
            return TOO_SLOW
        finally:
            self._free_bytes += size_bytes

    def _refuse(self, answer: Answer, error: LedgerUnavailable | None = None) -> Answer:
        self._complaints.about(answer, error)
        return answer


class _Complaints:
    """What is refused or late, in the log: each cause at most once a minute, since strangers may ask as often as they like."""

    def __init__(self) -> None:
        self._silent_until_s: dict[Answer, float] = {}
        self._unsaid: Counter[Answer] = Counter()

    def about(self, answer: Answer, error: LedgerUnavailable | None) -> None:
        """One more of this kind."""
        self._unsaid[answer] += 1
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._silent_until_s.get(answer, 0.0):
            self._silent_until_s[answer] = now_s + COMPLAIN_EVERY_S
            why = str(error or answer.text)
            log.warning(
                "webhooks were not answered as usual",
                status=answer.status,
                why=why,
                times=self._unsaid.pop(answer),
            )
