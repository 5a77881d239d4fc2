"""Files at the sandbox: uploaded, described, fetched and deleted, by whoever has the number's token and by nobody else."""

from __future__ import annotations

from .builders import NUMBER, Client

FORM = {"messaging_product": (None, "whatsapp"), "type": (None, "image/png")}
PIXELS = b"\x89PNG\r\n\x1a\n--not-a-boundary\r\n\x00\xff" * 50


async def upload(client: Client, content: bytes = PIXELS) -> str:
    files = {**FORM, "file": ("a.png", content, "image/png")}
    answer = await client.http.post(f"/v25.0/{NUMBER}/media", files=files)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def test_a_file_comes_back_byte_for_byte(client: Client) -> None:
    media_id = await upload(client)
    described = (await client.http.get(f"/v25.0/{media_id}")).json()
    assert (described["mime_type"], described["file_size"]) == ("image/png", len(PIXELS))
    fetched = await client.http.get(described["url"])
    assert (fetched.content, fetched.headers["content-type"]) == (PIXELS, "image/png")


async def test_nobody_else_opens_it(client: Client) -> None:
    media_id = await upload(client)
    url = (await client.http.get(f"/v25.0/{media_id}")).json()["url"]
    stranger = {"authorization": "Bearer another"}
    assert (await client.http.get(f"/v25.0/{media_id}", headers=stranger)).status_code == 401
    assert (await client.http.get(url, headers=stranger)).status_code == 404
    assert (await client.http.delete(f"/v25.0/{media_id}", headers=stranger)).status_code == 401


async def test_what_is_deleted_is_gone(client: Client) -> None:
    media_id = await upload(client)
    url = (await client.http.get(f"/v25.0/{media_id}")).json()["url"]
    assert (await client.http.delete(f"/v25.0/{media_id}")).json() == {"success": True}
    assert (await client.http.get(f"/v25.0/{media_id}")).json()["error"]["code"] == 100
    assert (await client.http.get(url)).status_code == 404


async def test_an_upload_needs_its_form(client: Client) -> None:
    without = {"file": ("a.png", PIXELS, "image/png")}
    answer = await client.http.post(f"/v25.0/{NUMBER}/media", files=without)
    assert answer.json()["error"]["code"] == 100
    assert (await client.http.post(f"/v25.0/{NUMBER}/media", content=b"x")).json()["error"]["code"] == 100
