"""Reading numbers and templates, page by page."""

import httpx
import pytest

from dispatcher.sandbox import LimitScope

from .builders import NUMBER, PORTFOLIO, SISTER, WABA, Client, a_template

TEMPLATES = f"/v25.0/{WABA}/message_templates"


def with_templates(client: Client, many: int) -> None:
    client.world.put_templates(
        a_template(
            f"offer_{place:02d}",
            id=str(700000000000000 + place),
            status="PAUSED" if place == 5 else "APPROVED",
        )
        for place in range(many)
    )


async def test_a_listing_goes_on_until_next_is_missing(client: Client) -> None:
    with_templates(client, 30)
    names: list[str] = []
    url: str | None = f"{TEMPLATES}?fields=name,status&limit=7"
    pages = 0
    while url is not None:
        answer = (await client.http.get(url)).json()
        names += [template["name"] for template in answer["data"]]
        url = answer["paging"].get("next")
        pages += 1
    assert pages == 5
    assert len(names) == len(set(names)) == 31


async def test_a_listing_shows_the_fields_asked_for_and_the_id(client: Client) -> None:
    answer = (
        await client.http.get(f"{TEMPLATES}?fields=name,language,components,quality_score{{score}}")
    ).json()
    assert answer["data"] == [
        {
            "id": "600000000000001",
            "name": "greeting",
            "language": "en_US",
            "components": [{"type": "BODY", "text": "Hello {{1}}."}],
            "quality_score": {"score": "GREEN", "date": 0},
        }
    ]
    assert "next" not in answer["paging"]


async def test_a_listing_can_be_filtered(client: Client) -> None:
    with_templates(client, 8)
    answer = (await client.http.get(f"{TEMPLATES}?status=PAUSED")).json()
    assert [template["name"] for template in answer["data"]] == ["offer_05"]
    assert (await client.http.get(f"{TEMPLATES}?name=nothing")).json() == {"data": []}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=garbage", 131059),
        ("after=%21", 131059),
        ("limit=0", 100),
        ("limit=x", 100),
        ("fields=colour", 100),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(client: Client, query: str, code: int) -> None:
    response = await client.http.get(f"{TEMPLATES}?{query}")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == code


async def test_a_number_is_read_by_its_fields(client: Client) -> None:
    fields = "display_phone_number,status,quality_rating,throughput,whatsapp_business_manager_messaging_limit"
    assert (await client.http.get(f"/v25.0/{NUMBER}?fields={fields}")).json() == {
        "id": NUMBER,
        "display_phone_number": "+1 202-555-0100",
        "status": "CONNECTED",
        "quality_rating": "GREEN",
        "throughput": {"level": "STANDARD"},
        "whatsapp_business_manager_messaging_limit": "TIER_250",
    }


@pytest.mark.parametrize(
    ("limit", "text"),
    [(250, "TIER_250"), (2_000, "TIER_2K"), (100_000, "TIER_100K"), (None, "TIER_UNLIMITED")],
)
async def test_a_limit_is_written_as_meta_writes_it(client: Client, limit: int | None, text: str) -> None:
    client.world.change_number(NUMBER, tier_limit=limit)
    answer = (await client.http.get(f"/v25.0/{NUMBER}?fields=messaging_limit_tier")).json()
    assert answer["messaging_limit_tier"] == text


async def test_the_limit_shown_is_the_portfolios_where_that_counts(client: Client) -> None:
    client.world.change_number(NUMBER, limit_scope=LimitScope.PORTFOLIO)
    await client.http.patch(f"/_sandbox/portfolios/{PORTFOLIO}", json={"tier_limit": 10_000})
    answer = (await client.http.get(f"/v25.0/{NUMBER}?fields=messaging_limit_tier")).json()
    assert answer["messaging_limit_tier"] == "TIER_10K"


async def test_an_account_lists_its_numbers(client: Client) -> None:
    answer = (await client.http.get(f"/v24.0/{WABA}/phone_numbers?fields=status&limit=1")).json()
    assert answer["data"] == [{"id": NUMBER, "status": "CONNECTED"}]
    following = (await client.http.get(answer["paging"]["next"])).json()
    assert following["data"] == [{"id": SISTER, "status": "CONNECTED"}]


@pytest.mark.parametrize("path", [f"/v25.0/{NUMBER}", TEMPLATES, f"/v25.0/{WABA}/phone_numbers"])
async def test_reads_need_a_token_that_sees_the_object(client: Client, path: str) -> None:
    async def read(token: str | None) -> httpx.Response:
        client.http.headers.pop("authorization", None)
        return await client.http.get(path, headers={"authorization": f"Bearer {token}"} if token else None)

    for number in (NUMBER, SISTER):
        client.world.change_number(number, token="theirs")
    client.world.tokens.add("ours")
    assert (await read(None)).json()["error"]["code"] == 104
    assert (await read("nobodys")).json()["error"]["code"] == 190
    assert (await read("ours")).json()["error"]["error_subcode"] == 33
    assert (await read("theirs")).status_code == 200


async def test_what_the_sandbox_does_not_have_answers_like_meta(client: Client) -> None:
    for path in ("/latest/me", "/v25.0/1/unheard/of", f"/messages/{NUMBER}"):
        assert (await client.http.get(path)).json()["error"]["code"] == 100, path
