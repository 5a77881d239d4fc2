"""How many posts a process needs on the wire at once: rate times latency, and no more.

What is beyond that waits in the process's own sockets and makes nothing quicker. On a quick way, 512 at once took a fifth
more processor time per message in the worker than 128, and sent a tenth less (interleaved runs of 60,000 messages).
"""

from __future__ import annotations

import math

PER_S = 20_000
"""The rate that no process may miss for want of posts on the wire: about what one can do. With half of it, a process on a way of
20 ms sent 8,000/s instead of 13,200."""
LEAST = 128
"""On however quick a way."""
FEW = 0.25
"""Of what may be on the wire."""
WINDOW_S = 2.0
"""For how long the quickest answer counts; half as long again on average, as each window follows the last."""


class InFlight:
    """Follows the latency of the way to Meta.

    The quickest answer of the last seconds tells it. A mean would not: it contains the waiting in our own process, which
    grows with what is on the wire, so that more would always seem to be needed.
    """

    def __init__(self, most: int) -> None:
        """most: never more than this."""
        self.allowed = min(most, LEAST)
        """Posts that may be on the wire now."""
        self.few = int(FEW * self.allowed)
        """So few may wait for a slot when more should come: about what goes out while the limits answer."""
        self._most = most
        self._quickest_s = self._quickest_before_s = math.inf
        self._window_ends_s = -math.inf

    def answered(self, started_s: float, now_s: float) -> None:
        """A message was taken. Both by one clock that never goes back."""
        if now_s >= self._window_ends_s:
            self._window_ends_s = now_s + WINDOW_S
            self._quickest_before_s, self._quickest_s = self._quickest_s, math.inf
            self._follow()
        took_s = now_s - started_s
        if took_s < self._quickest_s:
            self._quickest_s = took_s
            self._follow()

    def _follow(self) -> None:
        quickest_s = min(self._quickest_s, self._quickest_before_s)
        if quickest_s < math.inf:
            self.allowed = min(self._most, max(LEAST, round(PER_S * quickest_s)))
            self.few = int(FEW * self.allowed)
