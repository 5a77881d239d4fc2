"""A sender to whom people write, for tests of what is done about it."""

from __future__ import annotations

import pytest
from support.ledger import Ledger
from support.people import NUMBER, Postbox
from support.world import World


@pytest.fixture
async def postbox(world: World) -> Postbox:
    """A sender to whom people write."""
    sender = await Ledger(world.app.database).a_sender("harbour", phone_number_id=NUMBER)
    return Postbox(world.app, sender)
