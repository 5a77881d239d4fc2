"""Thousands of mutilated webhooks: none raises, each says something, and all of it can be stored."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import settings
from support.webhooks import SAMPLES

from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.webhook import AccountNews, Inbound, News, Report, Unreadable

SEEDS = range(20)
IS_NIGHTLY = settings().max_examples >= 2_000
BODIES_PER_SEED = 500 if IS_NIGHTLY else 100
"""Two thousand bodies in an ordinary run, the same each time; ten thousand with `--hypothesis-profile=nightly`."""

Place = tuple[Any, Any]
"""A container, and the name or number of one of its members."""

_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 1.5, 1e308, float("inf"), float("nan"), "", "0",
    "sent", "x" * 600, "\x00", "\ud800", "wamid.\udfff\x00", "１２３", [], {}, [[]], [None], {"": None},
    {"id": {"id": []}},
)  # fmt: skip
_BYTES = (
    b"\x00", b"\xff", b"\\u0000", b"\\ud83d", b'"', b"\\", b"{", b"]", b",", b"1e999", b"NaN", b"\xed\xa0\x80",
)  # fmt: skip
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def flip_a_byte(chance: random.Random, body: bytes) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :]


def delete_a_slice(chance: random.Random, body: bytes) -> bytes:
    start, end = _slice(chance, body)
    return body[:start] + body[end:]


def double_a_slice(chance: random.Random, body: bytes) -> bytes:
    start, end = _slice(chance, body)
    return body[:end] + body[start:]


def put_in_something_strange(chance: random.Random, body: bytes) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + chance.choice(_BYTES) + body[at:]


def swap_a_type(chance: random.Random, places: Sequence[Place]) -> None:
    _put(*chance.choice(places), chance.choice(_STRANGE))


def wrap_a_member(chance: random.Random, places: Sequence[Place]) -> None:
    """Once, or deeper than can be stored."""
    holder, key = chance.choice(places)
    name = chance.choice((None, "id"))
    for _ in range(chance.choice((1, 1, 280))):
        holder[key] = [holder[key]] if name is None else {name: holder[key]}


def delete_a_member(chance: random.Random, places: Sequence[Place]) -> None:
    holder, key = chance.choice(places)
    del holder[key]


def copy_a_member(chance: random.Random, places: Sequence[Place]) -> None:
    """To where another one stands."""
    (from_holder, from_key), to = chance.choice(places), chance.choice(places)
    _put(*to, from_holder[from_key])


MUTATE_TREES = (swap_a_type, wrap_a_member, delete_a_member, copy_a_member)
MUTATE_BYTES = (flip_a_byte, delete_a_slice, double_a_slice, put_in_something_strange)


def a_mutated_body(chance: random.Random) -> bytes:
    """A sample whose tree, and then perhaps bytes, were changed one to three times; still JSON more often than not."""
    tree = json.loads(chance.choice(list(SAMPLES.values())))
    for _ in range(chance.randint(0, 3)):
        if places := list(_places(tree)):
            chance.choice(MUTATE_TREES)(chance, places)
    body = json.dumps(tree).encode()
    if chance.random() < 0.5:
        body = chance.choice(MUTATE_BYTES)(chance, body)
    return body


@pytest.mark.parametrize("seed", SEEDS)
def test_no_mutated_body_crashes_anything_or_ends_in_silence(seed: int) -> None:
    chance = random.Random(seed)
    for number in range(BODIES_PER_SEED):
        body = a_mutated_body(chance)
        news = read_webhook(body)
        assert news, f"seed {seed}, body {number}: {body!r}"
        for each in news:
            problem = _problem_with(each)
            assert problem is None, f"seed {seed}, body {number}, {problem}: {body!r}"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_neighbours_of_a_mutated_update_are_told_as_before(seed: int) -> None:
    chance = random.Random(seed)
    before = read_webhook(SAMPLES["batch"])
    for _ in range(50):
        tree = json.loads(SAMPLES["batch"])
        value = tree["entry"][0]["changes"][0]["value"]
        name, number = chance.choice([("messages", 0), ("messages", 1), ("statuses", 0), ("statuses", 1)])
        alone = {"update": value[name][number]}
        _put(*chance.choice(list(_places(alone))), chance.choice(_STRANGE))
        value[name][number] = alone["update"]
        after = read_webhook(json.dumps(tree).encode())
        hit = number if name == "messages" else 2 + number
        assert [*after[:hit], *after[hit + 1 :]] == [*before[:hit], *before[hit + 1 :]]


def test_the_mutator_reaches_every_kind_of_news_and_most_reasons() -> None:
    chance = random.Random(1)
    news = [each for _ in range(2000) for each in read_webhook(a_mutated_body(chance))]
    assert {type(each) for each in news} == {Report, Inbound, AccountNews, Unreadable}
    reasons = {each.reason for each in news if isinstance(each, Unreadable)}
    assert len(reasons) >= 10, sorted(reasons)


def _problem_with(news: News) -> str | None:
    """Why this could not be stored, or read again."""
    match news:
        case Report():
            texts: list[Any] = [
                news.wamid, news.phone_number_id, news.recipient, news.recipient_user_id, news.receipt.detail,
                news.receipt.price_category,
            ]  # fmt: skip
            if news.receipt.state is None:
                return "a report of nothing"
        case Inbound():
            texts = [news.wamid, news.person, news.user_id, news.name, news.kind, news.context_wamid]
            texts.append(orjson.dumps(news.content).decode())
        case AccountNews():
            texts = [news.waba_id, news.field, news.key, orjson.dumps(news.value).decode()]
        case Unreadable():
            again = read_webhook(news.fragment)
            if news.reason not in {each.reason for each in again if isinstance(each, Unreadable)}:
                return "a fragment that is read differently"
            return None if _is_storable(news.detail) and len(news.detail) < 300 else "a detail"
    if not all(text is None or _is_storable(text) for text in texts):
        return "a text that PostgreSQL refuses"
    return None if read_webhook(news.fragment) == [news] else "a fragment that is read differently"


def _is_storable(text: str) -> bool:
    """Without NUL, also as JSON writes it, and without half a pair of surrogates."""
    has_nul = "\x00" in text or "\\u0000" in text.replace("\\\\", "")
    return not has_nul and _HALF_A_PAIR.search(text) is None


def _slice(chance: random.Random, body: bytes) -> tuple[int, int]:
    start = chance.randrange(len(body))
    return start, min(len(body), start + chance.choice((1, 2, 8, 64, 512)))


def _put(holder: Any, key: Any, value: Any) -> None:
    # why a copy: what is put in may be changed again.
    holder[key] = json.loads(json.dumps(value))


def _places(tree: Any) -> Iterator[Place]:
    """Every member of every object and list, however deep."""
    left = [tree]
    while left:
        holder = left.pop()
        members = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, member in list(members):
            yield holder, key
            if isinstance(member, dict | list):
                left.append(member)
