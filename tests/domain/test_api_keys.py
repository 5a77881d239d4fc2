"""Keys: how they are written and recognised, and what they open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.access import ApiKey, Denial, KeyId, Scope, digest, is_right, read, written
from dispatcher.domain.rate import Rate

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
PREFIX, SECRET = "a1b2c3d4e5f6", "x" * 43
KEY = ApiKey(
    id=KeyId(1),
    name="shop",
    prefix=PREFIX,
    scopes=frozenset({Scope.READ}),
    rate=Rate.parse("10/s"),
    created_at=NOON,
    expires_at=None,
    revoked_at=None,
    last_used_at=None,
)


def test_a_key_is_read_as_it_was_written() -> None:
    assert read(written(PREFIX, SECRET)) == (PREFIX, SECRET)


@given(st.text())
def test_no_text_that_is_not_a_key_is_read_as_one(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "presented", ["", f"dk_{PREFIX}_", f"dk_{PREFIX}_{SECRET}x", f"DK_{PREFIX}_{SECRET}"]
)
def test_what_only_looks_like_a_key_is_none(presented: str) -> None:
    assert read(presented) is None


def test_only_the_secret_itself_is_right() -> None:
    assert is_right(SECRET, digest(SECRET))
    assert not is_right(SECRET[:-1] + "y", digest(SECRET))
    assert not is_right(SECRET, None)


def test_a_key_is_usable_until_it_expires_or_is_revoked() -> None:
    assert KEY.unusable(NOON) is None
    expiring = replace(KEY, expires_at=NOON)
    assert expiring.unusable(NOON - timedelta(seconds=1)) is None
    assert expiring.unusable(NOON) is Denial.EXPIRED_KEY
    assert replace(expiring, revoked_at=NOON).unusable(NOON) is Denial.REVOKED_KEY
