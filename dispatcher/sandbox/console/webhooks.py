"""The console's part about webhooks: where they go, what became of them, and what people and Meta have to say.

What is said here travels as receipts do, late, twice or never by the behaviour of now, except for raw bytes and the
handshake: these are tried once, at once, and the receiver's answer is reported.
"""

from base64 import b64encode
from secrets import token_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..inputs import CallbackInput, EventInput, InboundInput
from ..judge import Judge
from ..webhooks.callback import Callback, signature_of
from ..webhooks.deliveries import Answered, Deliveries
from ..webhooks.updates import Event, Inbound, name_of, scoped_id
from ..world import SandboxWorld
from .io import answer_json, read, read_some, seconds_of

_UNTIL_IDLE_AT_MOST_S = 3600.0
_WRONG_SECRET = "not the app's secret"  # noqa: S105 - that is what it is


class WebhookConsole:
    """Has things reported."""

    def __init__(self, world: SandboxWorld, judge: Judge, deliveries: Deliveries) -> None:
        """The judge is told when a person writes, since that opens a service window."""
        self._world = world
        self._judge = judge
        self._deliveries = deliveries
        self.routes = [
            Route("/_sandbox/callback", self.show_callback),
            Route("/_sandbox/callback", self.put_callback, methods=["PUT"]),
            Route("/_sandbox/callback", self.remove_callback, methods=["DELETE"]),
            Route("/_sandbox/callback/verify", self.verify, methods=["POST"]),
            Route("/_sandbox/webhooks", self.show_webhooks),
            Route("/_sandbox/webhooks/raw", self.post_raw, methods=["POST"]),
            Route("/_sandbox/inbound", self.write, methods=["POST"]),
            Route("/_sandbox/events", self.tell, methods=["POST"]),
        ]

    async def show_callback(self, _: Request) -> Response:
        """Where webhooks go; `url` is null when there are none."""
        callback = self._world.callback
        return answer_json({"url": callback.url if callback is not None else None})

    async def put_callback(self, request: Request) -> Response:
        """Send webhooks to `url`, signed with `app_secret`, from the next accepted message on; `verify_token` is for the handshake."""
        self._world.callback = (await read(request, CallbackInput)).callback()
        return await self.show_callback(request)

    async def remove_callback(self, request: Request) -> Response:
        """Send no webhooks any more, and give up those that are pending."""
        self._world.callback = None
        self._deliveries.give_up()
        return await self.show_callback(request)

    async def verify(self, _: Request) -> Response:
        """Make the handshake as Meta does, and say what came of it."""
        answered, is_verified = await self._deliveries.verify(self._callback())
        return answer_json({"verified": is_verified, **_shown(answered)})

    async def show_webhooks(self, request: Request) -> Response:
        """What became of webhooks; with `?until_idle=30` after nothing is pending any more, or so many seconds."""
        within_s = seconds_of(request, "until_idle", _UNTIL_IDLE_AT_MOST_S)
        is_idle = await self._deliveries.wait_idle(within_s or 0.0)
        return answer_json({"idle": is_idle, **self._deliveries.tally.shown()})

    async def post_raw(self, request: Request) -> Response:
        """Deliver this body as it is, once and at once; `?signature=bad` signs it wrongly, `none` not at all."""
        callback, body = self._callback(), await request.body()
        match request.query_params.get("signature", "good"):
            case "good":
                signature = None
            case "bad":
                signature = signature_of(body, _WRONG_SECRET)
            case "none":
                signature = ""
            case other:
                raise HTTPException(422, f"signature is good, bad or none, not {other}")
        return answer_json(_shown(await self._deliveries.ask_once(callback, callback.post(body, signature))))

    async def write(self, request: Request) -> Response:
        """People write to numbers, one or a list: `text`, `button`, `interactive` or a `message` fragment. Opens service windows, and counts against the number's rate."""
        said = await read_some(request, InboundInput)
        for each in said:
            if each.phone_number_id not in self._world.numbers:
                raise HTTPException(404, f"there is no number {each.phone_number_id}")
        return answer_json({"messages": [self._write(each) for each in said]})

    async def tell(self, request: Request) -> Response:
        """Report changes of accounts, one or a list: any `field` with any `value`, for a `waba_id`, `after_s` from now."""
        said = await read_some(request, EventInput)
        self._callback()
        for each in said:
            at_ms = self._judge.now_ms() + int(each.after_s * 1000)
            self._deliveries.add(Event(each.waba_id, each.field, each.value, at_ms), at_ms)
        return answer_json({"events": len(said)})

    def _write(self, said: InboundInput) -> dict[str, object]:
        """One message of a person; the window opens whether or not anybody is told."""
        number, person, now_ms = self._world.numbers[said.phone_number_id], said.who(), self._judge.now_ms()
        wamid = said.id or f"wamid.{b64encode(token_bytes(18)).decode()}"
        is_hidden = said.is_hidden or isinstance(person, str)
        fragment: dict[str, object] = {} if is_hidden else {"from": str(person)}
        if is_hidden or self._deliveries.scoped_ids:
            fragment["from_user_id"] = scoped_id(person)
        fragment |= {"id": wamid, "timestamp": str(now_ms // 1000)}
        if said.context_id is not None:
            fragment["context"] = {"from": str(number.digits), "id": said.context_id}
        fragment |= said.content()
        open_until_ms = self._judge.receive(number.id, person)
        if self._world.callback is not None:
            name = said.name or name_of(person)
            self._deliveries.add(Inbound(number, person, name, fragment, is_hidden), now_ms)
        return {"id": fragment["id"], "open_until_ms": open_until_ms}

    def _callback(self) -> Callback:
        """The callback. Raises HTTPException 422 where there is none."""
        if self._world.callback is None:
            raise HTTPException(422, "there is no callback: PUT /_sandbox/callback")
        return self._world.callback


def _shown(answered: Answered) -> dict[str, object]:
    return {
        "status": answered.status,
        "answer": answered.body.decode(errors="replace"),
        "ms": round(answered.ms, 3),
    }
