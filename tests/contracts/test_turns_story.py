"""A random story of two lanes against a plain model: everybody is in exactly one state, counters equal rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import a_phone
from support.ledger import Ledger, as_dead

from dispatcher.domain.errors import NotSettled
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.message import (
    ClaimedMessage,
    MessageState,
    Outcome,
    accepted,
    again_later,
    given_back,
    refused,
    unsure,
)

STEPS = st.one_of(
    st.tuples(st.just("claim"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(
        st.sampled_from(["accepted", "refused", "unsure", "given back", "again"]),
        st.integers(0, 1),
        st.integers(1, 3),
    ),
    st.tuples(st.sampled_from(["reap", "reap blindly", "close", "suppress"]), st.integers(0, 1), st.just(0)),
)


class Model:
    """The rules in their plainest form: a dictionary of states, and who has what."""

    def __init__(self, people: Sequence[str]) -> None:
        self.state = dict.fromkeys(people, "pending")
        self.has: list[list[ClaimedMessage]] = [[], []]
        self.suppressed: set[str] = set()

    def claim(self, lane: int, claimed: Sequence[ClaimedMessage], limit: int) -> None:
        free = [person for person, state in self.state.items() if state == "pending"][:limit]
        for person in free:
            self.state[person] = "suppressed" if person in self.suppressed else "claimed"
        assert {m.person for m in claimed} == {p for p in free if self.state[p] == "claimed"}
        self.has[lane] += claimed

    def suppress(self, person: str) -> None:
        self.suppressed.add(person)
        if self.state[person] == "pending":
            self.state[person] = "suppressed"

    def settle(self, lane: int, n: int, state: str) -> list[ClaimedMessage]:
        settled, self.has[lane] = self.has[lane][:n], self.has[lane][n:]
        self.state.update({m.person: state for m in settled})
        return settled


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=20))
async def test_everybody_is_in_exactly_one_state_whatever_two_lanes_do(
    ledger: Ledger, steps: list[tuple[str, int, int]]
) -> None:
    await ledger.database.execute("DELETE FROM suppressions")
    filled = await ledger.a_campaign(people=8, senders=2)
    turns = [await ledger.a_turn(lane) for lane in filled.lanes]
    model = Model([a_phone(n) for n in range(8)])
    for what, lane, n in steps:
        turn = turns[lane]
        match what:
            case "claim":
                model.claim(lane, await ledger.turns.claim(turn, n), n)
            case "accepted" | "refused" | "unsure" | "given back" | "again":
                state = "pending" if what in ("given back", "again") else what
                messages = model.settle(lane, n, state)
                assert await ledger.turns.settle(turn, [an_outcome(what, m.id) for m in messages]) == len(
                    messages
                )
            case "suppress":
                model.suppress(a_phone(0))
                await ledger.memory.suppress(a_phone(0), PersonKey(a_phone(0)), "opted_out", "a test")
            case "reap" | "reap blindly":
                handed = [m.id for m in model.has[lane][::2]]
                for message in model.has[lane]:
                    is_doubtful = what == "reap blindly" or message.id in handed
                    model.state[message.person] = "unsure" if is_doubtful else "pending"
                model.has[lane] = []
                reaped = await ledger.turns.reap(
                    as_dead(turn), None if what == "reap blindly" else frozenset(handed)
                )
                assert reaped is not None
                turns[lane] = await ledger.a_turn(filled.lanes[lane])
            case "close":
                if model.has[lane]:
                    with pytest.raises(NotSettled):
                        await ledger.turns.close_turn(turn, None)
                else:
                    await ledger.turns.close_turn(turn, None)
                    turns[lane] = await ledger.a_turn(filled.lanes[lane])
        rows = await ledger.database.fetch(
            "SELECT person, state FROM messages WHERE campaign_id = $1", filled.campaign.id
        )
        assert {row["person"]: row["state"] for row in rows} == model.state
        counts = await ledger.counts(filled)
        counted = Counter({str(state): getattr(counts, state) for state in MessageState})
        assert counted == Counter(model.state.values())


def an_outcome(what: str, message_id: MessageId) -> Outcome:
    match what:
        case "accepted":
            return accepted(message_id, f"wamid.{message_id}")
        case "refused":
            return refused(message_id, "no", code=131026, detail="", posted=True)
        case "unsure":
            return unsure(message_id, "answer_lost")
        case "given back":
            return given_back(message_id)
        case _:
            return again_later(message_id, None, reason=HoldReason.RETRY_LATER, code=2, detail="busy")
