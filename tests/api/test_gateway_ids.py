"""Ids of the gateway: clients take them for Meta's, and we never take one of Meta's for ours."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.gateway import GatewayId
from dispatcher.domain.ids import REPLIES, CampaignId, MessageId

NUMBERS = st.integers(0, 10**18 - 1)


@given(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), NUMBERS, NUMBERS)
def test_an_id_is_read_back_as_it_was_written(instance: str, campaign: int, message: int) -> None:
    named = GatewayId(instance, CampaignId(campaign), MessageId(message))
    assert str(named).startswith("wamid.")
    assert GatewayId.parse(str(named)) == named
    assert named.is_reply == (campaign == REPLIES)


@given(st.binary(max_size=60))
def test_what_meta_writes_is_never_ours(rest: bytes) -> None:
    """A wamid of Meta is the Base64 of bytes that begin with 0x1d and a length."""
    assert GatewayId.parse("wamid." + base64.b64encode(b"\x1d\x13" + rest).decode()) is None


@given(st.text())
def test_any_text_may_be_asked(text: str) -> None:
    assert GatewayId.parse(text) is None
    assert GatewayId.parse(f"wamid.{text}") is None
