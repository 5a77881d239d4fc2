"""Who is who: whatever the order in which it is told, the same people come of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOON

from dispatcher.domain.identity import Acquaintances, Identity, Sighting, is_user_id
from dispatcher.domain.ids import PersonKey

HOUR = timedelta(hours=1)
OLD, NEW, OTHER = "+12025550143", "+12025550155", "+12025550166"
ONE, TWO, PARENT, STRANGER = "US.1", "US.2", "US.ENT.9", "US.7"


def seen(hours: int, number: str | None, *user_ids: str, moved_to: str | None = None) -> Sighting:
    return Sighting(
        NOON + hours * HOUR,
        number and PersonKey(number),
        number,
        user_ids,
        moved_to and PersonKey(moved_to),
        moved_to,
    )


def people(sightings: Sequence[Sighting]) -> dict[str, str]:
    """Id → key, after one sighting at a time, as batches would bring them; merges are followed as the ledger does."""
    known: dict[str, Identity] = {}
    for each in sightings:
        acquaintances = Acquaintances(known)
        acquaintances.meet(each)
        known |= acquaintances.met
    return {id_: identity.key for id_, identity in known.items()}


def test_a_user_id_is_a_person_until_the_number_is_seen() -> None:
    assert people([seen(0, None, ONE)]) == {ONE: ONE}
    assert people([seen(0, None, ONE), seen(1, OLD, ONE)]) == {ONE: OLD}


def test_a_number_alone_needs_no_identity() -> None:
    assert people([seen(0, OLD)]) == {}


def test_two_ids_seen_together_are_one_person() -> None:
    assert people([seen(0, None, ONE), seen(1, None, TWO, ONE), seen(2, OLD, TWO)]) == {ONE: OLD, TWO: OLD}


def test_what_was_kept_of_the_id_is_told_to_move_to_the_number() -> None:
    acquaintances = Acquaintances({ONE: Identity(PersonKey(ONE), None, NOON)})
    who = acquaintances.meet(seen(1, OLD, ONE))
    assert (who.key, who.shown) == (OLD, OLD)
    [merge] = acquaintances.merges
    assert (merge.former, merge.key, merge.until) == (ONE, OLD, None)


def test_a_number_that_was_given_up_leads_to_the_new_one_for_what_was_said_before() -> None:
    moved = Acquaintances({})
    assert moved.meet(seen(5, OLD, moved_to=NEW)).key == NEW
    known = moved.met
    assert Acquaintances(known).meet(seen(4, OLD)).key == NEW
    assert Acquaintances(known).meet(seen(6, OLD, STRANGER)).key == OLD


def test_whoever_has_the_number_next_keeps_their_id() -> None:
    told = [seen(0, OLD, ONE), seen(9, OLD, STRANGER), seen(5, OLD, moved_to=NEW)]
    assert people(told) == {ONE: NEW, STRANGER: OLD, OLD: NEW}


STORY = [
    seen(0, None, ONE),
    seen(1, OLD, ONE, PARENT),
    seen(2, None, PARENT),
    seen(4, OLD, moved_to=NEW),
    seen(5, NEW, TWO, PARENT),
    seen(6, None, TWO, ONE),
]
"""A person with a hidden number who shows it, moves to another one, and gets another id with it."""


@given(st.randoms())
def test_any_order_and_any_repetition_ends_with_one_person(dice: random.Random) -> None:
    told = [*STORY, *STORY]
    dice.shuffle(told)
    assert people(told) == {ONE: NEW, TWO: NEW, PARENT: NEW, OLD: NEW}


@given(st.permutations([seen(4, OLD, moved_to=NEW), seen(8, NEW, moved_to=OTHER), seen(1, OLD, ONE)]))
def test_a_person_who_moves_twice_is_found_at_the_last_number(told: list[Sighting]) -> None:
    assert people(told) == {ONE: OTHER, OLD: OTHER, NEW: OTHER}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("US.7000000000000000001", True),
        ("US.ENT.7000", True),
        ("+12025550143", False),
        ("us.7", False),
        ("US.", False),
    ],
)
def test_a_user_id_has_a_shape_of_its_own(text: str, expected: bool) -> None:
    assert is_user_id(text) is expected
