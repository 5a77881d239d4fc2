"""What clients read of Meta through the gateway: with a token they never see, and nothing but what only tells."""

from __future__ import annotations

import pytest
from front_door import FrontDoor
from gateway_builders import ANN, Client
from support.meta import TOKEN

from dispatcher.domain.access import Scope

PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400


@pytest.fixture
async def client(door: FrontDoor) -> Client:
    harbour = await door.world.app.senders.named("harbour")
    return Client(door, harbour.phone_number_id)


async def upload(client: Client) -> str:
    form = {"messaging_product": (None, "whatsapp"), "type": (None, "image/png")}
    files = {**form, "file": ("a.png", PIXELS, "image/png")}
    answer = await client.call("POST", f"{client.number_id}/media", files=files)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def test_a_file_goes_up_and_comes_back_through_us(client: Client) -> None:
    media_id = await upload(client)
    described = (await client.call("GET", media_id)).json()
    assert described["url"].startswith(client.door.url)
    assert described["file_size"] == len(PIXELS)
    fetched = await client.door.client.get(described["url"], headers=client.headers)
    assert (fetched.content, fetched.headers["content-type"]) == (PIXELS, "image/png")
    assert fetched.headers["content-length"] == str(len(PIXELS))
    assert (await client.door.client.get(described["url"])).status_code == 401
    assert (await client.call("DELETE", media_id)).json() == {"success": True}
    assert (await client.call("GET", media_id)).json()["error"]["code"] == 100


async def test_a_file_that_a_person_sent_is_opened_with_the_token_of_whom_it_was_sent_to(
    client: Client,
) -> None:
    world = client.door.world
    media_id = await upload(client)
    async with world.webhooks():
        told = {"type": "image", "image": {"id": media_id, "mime_type": "image/png"}}
        await world.meta.writes(client.number_id, ANN, message=told)
        await world.takes_in()
    await world.app.database.execute("DELETE FROM uploaded_media")
    assert (await client.call("GET", media_id)).json()["file_size"] == len(PIXELS)


async def test_numbers_accounts_templates_and_profiles_are_read(client: Client) -> None:
    waba_id = client.door.world.meta.waba_id
    number = await client.call("GET", client.number_id, params={"fields": "status,quality_rating"})
    assert number.json()["status"] == "CONNECTED"
    templates = (await client.call("GET", f"{waba_id}/message_templates")).json()
    assert [each["name"] for each in templates["data"]] == ["autumn"]
    profile = (await client.call("GET", f"{client.number_id}/whatsapp_business_profile")).json()
    assert profile["data"][0]["messaging_product"] == "whatsapp"
    assert (await client.call("GET", f"{waba_id}/phone_numbers")).json()["data"][0]["id"] == client.number_id


async def test_pages_lead_back_to_us_and_hold_no_token(client: Client) -> None:
    meta = client.door.world.meta
    for name in ("spring", "summer", "winter"):
        body = {"type": "BODY", "text": "Hello."}
        await meta.has_template(
            {"name": name, "language": "en_US", "category": "UTILITY", "components": [body]}
        )
    names: list[str] = []
    url = f"{client.door.url}/v25.0/{meta.waba_id}/message_templates?limit=1&fields=name"
    while url:
        answer = await client.door.client.get(url, headers=client.headers)
        assert TOKEN not in answer.text
        names += [each["name"] for each in answer.json()["data"]]
        url = answer.json()["paging"].get("next", "")
        assert url == "" or url.startswith(client.door.url)
    assert sorted(names) == ["autumn", "spring", "summer", "winter"]


ELSEWHERE = [
    ("GET", "100000000000099"),
    ("GET", "me"),
    ("GET", "{number}/assigned_users"),
    ("GET", "{number}/whatsapp_business_profile/x"),
    ("GET", "{number}?method=delete"),
    ("GET", "{number}?ids=1,2"),
    ("GET", "{number}?fields=status,owner_business{{owned_pages}}"),
    ("GET", "{waba}?fields=assigned_users"),
    ("GET", "..%2F{number}"),
    ("DELETE", "{number}"),
    ("POST", "{number}"),
    ("POST", "{number}/register"),
    ("POST", "{waba}/message_templates"),
    ("POST", "{waba}/subscribed_apps"),
    ("POST", "{number}/marketing_messages"),
    ("PUT", "{number}/messages"),
    ("GET", "oauth/access_token"),
]


async def test_everything_else_is_refused_in_metas_form(client: Client) -> None:
    for method, path in ELSEWHERE:
        filled = path.format(number=client.number_id, waba=client.door.world.meta.waba_id)
        answer = await client.call(method, filled)
        assert answer.status_code in {400, 403}, (method, path)
        assert answer.json()["error"]["code"] in {3, 100}, (method, path)


@pytest.mark.settings(gateway_url="https://wa.shop.example/")
async def test_behind_a_proxy_links_are_those_that_clients_reach(client: Client) -> None:
    media_id = await upload(client)
    described = (await client.call("GET", media_id)).json()
    assert described["url"] == f"https://wa.shop.example/v25.0/{media_id}/file"


async def test_a_key_reads_with_its_scope_alone(client: Client) -> None:
    blind = Client(client.door, client.number_id, await client.door.a_key(Scope.MESSAGES_WRITE))
    assert (await blind.call("GET", client.number_id)).json()["error"]["code"] == 10
    mute = Client(client.door, client.number_id, await client.door.a_key(Scope.READ))
    assert (await mute.call("POST", f"{client.number_id}/media", files={"file": b"x"})).status_code == 403


async def test_a_token_that_is_none_opens_nothing(client: Client) -> None:
    for headers, code in (
        ({}, 104),
        ({"Authorization": "Bearer EAAG-a-token-of-Meta"}, 190),
        ({"Authorization": f"Bearer dk_{'a' * 12}_{'b' * 43}"}, 190),
    ):
        answer = await client.door.client.get(f"/v25.0/{client.number_id}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
