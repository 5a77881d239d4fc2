"""Files of every kind become rows; a file that cannot be read becomes one clear BadValue."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.domain.audience import RejectReason, Unreadable
from dispatcher.domain.errors import BadValue
from dispatcher.engine import audience as reader
from dispatcher.engine import lines as line_reader
from dispatcher.engine.audience import open_audience

TEXT = "phone,first_name\n+12025550101,Ann\n+12025550102,Zoë\n"
ROWS = [(2, ["+12025550101", "Ann"]), (3, ["+12025550102", "Zoë"])]


def read(path: Path, encoding: str | None = None, delimiter: str | None = None):
    with open_audience(path, encoding=encoding, delimiter=delimiter) as audience:
        return list(audience.columns), [row for chunk in audience.chunks() for row in chunk]


def refusal_of(path: Path, encoding: str | None = None, delimiter: str | None = None) -> str:
    """The text of the BadValue, of which we always want to hear that nothing was imported."""
    with pytest.raises(BadValue) as caught:
        read(path, encoding, delimiter)
    assert "othing was imported" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        pytest.param(TEXT.encode(), None, id="UTF-8"),
        pytest.param(TEXT.encode("utf-8-sig"), None, id="UTF-8 with a mark"),
        pytest.param(TEXT.encode("utf-8-sig"), "latin-1", id="the mark is stronger than what was announced"),
        pytest.param(b"\xff\xfe" + TEXT.encode("utf-16-le"), None, id="UTF-16 LE"),
        pytest.param(b"\xfe\xff" + TEXT.encode("utf-16-be"), None, id="UTF-16 BE"),
        pytest.param(TEXT.encode("utf-16-le"), "utf-16-le", id="UTF-16 without a mark, announced"),
        pytest.param(TEXT.encode("latin-1"), "latin-1", id="Latin-1, announced"),
        pytest.param(TEXT.encode("cp1252"), "cp1252", id="CP1252, announced"),
        pytest.param(TEXT.replace("\n", "\r\n").encode(), None, id="Windows line ends"),
        pytest.param(TEXT.replace("\n", "\r").encode(), None, id="old Mac line ends"),
        pytest.param(TEXT.rstrip().encode(), None, id="no line end at the end"),
        pytest.param(gzip.compress(TEXT.encode()), None, id="gzip"),
        pytest.param(gzip.compress(b"\xff\xfe" + TEXT.encode("utf-16-le")), None, id="UTF-16 in gzip"),
    ],
)
def test_the_same_rows_come_from_every_encoding(write, content: bytes, encoding: str | None) -> None:
    assert read(write(content), encoding) == (["phone", "first_name"], ROWS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_in_the_header(write, delimiter: str) -> None:
    assert read(write(TEXT.replace(",", delimiter)))[1] == ROWS


def test_a_delimiter_inside_quotes_is_no_sign_of_a_delimiter(write) -> None:
    assert read(write('"name, first, last, other";phone\nAnn;+1\n'))[0] == [
        "name, first, last, other",
        "phone",
    ]


def test_a_named_delimiter_is_taken_as_it_is(write) -> None:
    assert read(write("a|b,c\n1|2,3\n"), delimiter="|") == (["a", "b,c"], [(2, ["1", "2,3"])])
    assert "cannot part fields" in refusal_of(write(TEXT), delimiter="||")


def test_a_single_column_needs_no_delimiter(write) -> None:
    assert read(write("phone\n+12025550101\n")) == (["phone"], [(2, ["+12025550101"])])


def test_a_row_knows_the_line_in_which_it_starts(write) -> None:
    path = write('\nphone,notes\n\n1,"two\nlines, ""quoted"""\n\n2,plain\n')
    assert read(path) == (["phone", "notes"], [(4, ["1", 'two\nlines, "quoted"']), (7, ["2", "plain"])])


def test_rows_of_the_wrong_length_are_left_to_the_sieve(write) -> None:
    assert read(write("a,b\n1\n1,2,3\n"))[1] == [(2, ["1"]), (3, ["1", "2", "3"])]


def test_a_quote_in_the_middle_of_a_field_is_only_a_character(write) -> None:
    assert read(write('phone,size\n1,5" screen\n'))[1] == [(2, ["1", '5" screen'])]


@pytest.mark.parametrize("name", ["people.ndjson", "people.jsonl", "people.txt"])
def test_ndjson_is_read_by_the_names_of_its_first_object(write, name: str) -> None:
    objects = [{"phone": "+1", "n": 1}, {"n": 1.5, "phone": "+2"}, {"phone": "+3", "more": "x"}, {"n": True}]
    content = "\n".join(map(json.dumps, objects)) + '\n\n{"phone": null, "n": 1.10}'
    expected = [
        (1, ["+1", "1"]),
        (2, ["+2", "1.5"]),
        (3, ["+3", ""]),
        (4, ["", "true"]),
        (6, ["", "1.10"]),
    ]
    assert read(write(content, name)) == (["phone", "n"], expected)
    assert read(write(gzip.compress(content.encode()), name + ".gz")) == (["phone", "n"], expected)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"phone": ["+1"]}', "phone", RejectReason.NESTED_VALUE),
        ('{"phone": {"to": "+1"}}', "phone", RejectReason.NESTED_VALUE),
        ('{"phone": "+1",', "", RejectReason.NOT_AN_OBJECT),
        ('["+1"]', "", RejectReason.NOT_AN_OBJECT),
        ("[" * 100_000, "", RejectReason.NOT_AN_OBJECT),
        (r'{"phone": "\u0000"}', "phone", RejectReason.BAD_VALUE),
        (r'{"phone": "\ud800"}', "phone", RejectReason.BAD_VALUE),
    ],
)
def test_a_broken_json_line_costs_that_row_only(write, line: str, column: str, reason: RejectReason) -> None:
    _, rows = read(write(f'{{"phone": "+1"}}\n{line}\n{{"phone": "+3"}}\n', "people.ndjson"))
    assert [rows[0], rows[2]] == [(1, ["+1"]), (3, ["+3"])]
    unreadable = rows[1][1]
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.column, unreadable.reason) == (column, reason)
    unreadable.value.encode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"phone,name\n", "no rows"),
        (b"phone,name,phone\n1,2,3\n", "2 columns are called 'phone'"),
        (b"phone,,name\n1,2,3\n", "column 2 has no name"),
        (b'phone,name\n1,2\n1,"two\n3,4\n', "row that starts in line 3"),
        (b'phone,name\n1,"two" or more\n', "row that starts in line 2"),
        (b"phone,name\n1,2\n3,\x00\n", "line 3 holds a NUL"),
        (TEXT.encode("utf-16-le"), "line 1 holds a NUL"),
        (b"phone,name\n1,2\n3,Zo\xeb\n", "line 3, byte 19: eb is not utf-8"),
        (b"\xff\xfe" + TEXT.encode("utf-16-le")[:-1], "is not utf-16-le"),
        (b"phone\n" + b"9" * 2_000_000, "line 2 is longer than"),
        (b"phone\n" + b"9" * 200_000 + b"\n", "row that starts in line 2"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (gzip.compress(TEXT.encode())[:-12], "damaged or cut off"),
        (gzip.compress(TEXT.encode() * 99)[:40] + b"rubbish" * 9, "damaged or cut off"),
        (b'[{"phone": "+1"}]', "not one JSON object"),
        (b"{}", "not one JSON object"),
        (b'{"": "+1"}', "empty or not text"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_and_where(write, content: bytes, told: str) -> None:
    assert told in refusal_of(write(content))


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "hex"])
def test_an_unknown_encoding_is_told(write, encoding: str) -> None:
    assert "no text encoding" in refusal_of(write(TEXT), encoding)


def test_a_path_without_a_readable_file_is_told(tmp_path: Path) -> None:
    assert "there is no file" in refusal_of(tmp_path / "nowhere.csv")
    assert "is a directory" in refusal_of(tmp_path)
    assert "cannot be opened" in refusal_of(tmp_path / ("n" * 300))


def test_a_broken_byte_is_found_half_way_through_a_large_file(write) -> None:
    line = "+12025550101,Zoë\n".encode()
    before = b"phone,name\n" + line * 60_000
    told = refusal_of(write(before + b"+12025550102,Zo\xeb\n" + line * 9))
    assert f"line 60002, byte {len(before) + 15:,}" in told


def test_a_large_file_comes_in_bounded_chunks_and_tells_its_position(write) -> None:
    path = write("phone,name\n" + "+12025550101,Ann\n" * 25_000)
    with open_audience(path) as audience:
        sizes, positions = [], []
        for chunk in audience.chunks():
            sizes.append(len(chunk))
            positions.append(audience.position_bytes)
        assert sizes == [10_000, 10_000, 5_000]
        assert positions == sorted(positions)
        assert positions[-1] == audience.size_bytes == path.stat().st_size


fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    block_bytes=st.integers(1, 64),
)
def test_what_csv_writes_is_what_we_read_wherever_blocks_end(
    write,
    monkeypatch,
    rows: Sequence[tuple[str, ...]],
    delimiter: str,
    line_end: str,
    encoding: str,
    block_bytes: int,
) -> None:
    monkeypatch.setattr(line_reader, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(reader, "CHUNK_ROWS", 3)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("phone", "first", "second"), *rows])
    columns, found = read(write(out.getvalue().encode(encoding)))
    assert columns == ["phone", "first", "second"]
    assert [tuple(fields) for _, fields in found] == rows
    lines = io.StringIO(out.getvalue(), newline="").readlines()
    for start, fields in found:
        written = "".join(lines[start - 1 :])
        assert written.startswith('"' + fields[0].replace('"', '""') + '"')
