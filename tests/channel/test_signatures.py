"""Signatures of webhooks: the right one is believed, whatever differs by a bit is not."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.channel.signatures import Signatures

SECRETS = st.text(min_size=1)


def signed(secret: str, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def test_it_is_the_signature_of_the_standard() -> None:
    """RFC 4231, test case 2."""
    told = b"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Signatures(["Jefe"]).is_valid(told, b"what do ya want for nothing?")


@given(st.lists(SECRETS.filter(str.isascii), min_size=1, max_size=4), st.binary(), st.data())
def test_each_of_our_secrets_is_believed(secrets: list[str], body: bytes, data: st.DataObject) -> None:
    assert Signatures(secrets).is_valid(signed(data.draw(st.sampled_from(secrets)), body), body)


@given(st.binary(min_size=1), st.data())
def test_one_bit_makes_the_difference(body: bytes, data: st.DataObject) -> None:
    signatures, signature = Signatures(["ours"]), signed("ours", body)
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    other = bytearray(body)
    other[bit // 8] ^= 1 << bit % 8
    assert not signatures.is_valid(signature, bytes(other))
    place = data.draw(st.integers(0, len(signature) - 1))
    assert not signatures.is_valid(signature[:place] + b"x" + signature[place + 1 :], body)
    assert not signatures.is_valid(signature[:place], body)


@given(st.binary(), st.binary())
def test_nothing_that_a_stranger_sends_is_believed_or_breaks_anything(signature: bytes, body: bytes) -> None:
    assert not Signatures(["ours", "and an older one"]).is_valid(signature, body)


@given(st.binary())
def test_without_a_secret_nothing_is_valid(body: bytes) -> None:
    none = Signatures([])
    assert not none
    assert not none.is_valid(signed("", body), body)
