"""Telling the limits how senders stand, so that a change or a hold binds from the next sub-batch on.

The ledger is written first. What cannot be told now (Redis is away, or has no memory of the pool yet) is told by upkeep
or by the rebuild; until then nothing is granted anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.hold import Hold
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.sender import Sender
from dispatcher.ports import Limits, SenderBook


async def tell(limits: Limits, policy: Policy, sender: Sender, holds: Sequence[Hold]) -> None:
    """One sender; `holds` are those on it, its account and its portfolio."""
    try:
        await limits.put_sender(limits_of(sender, policy, holds))
    except LimitsUnavailable:
        return


async def tell_all(senders: SenderBook, limits: Limits, policy: Policy) -> None:
    """All of them."""
    for sender, holds in await senders.standing():
        await tell(limits, policy, sender, holds)
