"""The reply lane of one process: who is served by which turn, and what upkeep does for replies."""

from __future__ import annotations

from dispatcher.domain.gate import Go, decide_reply
from dispatcher.domain.ids import SenderId
from dispatcher.engine.reply_tools import ReplyTools, reap_reply_turn
from dispatcher.engine.reply_turn import ReplyTurn


class ReplyLane:
    """The reply turns of one process: of each sender at most one that still claims."""

    def __init__(self, tools: ReplyTools) -> None:
        self.tools = tools
        self._serving: dict[SenderId, ReplyTurn] = {}

    async def serve(self, sender_id: SenderId) -> None:
        """Look at a sender's replies: by the turn that is running, or by one that runs now, to its end."""
        running = self._serving.get(sender_id)
        if running is not None and running.ring():
            return
        turn = self._serving[sender_id] = ReplyTurn(self.tools, sender_id)
        try:
            await turn.run()
        finally:
            if self._serving.get(sender_id) is turn:
                del self._serving[sender_id]

    async def reap(self) -> int:
        """Settle reply turns whose lease has run out. Returns how many. May run in several processes at once."""
        reaped = 0
        for dead in await self.tools.turns.dead_turns():
            reaped += await reap_reply_turn(self.tools, dead)
        return reaped

    async def sweep(self) -> int:
        """Wake senders whose replies are due: waits that are over, and wake-ups that were lost. Returns how many."""
        shared = self.tools.shared
        due = [
            sender.id
            for sender, holds in await self.tools.turns.due_senders()
            if isinstance(
                decide_reply(sender, holds, shared.clock.now(), stricter=shared.policy.stricter), Go
            )
        ]
        await self.tools.jobs.wake_due(due)
        return len(due)
