"""Names and lifetimes of everything the limits keep in Redis.

All keys of a pool share one hash tag, the pool's, so that each script runs on one node of a cluster.
Nothing lives for ever: a pool or a sender unused for `IDLE` is forgotten and rebuilt from the ledger when next used.
Forgetting is safe because no token outlives the longest day, which is shorter than `IDLE`: a reach key that has been
idle for so long holds nobody any more, and a sender's hash or a pool's epoch that is gone stops every grant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from dispatcher.domain.access import KeyId
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import PoolKey, SenderId, TurnId

IDLE = timedelta(days=7)
"""Lifetime of pool, sender, reach, pair and fairness keys, counted from their last use."""

TURN = timedelta(days=2)
"""Lifetime of what a turn was handed and of its mark of being reaped; a turn lasts seconds, an outage perhaps a day."""

REBUILD = timedelta(hours=1)
"""Lifetime of a rebuild's mark, counted from its last chunk."""

API_KEY = timedelta(hours=1)
"""Lifetime of an API key's bucket, counted from its last call; it is full again after seconds."""


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The keys of one pool. `prefix` ends with the pool's hash tag."""

    prefix: str

    @classmethod
    def of(cls, namespace: str, pool: PoolKey) -> Self:
        """Raises BadValue for names that would break the hash tag: empty pools, braces."""
        if not pool or any(brace in namespace + pool for brace in "{}"):
            raise BadValue(
                f"{namespace!r} and {pool!r} cannot name keys: a pool is not empty, neither has braces"
            )
        return cls(f"disp:{namespace}:{{{pool}}}")

    @property
    def pool(self) -> str:
        """Hash: `epoch`; `server`, the process that built it; `looked_at`, when a grant last compared the two;
        `uncounted_until`, until when people messaged under an unlimited tier would matter."""
        return f"{self.prefix}:pool"

    @property
    def reach(self) -> str:
        """Sorted set: person → end of the reach token, ms. Everybody's, while the scope is the portfolio."""
        return f"{self.prefix}:reach"

    def sender(self, sender_id: SenderId) -> str:
        """Hash: limits, hold, level of the rate bucket; `share`, what a halving left of the rate; the measured inbound
        rate; `counted`, the epoch for which its people are known."""
        return f"{self.prefix}:sender:{sender_id}"

    def sender_reach(self, sender_id: SenderId) -> str:
        """Sorted set: person → end of the reach token, ms. This sender's, whatever the scope."""
        return f"{self.prefix}:reach:{sender_id}"

    def pairs(self, sender_id: SenderId) -> str:
        """Sorted set: person → theoretical arrival time of the next message, ms, where the reach token does not tell."""
        return f"{self.prefix}:pairs:{sender_id}"

    def barred(self, sender_id: SenderId) -> str:
        """Sorted set: person → until when Meta's refusal of the pair is honoured, ms."""
        return f"{self.prefix}:barred:{sender_id}"

    @property
    def stopped(self) -> str:
        """Sorted set: person who opted out just now → until when campaigns' messages to them are refused here, ms."""
        return f"{self.prefix}:stopped"

    def hungry(self, sender_id: SenderId) -> str:
        """Sorted set: `lane priority weight` of a lane that wants more than it got → until when it counts as such, ms."""
        return f"{self.prefix}:hungry:{sender_id}"

    def served(self, sender_id: SenderId) -> str:
        """Hash: lane → millionths of a message divided by its weight, while lanes compete; more where it is outranked."""
        return f"{self.prefix}:served:{sender_id}"

    def handed(self, turn_id: TurnId) -> str:
        """String: `@` and the epoch a turn was opened in, then the ids of the messages granted to it."""
        return f"{self.prefix}:handed:{turn_id}"

    def returned(self, turn_id: TurnId) -> str:
        """Set: ids of those messages that the turn gave back unposted."""
        return f"{self.prefix}:returned:{turn_id}"

    def reaped(self, turn_id: TurnId) -> str:
        """String: what `handed` was when the turn was reaped, or `?`."""
        return f"{self.prefix}:reaped:{turn_id}"

    def rebuild(self, mark: str) -> str:
        """String: the server process whose memory this rebuild began to fill."""
        return f"{self.prefix}:rebuild:{mark}"


def api_key(namespace: str, key_id: KeyId) -> str:
    """Hash: calls left in a key's bucket, and when that was. Its own hash tag: no script needs two of them."""
    return f"disp:{namespace}:{{k{key_id}}}:calls"
