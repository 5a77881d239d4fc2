"""People without a telephone number, with a new one, or with several ids: one person each, in any order of the news."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from support.builders import a_phone
from support.ledger import Ledger
from support.people import DANA, DANAS_ID, Postbox, an_id_change, in_some_orders, said, the_one

from dispatcher.domain.window import SERVICE_WINDOW

HOUR = timedelta(hours=1)
NEW = "12025550155"


async def test_a_person_without_a_number_is_linked_once_both_are_seen(postbox: Postbox) -> None:
    await postbox.says(said("hello", at=postbox.at(-2 * HOUR), person=None, user_id=DANAS_ID))
    before = await the_one(postbox)
    assert (before.person, before.user_id) == (None, DANAS_ID)
    await postbox.says(said("it is me", at=postbox.at(-HOUR), user_id=DANAS_ID))
    after = await the_one(postbox)
    assert (after.id, after.person, after.user_id) == (before.id, f"+{DANA}", DANAS_ID)
    transcript = await postbox.app.conversations.transcript(after.id, 9)
    assert [one.text for one in transcript.spoken] == ["it is me", "hello"]
    assert [one.id for one in transcript.ids] == [DANAS_ID]


async def test_an_opt_out_by_user_id_counts_for_the_number_and_the_other_way_round(postbox: Postbox) -> None:
    await postbox.says(said("stop", at=postbox.at(-3 * HOUR), person=None, user_id=DANAS_ID))
    assert await postbox.suppressed() == [DANAS_ID]
    filled = await Ledger(postbox.app.database).a_campaign(people=1)
    await postbox.app.database.execute(
        """WITH member AS (UPDATE members SET person_key = $1 WHERE campaign_id = $2)
        UPDATE messages SET person = $1, person_key = $1 WHERE campaign_id = $2""",
        f"+{DANA}",
        filled.campaign.id,
    )
    await postbox.says(said("a number, too", at=postbox.at(-2 * HOUR), user_id=DANAS_ID))
    assert await postbox.suppressed() == [f"+{DANA}"]
    assert (await Ledger(postbox.app.database).counts(filled)).suppressed == 1
    await postbox.says(said("start", at=postbox.at(-HOUR), person=None, user_id=DANAS_ID))
    assert await postbox.suppressed() == []
    history = await postbox.app.senders.suppression_history(DANAS_ID)
    assert [entry.change for entry in history] == ["opted_out", "opted_in"]


async def test_a_number_given_on_request_links_and_somebody_elses_contact_does_not(postbox: Postbox) -> None:
    def contacts(origin: str) -> dict[str, Any]:
        phones = [{"phone": f"+{DANA}", "wa_id": DANA}]
        return {"type": "contacts", "contacts": [{"name": {}, "phones": phones, "origin": origin}]}

    for origin, person in (("other", None), ("contact_request", f"+{DANA}")):
        body = said("", at=postbox.now, person=None, user_id=DANAS_ID, message=contacts(origin))
        await postbox.says(body)
        assert (await the_one(postbox)).person == person


def _life(postbox: Postbox) -> Sequence[bytes]:
    """A person shows their number, writes, moves to another number, gets another id, and opts out with it alone."""
    moved = {"type": "system", "system": {"type": "user_changed_number", "wa_id": NEW, "body": "…"}}
    return [
        said("hidden", at=postbox.at(-9 * HOUR), person=None, user_id=DANAS_ID),
        said("shown", at=postbox.at(-8 * HOUR), user_id=DANAS_ID),
        said("", at=postbox.at(-7 * HOUR), message=moved, name=None),
        said("new number", at=postbox.at(-6 * HOUR), person=NEW),
        an_id_change(NEW, DANAS_ID, "US.2", at=postbox.at(-5 * HOUR)),
        said("stop", at=postbox.at(-4 * HOUR), person=None, user_id="US.2"),
    ]


async def test_in_any_order_one_life_is_one_conversation(postbox: Postbox) -> None:
    for bodies in in_some_orders(*_life(postbox)):
        await postbox.forgets()
        for body in bodies:
            await postbox.says(body)
        one = await the_one(postbox)
        assert (one.person, one.user_id) == (f"+{NEW}", "US.2")
        assert one.window.ends_at == postbox.at(-4 * HOUR) + SERVICE_WINDOW
        spoken = (await postbox.app.conversations.transcript(one.id, 99)).spoken
        assert [each.text for each in spoken] == ["stop", "new number", "[system] …", "shown", "hidden"]
        assert f"+{NEW}" in await postbox.suppressed()
        assert await postbox.app.campaigns.check() == []


async def test_the_same_life_in_one_batch_ends_alike(postbox: Postbox) -> None:
    bodies = [*_life(postbox)]
    random.Random(7).shuffle(bodies)
    await postbox.says(*bodies)
    one = await the_one(postbox)
    assert (one.person, one.user_id) == (f"+{NEW}", "US.2")


async def test_whoever_has_the_number_next_is_somebody_else(postbox: Postbox) -> None:
    for body in _life(postbox)[:4]:
        await postbox.says(body)
    await postbox.says(said("who are you?", at=postbox.at(-HOUR), user_id="US.77", name="Eli"))
    people = {(one.person, one.name) for one in await postbox.conversations()}
    assert people == {(f"+{NEW}", "Dana"), (f"+{DANA}", "Eli")}


async def test_a_conversation_that_became_part_of_another_is_still_found_by_its_number(
    postbox: Postbox,
) -> None:
    await postbox.says(said("hidden", at=postbox.at(-3 * HOUR), person=None, user_id=DANAS_ID))
    former = await the_one(postbox)
    await postbox.says(said("shown", at=postbox.at(-2 * HOUR)))
    assert len(await postbox.conversations()) == 2
    await postbox.says(said("both", at=postbox.at(-HOUR), user_id=DANAS_ID))
    one = await the_one(postbox)
    assert (await postbox.app.conversations.transcript(former.id, 9)).view == one
    row = await postbox.app.database.fetchrow(
        "SELECT person, user_id, window_ends_at FROM conversations WHERE id = $1", former.id
    )
    assert row is not None
    assert (row["person"], row["window_ends_at"]) == (f"+{DANA}", postbox.at(-2 * HOUR) + SERVICE_WINDOW)


async def test_a_campaign_with_both_numbers_of_a_person_has_the_person_once(postbox: Postbox) -> None:
    moved = {
        "type": "system",
        "system": {"type": "user_changed_number", "wa_id": a_phone(2)[1:], "body": "…"},
    }
    await postbox.says(said("", at=postbox.now, person=a_phone(0)[1:], message=moved, name=None))
    ledger = Ledger(postbox.app.database)
    both, one = await ledger.a_campaign(people=3), await ledger.a_campaign(people=2)
    assert (await ledger.counts(both)).audience == 2
    assert (await ledger.campaigns.results(both.campaign.id)).rejected_rows == {"duplicate": 1}
    rows = [row async for chunk in ledger.campaigns.export(both.campaign.id) for row in chunk]
    assert [(row["line"], row["phone"]) for row in rows if row["state"] == "rejected"] == [
        (0, f"same person as line 2: {a_phone(2)}")
    ]
    assert (await ledger.counts(one)).audience == 2, "a former number alone may be somebody else's by now"


async def test_several_workers_take_in_many_lives_at_once(postbox: Postbox) -> None:
    """Each life is spread over bodies that four workers take in small batches, in any order; nobody is lost or doubled."""
    people = range(12)
    bodies = [body for n in people for body in _a_life(postbox, n)] * 2
    random.Random(5).shuffle(bodies)
    await postbox.app.inbox.add(bodies, within=timedelta(seconds=5), urgent=[True] * len(bodies))

    async def work() -> None:
        while await postbox.app.intake.drain(3):
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    assert (await postbox.app.inbox.waiting()).bodies == 0
    assert await postbox.app.inbox.quarantined(10) == []
    conversations = await postbox.conversations()
    assert sorted((one.person, one.user_id) for one in conversations) == sorted(
        (a_phone(100 + n), f"US.{n}") for n in people
    )
    assert {one.suppressed for one in conversations} == {"opted_out"}
    assert {one.window.ends_at for one in conversations} == {postbox.at(-HOUR) + SERVICE_WINDOW}
    kept = await postbox.app.database.fetchval(
        "SELECT count(*) FROM inbound WHERE conversation_id = ANY ($1)", [one.id for one in conversations]
    )
    assert kept == 4 * len(people)


def _a_life(postbox: Postbox, n: int) -> Sequence[bytes]:
    """A hidden person shows the number, moves, and opts out by the id alone."""
    former, present, user_id = a_phone(n)[1:], a_phone(100 + n)[1:], f"US.{n}"
    moved = {"type": "system", "system": {"type": "user_changed_number", "wa_id": present, "body": "…"}}
    return [
        said("hidden", at=postbox.at(-4 * HOUR), person=None, user_id=user_id),
        said("shown", at=postbox.at(-3 * HOUR), person=former, user_id=user_id),
        said("", at=postbox.at(-2 * HOUR), person=former, message=moved, name=None),
        said("stop", at=postbox.at(-HOUR), person=None, user_id=user_id),
    ]
