"""Who is let in: every operation, without a key and with each kind that opens nothing; and what the log says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from front_door import FrontDoor, people

from dispatcher.domain.access import Denial, Scope
from dispatcher.domain.audit import ActorKind, AuditOutcome
from dispatcher.domain.rate import Rate

Operation = tuple[str, str, Scope]


async def operations(door: FrontDoor) -> list[Operation]:
    """Method, path and scope of everything that the API offers."""
    document = (await door.client.get("/v1/openapi.json")).json()
    return [
        (method.upper(), path, Scope(described["security"][0]["key"][0]))
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]


def address(path: str) -> str:
    """A path with something in its places."""
    for name, value in (
        ("campaign_id", "1"),
        ("message_id", "1"),
        ("key_id", "1"),
        ("piece_id", "1"),
        ("reply_id", "1"),
        ("conversation_id", "1"),
        ("subscription_id", "1"),
        ("person", "+4915123456789"),
        ("name", "harbour"),
    ):
        path = path.replace(f"{{{name}}}", value)
    return path


async def everything(door: FrontDoor) -> list[Any]:
    """All that calls could have changed."""
    tables = (
        "campaigns",
        "messages",
        "replies",
        "senders",
        "suppressions",
        "api_keys",
        "answered_calls",
        "subscriptions",
        "holds",
    )
    return [
        await door.world.app.database.fetch(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608
        for table in tables
    ]


async def test_nothing_is_done_without_a_key_that_opens_it_and_the_log_tells(door: FrontDoor) -> None:
    known = await operations(door)
    assert len(known) > 30
    expired = await door.a_key(*Scope, expires_at=door.world.app.lane_tools.clock.now() + timedelta(hours=1))
    revoked = await door.a_key(*Scope)
    await door.world.app.database.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 minute' WHERE expires_at IS NOT NULL"
    )
    await door.world.app.access.revoke((await door.world.app.access.all())[-1].id)
    before = await everything(door)
    wrong = revoked[:-1] + ("x" if revoked[-1] != "x" else "y")
    for key, why in (
        (None, Denial.NO_KEY),
        ("nonsense", Denial.NO_KEY),
        (wrong, Denial.UNKNOWN_KEY),
        (expired, Denial.EXPIRED_KEY),
        (revoked, Denial.REVOKED_KEY),
    ):
        for method, path, _ in known:
            answer = await door.call(method, address(path).removeprefix("/v1"), key=key)
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.json()["type"] == f"urn:dispatcher:{why}"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await everything(door) == before
    refused = [entry for entry in await door.log() if entry.outcome is AuditOutcome.REFUSED]
    for method, path, _ in known:
        causes = {entry.subject for entry in refused if entry.action == f"{method} {path}"}
        assert causes == {Denial.NO_KEY, Denial.UNKNOWN_KEY, Denial.EXPIRED_KEY, Denial.REVOKED_KEY}
    by_unknown = [entry for entry in refused if entry.subject in {Denial.NO_KEY, Denial.UNKNOWN_KEY}]
    assert {entry.actor.kind for entry in by_unknown} == {ActorKind.NOBODY}


async def test_a_scope_opens_its_own_operations_and_no_other(door: FrontDoor) -> None:
    known = await operations(door)
    assert {scope for _, _, scope in known} == set(Scope)
    keys = {scope: await door.a_key(*(set(Scope) - {scope})) for scope in Scope}
    before = await everything(door)
    for method, path, scope in known:
        answer = await door.call(method, address(path).removeprefix("/v1"), key=keys[scope])
        assert answer.status_code == 403, (method, path, answer.text)
        assert answer.json()["type"] == "urn:dispatcher:missing_scope"
    assert [row for table in await everything(door) for row in table if "prefix" not in row] == [
        row for table in before for row in table if "prefix" not in row
    ]


async def test_a_key_that_is_used_too_fast_is_told_when_to_come_again(door: FrontDoor) -> None:
    key = await door.a_key(Scope.READ, rate=Rate.parse("0.1/s"))
    assert (await door.call("GET", "/campaigns", key=key)).status_code == 200
    refused = await door.call("GET", "/campaigns", key=key)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 10


async def test_keys_are_made_listed_and_revoked_over_the_api(door: FrontDoor) -> None:
    made = await door.post("/keys", {"name": "shop", "scopes": ["read"], "rate": "5/s"}, 201)
    assert (await door.call("GET", "/campaigns", key=made["key"])).status_code == 200
    listed = (await door.get("/keys"))["items"]
    assert [each["name"] for each in listed] == ["test", "shop"]
    assert made["key"] not in str(listed)
    assert (await door.call("DELETE", f"/keys/{made['id']}")).status_code == 200
    assert (await door.call("GET", "/campaigns", key=made["key"])).status_code == 401
    own = listed[0]["id"]
    assert (await door.call("DELETE", f"/keys/{own}")).status_code == 409


async def test_a_key_gives_no_more_than_it_has(door: FrontDoor) -> None:
    admin = await door.a_key(Scope.KEYS_ADMIN)
    refused = await door.call("POST", "/keys", key=admin, json={"name": "shop", "scopes": ["read"]})
    assert refused.status_code == 422
    assert "cannot give what it has not got: read" in refused.json()["detail"]


async def test_each_order_is_in_the_log_with_the_key_that_gave_it(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(2)}, 201)
    await door.post(f"/campaigns/{campaign}/start")
    entries = (await door.get("/audit"))["items"]
    assert [(each["action"], each["subject"]) for each in entries[:3]] == [
        ("campaign_moved", f"campaign {campaign}"),
        ("people_added", f"campaign {campaign}"),
        ("campaign_created", f"campaign {campaign}"),
    ]
    prefix = door.key[3:15]
    assert {(each["actor_kind"], each["actor"]) for each in entries[:3]} == {("key", f"{prefix} test")}
    assert (entries[0]["before"], entries[0]["after"]) == ({"state": "draft"}, {"state": "running"})
    assert entries[1]["after"]["people"] == 2


async def test_what_is_no_key_is_no_key(door: FrontDoor) -> None:
    for header in ("Bearer", "Basic dGVzdA==", "Bearer dk_", "dk_aaaaaaaaaaaa_x"):
        answer = await door.client.get("/v1/campaigns", headers={"Authorization": header})
        assert answer.status_code == 401, header


async def test_an_address_tells_all_methods_that_it_takes(door: FrontDoor) -> None:
    for path, methods in (("/campaigns", "GET, POST"), ("/campaigns/1", "GET, PATCH"), ("/keys/1", "DELETE")):
        answer = await door.call("PUT", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await door.call("GET", "/nowhere")).json()["type"] == "urn:dispatcher:no_such_address"
