"""An audience file fills a campaign as a whole or not at all, and every row is accounted for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from dispatcher.domain.audience import RejectReason
from dispatcher.domain.errors import BadValue, Conflict, NotFound
from dispatcher.domain.ids import CampaignId
from dispatcher.engine import audience as reader
from dispatcher.engine.audience import open_audience
from dispatcher.ledger import audience as importer
from dispatcher.ledger import batches
from dispatcher.ledger.audience import ImportReport, Progress, fill
from dispatcher.ledger.database import Database

ANN, BOB, EVE = "+12025550101", "+447700900102", "+61491570156"


async def a_campaign(database: Database, *columns: str, state: str = "draft") -> CampaignId:
    return CampaignId(
        await database.pool.fetchval(
            """INSERT INTO campaigns (name, state, template, language, mapping, columns, unsure_policy)
            VALUES ('spring', $1, 'offer', 'en_US', '{}', $2, 'give_up') RETURNING id""",
            state,
            columns,
        )
    )


def a_csv(*rows: Sequence[str], header: Sequence[str] = ("phone", "name")) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


async def imported(
    database: Database, campaign: CampaignId, path: Path, columns: Sequence[str] = ("name",), **how: Any
) -> ImportReport:
    how = {"phone_column": None, "default_region": None} | how
    with open_audience(path) as audience:
        return await fill(database, campaign, audience, columns=columns, **how)


async def people(database: Database, campaign: CampaignId) -> list[tuple[Any, ...]]:
    rows = await database.pool.fetch(
        "SELECT line, person, params, state, reason FROM messages WHERE campaign_id = $1 ORDER BY id",
        campaign,
    )
    return [tuple(row) for row in rows]


async def rejected(database: Database, campaign: CampaignId) -> list[tuple[Any, ...]]:
    rows = await database.pool.fetch(
        'SELECT line, "column", reason, value FROM rejected_rows WHERE campaign_id = $1 ORDER BY line',
        campaign,
    )
    return [tuple(row) for row in rows]


async def counters(database: Database, campaign: CampaignId) -> tuple[int, int, int]:
    row = await database.pool.fetchrow(
        "SELECT audience, suppressed, rejected FROM campaigns WHERE id = $1", campaign
    )
    assert row is not None
    return tuple(row)


async def test_every_person_becomes_a_pending_message_in_the_order_of_the_file(database, write) -> None:
    campaign = await a_campaign(database, "city", "name")
    content = a_csv((ANN, " Ann ", "Oslo"), (BOB, "Bob", "Rome"), header=("Phone", "name", "city"))
    report = await imported(database, campaign, write(content), columns=("city", "name"))
    assert await people(database, campaign) == [
        (2, ANN, ["Oslo", "Ann"], "pending", None),
        (3, BOB, ["Rome", "Bob"], "pending", None),
    ]
    assert await counters(database, campaign) == (2, 0, 0)
    assert (report.rows, report.audience, report.suppressed, report.rejected) == (2, 2, 0, {})
    assert report.size_bytes == len(content)


AWKWARD = [
    'comma, "quote", {brace}, semicolon;',
    "back\\slash \\n \\\\ \\. \\",
    "NULL",
    "{}",
    "tab\tand\nnew\r\nline",
    "👩‍👩‍👧 Zoë Ζωή Зоя زوي זואי ज़ोई 佐伊 ゾーイ 조이",
    "a\u2028\u200f\x01\x7fz",
    "",
]


@pytest.mark.parametrize("is_doubtful", [False, True])
async def test_awkward_values_survive_on_either_way_into_the_ledger(
    database, write, monkeypatch, is_doubtful: bool
) -> None:
    if is_doubtful:
        monkeypatch.setattr(batches._Seen, "has", lambda *_: True)
    campaign = await a_campaign(database, "a", "b")
    rows = [(f"+120255501{n:02}", value, AWKWARD[-1 - n]) for n, value in enumerate(AWKWARD)]
    path = write(a_csv(*rows, header=("phone", "a", "b")))
    await imported(database, campaign, path, columns=("a", "b"), required=())
    assert [row[2] for row in await people(database, campaign)] == [[a, b] for _, a, b in rows]


async def test_a_campaign_without_parameters_needs_no_columns(database, write) -> None:
    campaign = await a_campaign(database)
    await imported(database, campaign, write(a_csv((ANN, "Ann"))), columns=())
    assert await people(database, campaign) == [(2, ANN, [], "pending", None)]


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
@pytest.mark.parametrize("bits", [1, 2**27])
async def test_the_first_line_of_a_person_counts_however_it_is_written(
    database, write, monkeypatch, chunk_rows: int, bits: int
) -> None:
    monkeypatch.setattr(reader, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(batches._Seen, "_BITS", max(bits, 8))
    campaign = await a_campaign(database, "name")
    path = write(a_csv((ANN, "Ann"), (BOB, "Bob"), ("+1 (202) 555-0101", "Anna"), (EVE, "Eve"), (ANN, "A.")))
    report = await imported(database, campaign, path)
    assert {row[:3] for row in [(a, b, c[0]) for a, b, c, *_ in await people(database, campaign)]} == {
        (2, ANN, "Ann"),
        (3, BOB, "Bob"),
        (5, EVE, "Eve"),
    }
    assert await rejected(database, campaign) == [
        (4, "", "duplicate", f"same person as line 2: {ANN}"),
        (6, "", "duplicate", f"same person as line 2: {ANN}"),
    ]
    assert await counters(database, campaign) == (3, 0, 2)
    assert report.rejected == {RejectReason.DUPLICATE: 2}


async def test_the_same_person_may_be_in_two_campaigns(database, write) -> None:
    path = write(a_csv((ANN, "Ann")))
    for _ in range(2):
        report = await imported(database, await a_campaign(database, "name"), path)
        assert report.audience == 1


async def test_whoever_opted_out_is_in_the_audience_and_suppressed(database, write) -> None:
    await database.pool.execute("INSERT INTO suppressions VALUES ($1, $1, 'opted_out', 'list')", BOB)
    campaign = await a_campaign(database, "name")
    report = await imported(database, campaign, write(a_csv((ANN, "Ann"), ("+44 7700 900102", "Bob"))))
    assert await people(database, campaign) == [
        (2, ANN, ["Ann"], "pending", None),
        (3, BOB, ["Bob"], "suppressed", "suppressed: opted_out"),
    ]
    assert await counters(database, campaign) == (2, 1, 0)
    assert report.suppressed == 1


async def test_a_rejected_row_keeps_line_column_reason_and_value(database, write) -> None:
    campaign = await a_campaign(database, "name")
    path = write(
        a_csv(
            (ANN, "Ann"),
            ("call me", "Bob"),
            ("", "Bob"),
            ("07700 900102", "Bob"),
            ("+999123456", "Bob"),
            ("+4412", "Bob"),
            ("+53 5 1234567", "Bob"),
            (BOB, "  "),
            (BOB,),
            (BOB, "Bob", "more"),
            (BOB, "B" * 300),
        )
    )
    report = await imported(
        database,
        campaign,
        path,
        check=lambda values: ("name", "too long") if len(values[0]) > 60 else None,
    )
    assert await rejected(database, campaign) == [
        (3, "phone", "not_a_number", "call me"),
        (4, "phone", "empty_number", ""),
        (5, "phone", "no_country_code", "07700 900102"),
        (6, "phone", "unknown_country_code", "+999123456"),
        (7, "phone", "too_short", "+4412"),
        (8, "phone", "unreachable_country", "Cuba: +53 5 1234567"),
        (9, "name", "missing_value", ""),
        (10, "", "wrong_field_count", f"1 fields, the header has 2: {BOB}"),
        (11, "", "wrong_field_count", f"3 fields, the header has 2: {BOB} | Bob | more"),
        (12, "name", "bad_value", "too long: " + "B" * 190),
    ]
    assert await counters(database, campaign) == (1, 0, 10)
    assert report.rows == 11 == report.audience + sum(report.rejected.values())


async def test_a_default_region_completes_national_numbers(database, write) -> None:
    campaign = await a_campaign(database, "name")
    await imported(database, campaign, write(a_csv(("07700 900102", "Bob"))), default_region="GB")
    assert (await people(database, campaign))[0][1] == BOB


async def test_what_json_smuggles_in_is_rejected_and_kept_in_storable_form(database, write) -> None:
    campaign = await a_campaign(database, "name")
    lines = f'{{"phone": "{ANN}", "name": "Ann"}}\n{{"phone": "{BOB}", "name": "B\\u0000\\ud800b"}}\n'
    await imported(database, campaign, write(lines, "people.ndjson"))
    assert await rejected(database, campaign) == [(3 - 1, "name", "bad_value", "B\ufffd\ufffdb")]


async def test_a_filled_campaign_is_not_filled_again(database, write) -> None:
    campaign = await a_campaign(database, "name")
    path = write(a_csv((ANN, "Ann")))
    await imported(database, campaign, path)
    with pytest.raises(Conflict, match="has its people already"):
        await imported(database, campaign, path)
    assert await counters(database, campaign) == (1, 0, 0)


@pytest.mark.parametrize("state", ["running", "paused", "completed", "cancelled"])
async def test_only_a_draft_is_filled(database, write, state: str) -> None:
    campaign = await a_campaign(database, "name", state=state)
    with pytest.raises(Conflict, match=f"is {state}, not a draft"):
        await imported(database, campaign, write(a_csv((ANN, "Ann"))))


async def test_two_imports_of_one_campaign_do_not_wait_for_each_other(database, write) -> None:
    campaign = await a_campaign(database, "name")
    async with database.transaction() as other:
        await other.fetchrow(importer.SQL["lock_campaign"], campaign)
        with pytest.raises(Conflict, match="by somebody else"):
            await imported(database, campaign, write(a_csv((ANN, "Ann"))))


async def test_a_campaign_that_does_not_exist_is_told(database, write) -> None:
    with pytest.raises(NotFound, match="no campaign 77"):
        await imported(database, CampaignId(77), write(a_csv((ANN, "Ann"))))


def interrupt(progress: Progress) -> None:
    if progress.rows >= 4:
        raise RuntimeError("stop")


async def test_a_broken_import_leaves_nothing_and_can_be_repeated(database, write, monkeypatch) -> None:
    monkeypatch.setattr(reader, "CHUNK_ROWS", 2)
    campaign = await a_campaign(database, "name")
    good = a_csv(*[(f"+1202555{n:04}", "Ann") for n in range(100, 107)], (ANN, "again"), ("", "nobody"))
    broken = good.encode().replace(b"+12025550106,Ann", b"+12025550106,\xe9")
    monkeypatch.setattr("dispatcher.engine.lines.BLOCK_BYTES", 16)
    with pytest.raises(BadValue, match=r"line 8, byte .* Nothing was imported"):
        await imported(database, campaign, write(broken))
    with pytest.raises(RuntimeError, match="stop"):
        await imported(database, campaign, write(good), progress=interrupt)
    assert await people(database, campaign) == []
    assert await rejected(database, campaign) == []
    assert await counters(database, campaign) == (0, 0, 0)
    await imported(database, campaign, write(good))
    assert await counters(database, campaign) == (7, 0, 2)


async def test_a_file_in_which_nobody_can_be_reached_is_refused_with_the_reasons(database, write) -> None:
    campaign = await a_campaign(database, "name")
    path = write(a_csv(("07700 900101", "Ann"), ("07700 900102", "Bob"), ("", "Eve")))
    with pytest.raises(BadValue, match="none of 3 rows") as caught:
        await imported(database, campaign, path)
    assert caught.value.problems == (
        "no_country_code: 2 rows, the first in line 2: '07700 900101'",
        "empty_number: 1 rows, the first in line 4: ''",
    )
    assert "default region" in (caught.value.hint or "")
    assert await counters(database, campaign) == (0, 0, 0)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"columns": ("nome",)}, "no column 'nome'; the file has 'phone', 'name'"),
        ({"phone_column": "celular"}, "no column 'celular'"),
        ({"default_region": "UK"}, "'UK' is no region"),
        ({"columns": ("name", "phone")}, "carries the columns"),
    ],
)
async def test_an_argument_that_does_not_fit_the_file_is_told(database, write, how: dict, told: str) -> None:
    campaign = await a_campaign(database, "name")
    with pytest.raises(BadValue, match=told):
        await imported(database, campaign, write(a_csv((ANN, "Ann"))), **how)


async def test_a_file_without_a_phone_column_is_refused(database, write) -> None:
    campaign = await a_campaign(database, "name")
    with pytest.raises(BadValue, match="no column looks like phone numbers; the file has 'who', 'name'"):
        await imported(database, campaign, write(a_csv((ANN, "Ann"), header=("who", "name"))))


async def test_progress_is_told_after_each_chunk(database, write, monkeypatch) -> None:
    monkeypatch.setattr(reader, "CHUNK_ROWS", 2)
    seen: list[Progress] = []
    path = write(a_csv((ANN, "Ann"), (BOB, "Bob"), ("", "nobody"), (EVE, "Eve")))
    await imported(database, await a_campaign(database, "name"), path, progress=seen.append)
    assert [(progress.rows, progress.rejected) for progress in seen] == [(2, 0), (4, 1)]
    assert seen[-1].read_bytes == seen[-1].size_bytes == path.stat().st_size


async def test_a_large_audience_is_known_to_the_planner_at_once(database, write) -> None:
    campaign = await a_campaign(database, "name")
    path = write(a_csv(*((f"+1{2_005_550_100 + n}", "Ann") for n in range(importer.ANALYZE_FROM_ROWS))))
    await imported(database, campaign, path)
    assert (
        await database.pool.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'messages_1'")
        == importer.ANALYZE_FROM_ROWS
    )


async def test_the_shipped_audience_has_the_faults_it_promises(database) -> None:
    demo = files("dispatcher.demo")
    opted_out = demo.joinpath("opted_out.csv").read_text().split()[1]
    await database.pool.execute("INSERT INTO suppressions VALUES ($1, $1, 'opted_out', 'list')", opted_out)
    columns = ("first_name", "city", "discount")
    campaign = await a_campaign(database, *columns)
    with as_file(demo.joinpath("audience.csv")) as path:
        report = await imported(database, campaign, path, columns=columns, default_region="GB")
    assert (report.rows, report.audience, report.suppressed) == (2003, 1953, 1)
    assert report.rejected == {
        RejectReason.DUPLICATE: 20,
        RejectReason.NOT_A_NUMBER: 6,
        RejectReason.MISSING_VALUE: 6,
        RejectReason.EMPTY_NUMBER: 5,
        RejectReason.TOO_SHORT: 4,
        RejectReason.UNKNOWN_COUNTRY_CODE: 3,
        RejectReason.TOO_LONG: 2,
        RejectReason.UNREACHABLE_COUNTRY: 2,
        RejectReason.WRONG_FIELD_COUNT: 2,
    }
