"""Fill a pool's memory from the ledger after Redis has lost it.

Until `commit` has written the epoch, every grant raises EpochLost: nothing is granted on half a memory. Only senders'
limits and the people of the last day come from the ledger; rate buckets begin empty, which is slower for one burst
and never too fast; pair debts are forgotten, Meta's own refusal (131056) stands behind them.
The ledger's times are taken as they are: its clock and that of Redis have to agree to within `reach_margin_s`.
A chunk can be written twice, in any order and beside running grants, because a token's end only ever moves up.

People whom a turn holds count as reached, for they may be on their way; but not where the turn was opened in the memory
that is being filled: then each of its grants is counted there already, and whom it was not granted is not reached.

A memory counts as lost also where another server process than its builder answers: after a restart, or a fail-over to
a replica, which may lack the last writes however whole it looks. What a fail-over brought back of tokens that were
given back meanwhile stays taken until its time, which is the safe side.
What cannot be noticed: a server that loses writes and remains the same process, or one that is cut off and goes on
granting to those who still reach it while another takes its place (`min-replicas-to-write` bounds that). What such a
server granted and the ledger had not yet written down when the other one was rebuilt is missing there.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import Reached, SenderLimits
from dispatcher.domain.ids import Epoch, SenderId
from dispatcher.limits.keys import PoolKeys
from dispatcher.limits.run import Argument
from dispatcher.limits.scripts import Scripts
from dispatcher.limits.times import to_ms


async def rebuild(
    scripts: Scripts,
    keys: PoolKeys,
    senders: Sequence[SenderLimits],
    reached: AsyncIterator[Sequence[Reached]],
    *,
    day_ms: int,
    force: bool,
) -> Epoch:
    """Return the epoch in force; read `reached` only if the epoch or a sender is missing, or with `force`.

    senders: already put. People of a sender with an unlimited tier are left out: they cost memory and limit nothing.
    Raises EpochLost when the memory was lost again on the way. Cost: one round trip per sender and chunk.
    """
    mark = secrets.token_hex(8)
    standing = await scripts.rebuild_begin(keys, mark, [sender.sender_id for sender in senders], force=force)
    if standing is not None:
        return standing
    limited = {sender.sender_id for sender in senders if sender.tier.limit is not None}
    async for chunk in reached:
        ends: defaultdict[SenderId, list[Argument]] = defaultdict(list)
        holding = {person.turn_id for person in chunk if person.turn_id is not None}
        strangers = await scripts.strangers(keys, list(holding))
        for person in chunk:
            if person.turn_id is not None and person.turn_id not in strangers:
                continue
            if person.sender_id in limited:
                ends[person.sender_id] += (to_ms(person.at) + day_ms, person.person)
        for sender_id, pairs in ends.items():
            if not await scripts.rebuild_people(keys, mark, sender_id, pairs):
                raise _lost_again()
    written = [(sender.sender_id, sender.sender_id in limited) for sender in senders]
    epoch = await scripts.rebuild_commit(keys, mark, Epoch(mark), written, day_ms=day_ms)
    if epoch is None:
        raise _lost_again()
    return epoch


def _lost_again() -> EpochLost:
    return EpochLost("Redis lost its memory again while it was being rebuilt", hint="rebuild once more")
