"""Events in Meta's form: what a client's callback hears of messages, people and accounts, signed, in order, and once it is true."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from front_door import FrontDoor
from gateway_builders import ANN, BOB, EVE, Client, a_template, a_text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from support.conversations import has_written
from support.street import serving

from dispatcher.domain.gateway import GatewayId
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported

pytestmark = pytest.mark.settings(events_networks=["127.0.0.1"])

APP_SECRET = "0123456789abcdef"
VERIFY_TOKEN = "tell-nobody"


class Hook:
    """A callback as clients of Meta have one."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[dict[str, Any]] = []
        self.statuses = [200]
        """What it answers, one after the other; the last again and again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET":
            is_right = request.query_params["hub.verify_token"] == VERIFY_TOKEN
            return PlainTextResponse(request.query_params["hub.challenge"] if is_right else "no", 200)
        body = await request.body()
        signed = hmac.digest(APP_SECRET.encode(), body, "sha256").hex()
        assert request.headers["x-hub-signature-256"] == f"sha256={signed}"
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 200:
            self.got.append(json.loads(body))
        return PlainTextResponse("", status)

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What it was told, one by one."""
        for body in self.got:
            assert (body["object"], len(body["entry"]), len(body["entry"][0]["changes"])) == (
                "whatsapp_business_account",
                1,
                1,
            )
        return [body["entry"][0]["changes"][0] for body in self.got]

    @property
    def statuses_told(self) -> list[tuple[str, str]]:
        """Of messages: id and status."""
        return [
            (status["id"], status["status"])
            for change in self.changes
            for status in change["value"].get("statuses", ())
        ]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    async with serving(hook) as url:
        hook.url = f"{url}/hook"
        yield hook


@pytest.fixture
async def client(door: FrontDoor, hook: Hook) -> Client:
    """Ann has written to harbour, and the hook is told of everything."""
    harbour = await door.world.app.senders.named("harbour")
    await has_written(door.world, harbour, ANN)
    await relay(door, hook)
    return Client(door, harbour.phone_number_id)


async def relay(door: FrontDoor, hook: Hook, status: int = 201, **fields: Any) -> dict[str, Any]:
    order = {"url": hook.url, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN} | fields
    return dict(await door.post("/relays", order, status))


async def deliver(door: FrontDoor) -> None:
    """What a worker does, once."""
    for turn in await door.world.app.deliveries.due(10):
        await door.world.app.deliveries.serve(turn)


async def becomes(client: Client, message_id: str, state: str, **fields: Any) -> GatewayId:
    """As if the workers had brought a message there."""
    named = GatewayId.parse(message_id)
    assert named is not None
    table = "replies" if named.is_reply else "messages"
    values = {"state": state, "attempt": 1, "wamid": f"wamid.THEIRS{named.message_id}", **fields}
    columns = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    sql = f"UPDATE {table} SET {columns} WHERE id = $1"  # noqa: S608
    await client.door.world.app.database.execute(sql, named.message_id, *values.values())
    return named


async def is_reported(client: Client, named: GatewayId, state: ReceiptState, attempt: int = 1) -> None:
    """As if a webhook had said so."""
    ref = AttemptRef(CampaignId(named.campaign_id), MessageId(named.message_id), attempt)
    receipt = reported(
        state,
        (await client.door.world.app.database.fetchval("SELECT ledger_now()")),
        code=131049 if state is ReceiptState.FAILED else None,
    )
    async with client.door.world.app.inbox.batch(0) as batch:
        await batch.receipts.book({ref: (f"wamid.THEIRS{attempt}", receipt)})


async def test_a_callback_that_does_not_answer_as_meta_wants_it_is_not_taken(
    door: FrontDoor, hook: Hook
) -> None:
    told = await relay(door, hook, 422, verify_token="wrong")
    assert "handshake" in told["detail"]
    assert "wrong" not in str(told)
    told = await relay(door, hook, 422, url="http://127.0.0.1:1/hook")
    assert "handshake" in told["detail"]
    told = await relay(door, hook, 422, kinds=["campaign.started"])
    assert "Meta has no form for campaign.started" in told["detail"]
    assert (await door.get("/subscriptions"))["items"] == []


async def test_a_relay_is_a_subscription_that_shows_no_secret(door: FrontDoor, hook: Hook) -> None:
    made = await relay(door, hook, senders=["harbour"])
    assert (made["format"], made["senders"]) == ("meta", ["harbour"])
    assert "receipt.delivered" in made["kinds"]
    shown = str([made, await door.get("/subscriptions"), await door.get("/audit")])
    assert APP_SECRET not in shown
    assert VERIFY_TOKEN not in shown


async def test_statuses_carry_our_id_and_the_clients_own_words(client: Client, hook: Hook) -> None:
    message_id = await client.sends(a_template(EVE, biz_opaque_callback_data="order 7"))
    named = await becomes(client, message_id, "accepted")
    for state in (ReceiptState.SENT, ReceiptState.DELIVERED, ReceiptState.READ):
        await is_reported(client, named, state)
    reply_id = await client.sends(a_text(biz_opaque_callback_data="ticket 1"))
    await is_reported(client, await becomes(client, reply_id, "accepted"), ReceiptState.SENT)
    await deliver(client.door)
    assert hook.statuses_told == [
        (message_id, "sent"),
        (message_id, "delivered"),
        (message_id, "read"),
        (reply_id, "sent"),
    ]
    value = hook.changes[0]["value"]
    assert value["metadata"]["phone_number_id"] == client.number_id
    assert value["contacts"] == [{"wa_id": EVE.removeprefix("+")}]
    assert value["statuses"][0]["recipient_id"] == EVE.removeprefix("+")
    words = [change["value"]["statuses"][0]["biz_opaque_callback_data"] for change in hook.changes]
    assert words == ["order 7", "order 7", "order 7", "ticket 1"]
    assert "THEIRS" not in str(hook.got)


async def test_what_will_not_be_sent_has_failed(client: Client, hook: Hook) -> None:
    refused = await client.sends(a_template(EVE))
    await becomes(client, refused, "refused", code=131026, reason="not on WhatsApp")
    stopped = await client.sends(a_template(BOB))
    await becomes(client, stopped, "suppressed", reason="suppressed: opted_out", wamid=None)
    late = await client.sends(a_text())
    await becomes(client, late, "refused", reason="window_closed", wamid=None)
    await deliver(client.door)
    told = {
        status["id"]: (status["status"], status["errors"][0]["code"])
        for change in hook.changes
        for status in change["value"]["statuses"]
    }
    assert told == {refused: ("failed", 131026), stopped: ("failed", 131050), late: ("failed", 131047)}


async def test_a_failure_that_is_tried_again_is_not_told(client: Client, hook: Hook) -> None:
    message_id = await client.sends(a_template(EVE))
    named = await becomes(client, message_id, "accepted")
    await is_reported(client, named, ReceiptState.FAILED)
    await becomes(client, message_id, "pending")
    await deliver(client.door)
    assert hook.statuses_told == []
    await becomes(client, message_id, "accepted", attempt=2)
    await is_reported(client, named, ReceiptState.FAILED, attempt=2)
    await deliver(client.door)
    assert hook.statuses_told == [(message_id, "failed")]


async def test_nothing_overtakes_what_the_callback_has_not_taken(client: Client, hook: Hook) -> None:
    ids = [await client.sends(a_template(to)) for to in (ANN, BOB, EVE)]
    for message_id in ids:
        await is_reported(client, await becomes(client, message_id, "accepted"), ReceiptState.SENT)
    hook.statuses = [200, 400, 200]
    await deliver(client.door)
    assert hook.statuses_told == [(ids[0], "sent")]
    await client.door.world.app.database.execute("UPDATE deliveries SET next_at = '-infinity'")
    await deliver(client.door)
    assert hook.statuses_told == [(each, "sent") for each in ids]


async def test_what_people_answer_is_named_as_the_client_knows_it(client: Client, hook: Hook) -> None:
    world = client.door.world
    message_id = await client.sends(a_template(ANN))
    named = await becomes(client, message_id, "accepted")
    wamid = f"wamid.THEIRS{named.message_id}"
    async with world.webhooks():
        button = {"text": "Stop", "payload": "x"}
        await world.meta.writes(client.number_id, ANN, button=button, context_id=wamid, name="Ann")
        await world.meta.writes(client.number_id, ANN, reaction={"message_id": wamid, "emoji": "👍"})
        await world.meta.writes(client.number_id, ANN, "And this?", context_id="wamid.OF-ANOTHER-SYSTEM")
        await world.takes_in()
    await deliver(client.door)
    # All within a second, of which Meta tells no order.
    said = {change["value"]["messages"][0]["type"]: change["value"] for change in hook.changes}
    assert said["button"]["messages"][0]["context"]["id"] == message_id
    assert said["reaction"]["messages"][0]["reaction"]["message_id"] == message_id
    assert said["text"]["messages"][0]["context"]["id"] == "wamid.OF-ANOTHER-SYSTEM"
    [who] = said["button"]["contacts"]
    assert (who["profile"]["name"], who["wa_id"]) == ("Ann", ANN.removeprefix("+"))


async def test_news_of_an_account_goes_to_those_who_have_a_sender_there(door: FrontDoor, hook: Hook) -> None:
    await relay(door, hook, senders=["harbour"])
    world = door.world
    async with world.webhooks():
        value = {"event": "FLAGGED", "display_phone_number": "1", "current_limit": "TIER_1K"}
        await world.meta.tells(world.meta.waba_id, "phone_number_quality_update", value)
        await world.takes_in()
    await world.app.database.execute(
        "INSERT INTO account_news (key, waba_id, field, value) VALUES ('x', '1', 'security', '{}')"
    )
    await deliver(door)
    [change] = hook.changes
    assert (change["field"], change["value"]) == ("phone_number_quality_update", value)
    assert hook.got[0]["entry"][0]["id"] == world.meta.waba_id
