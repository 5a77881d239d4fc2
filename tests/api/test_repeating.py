"""Calls that create something, made again: the first answer, and nothing done twice."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta

import pytest
from front_door import MAPPING, FrontDoor, ndjson, people

from dispatcher.domain.access import Scope

ORDER = {
    "name": "autumn",
    "template": "autumn",
    "language": "en_US",
    "senders": ["harbour"],
    "mapping": MAPPING,
}


async def campaigns(door: FrontDoor) -> int:
    return int(await door.world.app.database.fetchval("SELECT count(*) FROM campaigns"))


async def test_a_repeated_call_gets_the_first_answer_byte_for_byte(door: FrontDoor) -> None:
    first = await door.call("POST", "/campaigns", json=ORDER, once="autumn-2026")
    await door.post(f"/campaigns/{first.json()['id']}/cancel")
    again = await door.call("POST", "/campaigns", json=ORDER, once="autumn-2026")
    assert (again.status_code, again.content) == (201, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await campaigns(door) == 1


async def test_another_question_under_the_same_name_is_refused(door: FrontDoor) -> None:
    await door.post("/campaigns", ORDER, 201, once="autumn-2026")
    refused = await door.call("POST", "/campaigns", json=ORDER | {"name": "winter"}, once="autumn-2026")
    assert refused.status_code == 422
    assert "was used for something else" in refused.json()["detail"]
    assert await campaigns(door) == 1


async def test_names_are_each_keys_own(door: FrontDoor) -> None:
    other = await door.a_key(Scope.CAMPAIGNS_WRITE)
    first = await door.post("/campaigns", ORDER, 201, once="autumn-2026")
    second = await door.post("/campaigns", ORDER, 201, once="autumn-2026", key=other)
    assert first["id"] != second["id"]


async def test_of_calls_at_the_same_time_one_is_carried_out_and_all_get_its_answer(door: FrontDoor) -> None:
    answers = await asyncio.gather(
        *(door.call("POST", "/campaigns", json=ORDER, once="autumn-2026") for _ in range(10))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await campaigns(door) == 1


async def test_a_call_that_was_refused_may_be_made_again_under_its_name(door: FrontDoor) -> None:
    unknown = ORDER | {"template": "spring"}
    assert (await door.call("POST", "/campaigns", json=unknown, once="spring")).status_code == 404
    await door.world.meta.has_template(
        {"name": "spring", "language": "en_US", "category": "MARKETING", "components": SPRING}
    )
    await door.post("/senders/harbour/templates")
    await door.post("/campaigns", unknown, 201, once="spring")


SPRING = [{"type": "BODY", "text": "Dear {{1}}, take {{2}} off everything until Monday."}]


async def test_a_repeated_stream_changes_nothing_and_gets_the_first_answer(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    content = gzip.compress(ndjson(people(3_000)), mtime=0)
    first = await door.stream(campaign, content, once="the-people")
    before = await door.rows(campaign), await door.log()
    again = await door.stream(campaign, content, once="the-people")
    assert (again.status_code, again.content) == (201, first.content)
    assert (await door.rows(campaign), await door.log()) == before
    other = await door.stream(campaign, ndjson(people(3_001)), once="the-people")
    assert other.status_code == 422


async def test_answers_are_kept_for_a_day_and_forgotten_some_time_after(door: FrontDoor) -> None:
    app = door.world.app
    for name in ("yesterday", "long-ago"):
        await door.post("/campaigns", ORDER, 201, once=name)
    for name, age in (("yesterday", "25 hours"), ("long-ago", "49 hours")):
        await app.database.execute(
            "UPDATE answered_calls SET at = at - $1::text::interval WHERE idempotency_key = $2", age, name
        )
    await door.post("/campaigns", ORDER, 201, once="today")
    kept = await app.database.fetch("SELECT idempotency_key FROM answered_calls ORDER BY 1")
    assert [row["idempotency_key"] for row in kept] == ["today", "yesterday"]
    again = await door.call("POST", "/campaigns", json=ORDER, once="yesterday")
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_creating_call_without_a_name_is_refused(door: FrontDoor) -> None:
    headers = {"Authorization": f"Bearer {door.key}"}
    answer = await door.client.post("/v1/campaigns", json=ORDER, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.text
    assert await campaigns(door) == 0


async def test_pages_that_come_at_the_same_time_wait_for_each_other(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    answers = await asyncio.gather(
        *(
            door.call("POST", f"/campaigns/{campaign}/people", json={"people": people(50, 40 * n)})
            for n in range(6)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["upload"] for answer in answers) == [1, 2, 3, 4, 5, 6]
    assert len(await door.rows(campaign)) == 250
    assert await door.world.app.campaigns.check() == []


async def test_a_call_does_not_wait_for_ever_for_another_one(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.ledger.answers.PATIENCE", timedelta(milliseconds=100))
    campaign = await door.a_draft()
    async with door.world.app.database.transaction() as connection:
        await connection.execute("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", campaign)
        refused = await door.call("POST", f"/campaigns/{campaign}/people", json={"people": people(1)})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:dispatcher:busy")
    assert int(refused.headers["retry-after"]) > 0
    assert "by somebody else" in refused.json()["detail"]
