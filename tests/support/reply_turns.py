"""Reply turns in the test's own process: a lane with some of its tools exchanged, and what is said and seen in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, Queued
from dispatcher.domain.reply import Text
from dispatcher.domain.report import UnsureView
from dispatcher.engine.reply_lane import ReplyLane
from dispatcher.ports import ReplyChannel
from support.builders import a_phone
from support.conversations import DAY
from support.world import World

SOON = timedelta(milliseconds=50)


def lane_of(world: World, *, channel: ReplyChannel | None = None, **shared: Any) -> ReplyLane:
    """A lane of this process's tools, with some exchanged, that does not stay when nothing is left, but may go on for long."""
    tools = world.app.reply_lane.tools
    with_own = replace(tools.shared, **{"stopping": asyncio.Event(), **shared})
    return ReplyLane(
        replace(tools, shared=with_own, channel=channel or tools.channel, linger=SOON, slice=DAY)
    )


async def say(world: World, *texts: str, to: int = 1, **fields: Any) -> list[MessageId]:
    """Queue texts to the n-th person."""
    queued = []
    for text in texts:
        answer = await world.app.replies.queue(NewReply("harbour", a_phone(to), Text(text), **fields))
        assert isinstance(answer, Queued), answer
        queued.append(answer.id)
    return queued


async def states(world: World) -> list[tuple[MessageState, str | None]]:
    """Of all replies, oldest first."""
    return [(view.state, view.reason) for view in reversed(await world.app.replies.recent(100))]


async def unsure_ones(world: World) -> Sequence[UnsureView]:
    return (await world.app.unsure_replies.list(10))[1]
