"""What the sandbox answers to a posted message, in Meta's words."""

import orjson
import pytest

from dispatcher.sandbox import LimitScope, NumberStatus

from .builders import DANA, NUMBER, SISTER, Client, a_message, a_template, a_text, body


async def test_an_accepted_template_is_answered_with_contact_wamid_and_status(client: Client) -> None:
    response = await client.post(a_message(to="+1 (202) 555-0143"))
    answer = response.json()
    wamid = answer["messages"][0].pop("id")
    assert response.status_code == 200
    assert wamid.startswith("wamid.")
    assert answer == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+1 (202) 555-0143", "wa_id": "12025550143"}],
        "messages": [{"message_status": "accepted"}],
    }


async def test_every_wamid_is_different(client: Client) -> None:
    wamids = {(await client.post(a_message())).json()["messages"][0]["id"] for _ in range(40)}
    assert len(wamids) == 40


async def test_a_refusal_has_the_shape_of_metas_errors(client: Client) -> None:
    response = await client.post(a_message(components=[]))
    error = response.json()["error"]
    assert error.pop("fbtrace_id")
    assert response.status_code == 400
    assert error == {
        "message": "(#132000) Number of parameters does not match the expected number of params",
        "type": "OAuthException",
        "code": 132000,
        "error_data": {
            "messaging_product": "whatsapp",
            "details": "body: number of localizable_params (0) does not match the expected number of params (1)",
        },
    }


async def test_no_token_and_a_wrong_token_are_told_apart(client: Client) -> None:
    del client.http.headers["authorization"]
    missing = await client.post(a_message())
    wrong = await client.post(a_message(), headers={"authorization": "Bearer another"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (401, 104)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)


async def test_a_number_the_token_does_not_see_does_not_exist(client: Client) -> None:
    client.world.change_number(SISTER, token="another-token")
    for number in (SISTER, "999"):
        error = (await client.post(a_message(), number)).json()["error"]
        assert (error["code"], error["error_subcode"], error["type"]) == (100, 33, "GraphMethodException")
        assert number in error["message"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (NumberStatus.CONNECTED, None),
        (NumberStatus.FLAGGED, None),
        (NumberStatus.RATE_LIMITED, None),
        (NumberStatus.UNVERIFIED, None),
        (NumberStatus.BANNED, 131031),
        (NumberStatus.RESTRICTED, 131048),
        (NumberStatus.PENDING, 133010),
        (NumberStatus.DISCONNECTED, 133010),
        (NumberStatus.UNKNOWN, 131045),
        (NumberStatus.DELETED, 33),
        (NumberStatus.MIGRATED, 133010),
    ],
)
async def test_a_number_sends_only_when_its_status_allows(
    client: Client, status: NumberStatus, code: int | None
) -> None:
    client.world.change_number(NUMBER, status=status)
    assert await client.code(a_message()) == code
    violations = (await client.record())["violations"]
    blocked = code is not None and status is not NumberStatus.MIGRATED
    assert violations == ({"blocked_sender": 1} if blocked else {})


async def test_a_body_that_is_not_json_is_an_invalid_parameter(client: Client) -> None:
    for broken in (b"{", b"[]", b"\xff", b""):
        response = await client.http.post(f"/v25.0/{NUMBER}/messages", content=broken)
        assert response.json()["error"]["code"] == 100, broken


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"messaging_product": "sms"}, 100),
        ({"recipient_type": "group"}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        ({"biz_opaque_callback_data": {"id": 1}}, 100),
        ({"biz_opaque_callback_data": "x" * 512}, None),
        ({"to": None}, 131008),
        ({"to": "12"}, 131009),
        ({"to": "+1234567890123456"}, 131009),
        ({"to": "call me"}, 131009),
        ({"to": 12025550143}, 131009),
        ({"to": "+1 202 555 0100"}, 131021),
        ({"to": None, "recipient": "US.7000000000000000001"}, None),
        ({"to": None, "recipient": "nobody"}, 131009),
        ({"type": "telegram"}, 131051),
        ({"template": None}, 131008),
        ({"template": {"name": "greeting"}}, 131008),
        ({"template": {"name": "greeting", "language": {"code": "fr"}}}, 132001),
    ],
)
async def test_the_envelope_is_checked(client: Client, fields: dict[str, object], code: int | None) -> None:
    assert await client.code({**a_message(), **fields}) == code


async def test_a_person_known_by_scoped_id_is_answered_with_it(client: Client) -> None:
    answer = (await client.post({**a_message(), "to": None, "recipient": "US.7001"})).json()
    assert answer["contacts"] == [{"input": "US.7001", "user_id": "US.7001"}]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("APPROVED", None),
        ("FLAGGED", None),
        ("PENDING", 132001),
        ("REJECTED", 132001),
        ("PAUSED", 132015),
        ("DISABLED", 132016),
    ],
)
async def test_only_an_approved_template_is_sent(client: Client, status: str, code: int | None) -> None:
    client.world.put_templates([a_template(status=status)])
    assert await client.code(a_message()) == code
    assert (await client.record())["violations"] == ({"unapproved_template": 1} if code else {})


async def test_an_unknown_template_is_a_violation(client: Client) -> None:
    response = await client.post(a_message(template="unheard_of"))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == 132001
    assert (await client.record())["violations"] == {"unknown_template": 1}


async def test_a_person_who_opted_out_gets_no_marketing_but_gets_the_rest(client: Client) -> None:
    client.world.put_templates([a_template("receipt", category="UTILITY")])
    await client.http.patch("/_sandbox/people", json={"opted_out": [DANA]})
    assert await client.code(a_message()) == 131050
    assert await client.code(a_message(template="receipt")) is None


async def test_an_authentication_template_needs_a_phone_number(client: Client) -> None:
    client.world.put_templates([a_template("login", category="AUTHENTICATION")])
    message = {**a_message(template="login"), "to": None, "recipient": "US.7001"}
    assert await client.code(message) == 131062


async def test_a_person_not_on_whatsapp_is_accepted_and_marked_to_fail_later(client: Client) -> None:
    await client.http.patch("/_sandbox/people", json={"unknown": [DANA]})
    assert await client.code(a_message()) is None
    line = orjson.loads((await client.http.get("/_sandbox/record?detail=1")).content)
    assert line["fails_later"] == 131026


async def test_free_form_needs_an_open_service_window(client: Client) -> None:
    assert await client.code(a_text()) == 131047
    opened = await client.http.post("/_sandbox/windows", json={"phone_number_id": NUMBER, "person": DANA})
    client.clock.move(opened.json()["open_until_ms"] - client.clock.now_ms - 1)
    answer = (await client.post(a_text())).json()
    assert "message_status" not in answer["messages"][0]
    assert await client.code(a_text(), SISTER) == 131047
    client.clock.move(1)
    assert await client.code(a_text()) == 131047


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (a_text("x" * 4096), None),
        (a_text("x" * 4097), 131009),
        (a_text(""), 131009),
        ({**a_text(), "text": None}, 131008),
        (
            {**a_text(), "type": "image", "image": {"link": "https://shop.example/a.png", "caption": "A"}},
            None,
        ),
        ({**a_text(), "type": "image", "image": {}}, 131008),
        ({**a_text(), "type": "video", "video": {"id": "1", "caption": "x" * 1025}}, 131009),
        ({**a_text(), "type": "location", "location": {"latitude": 1}}, 131008),
        ({**a_text(), "type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}}, None),
        ({**a_text(), "type": "interactive", "interactive": {"type": "button", "action": {}}}, 131008),
        ({**a_text(), "type": "interactive", "interactive": {"type": "flow", "action": {}}}, None),
        ({**a_text(), "type": "contacts", "contacts": []}, 131008),
    ],
)
async def test_free_form_content_is_checked(
    client: Client, message: dict[str, object], code: int | None
) -> None:
    await client.http.post("/_sandbox/windows", json={"phone_number_id": NUMBER, "person": DANA})
    assert await client.code(message) == code


async def test_marking_a_message_as_read_sends_nothing(client: Client) -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x"}
    assert (await client.post(read)).json() == {"success": True}
    assert (await client.record())["accepted"] == 0


async def test_the_limit_named_in_a_tier_refusal_is_the_one_in_force(client: Client) -> None:
    client.world.change_number(NUMBER, tier_limit=1, limit_scope=LimitScope.SENDER)
    await client.post(a_message())
    error = (await client.post(a_message(to="+12025550144", components=[body("Ana")]))).json()["error"]
    assert error["code"] == 131048
    assert "messaging limit of 1 people" in error["error_data"]["details"]
