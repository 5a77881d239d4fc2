"""The main job, from an audience file to a report, with every part real.

Read these from top to bottom: each test is one idea, told in its docstring.
"""

from __future__ import annotations

from support.builders import MAPPING, a_phone, write_audience
from support.world import World

from dispatcher.domain.ids import PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.phone import comparison_key
from dispatcher.engine.audience import open_audience
from dispatcher.engine.campaigns import Plan


async def test_a_campaign_from_a_file_reaches_its_people(world: World) -> None:
    """I have a CSV file and a template. Send it, and tell me what became of every single line."""
    await world.a_sender("harbour")
    await world.a_sender("quay")
    opted_out, has_left, too_long = a_phone(1), a_phone(2), a_phone(3)
    await world.app.senders.suppress(
        [(PersonKey(comparison_key(opted_out)), opted_out)], "opted_out", "a list"
    )
    await world.meta.opted_out([has_left])
    rows = [(a_phone(n), f"Name {n}", f"{n} %") for n in range(4, 120)]
    rows += [
        (opted_out, "Olga", "5 %"),
        (has_left, "Lea", "5 %"),
        (too_long, "T" * 600, "5" * 600),
        (a_phone(4), "again", "5 %"),
        ("not a number", "Nobody", "5 %"),
    ]
    file = write_audience(world.folder / "people.csv", rows)

    plan = Plan("autumn", "autumn", "en_US", ["harbour", "quay"], MAPPING)
    with open_audience(file) as audience:
        campaign, imported = await world.app.import_audience(plan, audience)
    await world.app.campaigns.start(campaign.id)
    async with world.workers(2):
        counts = await world.becomes(campaign)

    assert imported is not None
    assert imported.rejected == {"duplicate": 1, "not_a_number": 1}
    assert (counts.audience, counts.accepted, counts.suppressed, counts.refused) == (119, 116, 1, 2)
    report = await world.app.campaigns.report(campaign.id)
    assert {(end.state, end.code) for end in report.ended} == {
        (MessageState.REFUSED, 131050),
        (MessageState.REFUSED, None),
    }
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)
