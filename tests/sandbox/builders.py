"""Words to speak to a sandbox with: a clock to move, a client, templates, messages and their parts."""

from typing import Any

import httpx

from dispatcher.sandbox import Sandbox, Template

NUMBER = "200000000000001"
SISTER = "200000000000002"
WABA = "100000000000001"
PORTFOLIO = "300000000000001"
TOKEN = "sandbox-token"
DANA = "+12025550143"

Json = dict[str, Any]


class MovedClock:
    """A clock in milliseconds that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def move(self, ms: int) -> None:
        self.now_ms += ms


class Client:
    """Speaks to a sandbox in this process as a sender would."""

    def __init__(self, sandbox: Sandbox, clock: MovedClock) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.clock = clock
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=sandbox.app),
            base_url="http://sandbox",
            headers={"authorization": f"Bearer {TOKEN}"},
        )

    async def post(self, message: object, number: str = NUMBER, **options: Any) -> httpx.Response:
        return await self.http.post(f"/v25.0/{number}/messages", json=message, **options)

    async def code(self, message: object, number: str = NUMBER) -> int | None:
        """The error code a message is answered with, None when it is accepted."""
        answer = (await self.post(message, number)).json()
        return answer["error"]["code"] if "error" in answer else None

    async def record(self) -> Json:
        summary: Json = (await self.http.get("/_sandbox/record")).json()
        return summary


class ReportingClient(Client):
    """A client that also speaks to the console about webhooks."""

    async def console(self, method: str, path: str, said: object = None, **options: Any) -> Json:
        if said is not None:
            options["json"] = said
        answer = await self.http.request(method, f"/_sandbox/{path}", **options)
        assert answer.status_code == 200, answer.text
        shown: Json = answer.json()
        return shown

    async def reports(self, **webhooks: object) -> None:
        """Change how webhooks behave; what is not said stays."""
        await self.console("PATCH", "behaviour", {"webhooks": webhooks})

    async def sends(self, people: int, **message: Any) -> list[str]:
        """A message to each of so many people. Returns the wamids."""
        answers = [
            await self.post(a_message(to=person(place), token=f"i.c.{place}.1", **message))
            for place in range(people)
        ]
        return [answer.json()["messages"][0]["id"] for answer in answers]

    async def quiet(self) -> Json:
        """What became of webhooks, once nothing is pending; the sums are right."""
        tally = await self.console("GET", "webhooks?until_idle=10")
        assert tally["idle"], tally
        accounted = ("delivered", "given_up", "lost", "overflowed", "pending")
        assert tally["planned"] + tally["duplicates"] == sum(tally[name] for name in accounted), tally
        return tally


def a_template(name: str = "greeting", body: str = "Hello {{1}}.", **fields: Any) -> Template:
    extra = fields.pop("and_components", [])
    values = {
        "id": "600000000000001",
        "waba_id": WABA,
        "language": "en_US",
        "category": "MARKETING",
        **fields,
    }
    return Template(name=name, components=({"type": "BODY", "text": body}, *extra), **values)


def a_message(
    to: str = DANA, template: str = "greeting", components: object = None, token: str = "", **fields: Any
) -> Json:
    if components is None:
        components = [body("Dana")]
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": "template",
        "biz_opaque_callback_data": token,
        "template": {"name": template, "language": {"code": "en_US"}, "components": components},
        **fields,
    }


def a_text(text: str = "On its way.", to: str = DANA) -> Json:
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}}


def body(*texts: str, **named: str) -> Json:
    parameters: list[Json] = [{"type": "text", "text": text} for text in texts]
    parameters += [{"type": "text", "parameter_name": name, "text": text} for name, text in named.items()]
    return {"type": "body", "parameters": parameters}


def header(kind: str, value: object) -> Json:
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}


def button(sub_type: str, index: int, key: str, value: object) -> Json:
    kind = {"payload": "payload", "text": "text", "coupon_code": "coupon_code", "action": "action"}[key]
    return {
        "type": "button",
        "sub_type": sub_type,
        "index": str(index),
        "parameters": [{"type": kind, key: value}],
    }


def person(place: int) -> str:
    return f"+4915{place:09d}"
