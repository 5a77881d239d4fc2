"""Redis against the model, under arbitrary times, batches, give-backs, tiers, holds, refusals and losses of memory.

What no limit may ever let through is judged once more by the record alone, and by the true time: the clock may be set
back as it likes. (A clock set forward is the passing of time, as far as a server can know.)
"""

from __future__ import annotations

import asyncio
import itertools
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits_story import (
    DAY_MS,
    PAIR_BURST,
    PAIR_INTERVAL_MS,
    POOL,
    WEIGHTS,
    Asked,
    Barred,
    CameIn,
    Flushed,
    GivenBack,
    HeldFor,
    Passed,
    Post,
    ScopeIs,
    SetBack,
    SlowedDown,
    Story,
    TierIs,
    Waited,
    tier,
)

from dispatcher.domain.grant import SenderLimits
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import SenderId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope

EXAMPLES = 300
"""In the default profile; `--hypothesis-profile=nightly` tries 2,000."""

a_lane = st.sampled_from([(1, 1), (1, 2), (1, 1), (1, 2), (1, 3), (2, 1)])
a_sender_id = st.sampled_from([1, 1, 2])
people = st.lists(st.integers(0, 6), min_size=1, max_size=6, unique=True).map(tuple)
nobody_or_one = st.one_of(st.just(99), st.integers(0, 5))
asked = st.builds(Asked, a_lane, people, nobody_or_one, st.sampled_from([False, False, False, True]))
often: dict[st.SearchStrategy[object], int] = {
    asked: 12,
    st.just(Waited()): 4,
    st.builds(Passed, st.integers(0, 300)): 3,
    st.builds(Passed, st.integers(300, 20_000)): 4,
    st.builds(Passed, st.integers(0, DAY_MS)): 1,
    st.builds(SetBack, st.integers(1, DAY_MS // 2)): 1,
    st.builds(GivenBack, st.integers(0, 5), st.booleans()): 2,
    st.builds(TierIs, st.one_of(st.none(), st.integers(1, 5))): 1,
    st.builds(ScopeIs, st.sampled_from(LimitScope)): 2,
    st.builds(HeldFor, a_sender_id, st.integers(0, 500)): 1,
    st.builds(SlowedDown, a_sender_id, st.one_of(st.none(), st.integers(0, 3_000))): 1,
    st.builds(CameIn, a_sender_id, st.integers(1, 8)): 1,
    st.builds(Barred, a_sender_id, st.integers(0, 6), st.integers(0, 10_000)): 1,
    st.just(Flushed()): 1,
}
# why flatmap: `one_of` gives each kind the same chance, however often it is named
a_step = st.sampled_from([kind for kind, weight in often.items() for _ in range(weight)]).flatmap(
    lambda kind: kind
)
all_seven = st.permutations(range(7)).map(tuple)
a_rivalry = st.lists(
    st.one_of(
        st.builds(Asked, st.sampled_from([(1, 1), (1, 2), (1, 3)]), all_seven, st.just(99), st.just(False)),
        st.builds(Passed, st.integers(0, 1_500)),
    ),
    min_size=6,
    max_size=12,
)
"""Lanes of one sender that ask in turn for more than there is."""
a_scene = st.one_of(st.lists(a_step, min_size=8, max_size=30), a_rivalry)
steps = st.lists(a_scene, min_size=1, max_size=3).map(lambda scenes: [*itertools.chain(*scenes)])


@st.composite
def two_senders(draw: st.DrawFn) -> list[SenderLimits]:
    limit = draw(st.one_of(st.none(), st.integers(1, 5)))
    scope = LimitScope.SENDER
    senders = []
    for n in (1, 2):
        rate = Rate(draw(st.sampled_from([700, 5_000, 5_000, 80_000, 333_333])))
        reserve = draw(st.integers(0, 2))
        burst = reserve + draw(st.integers(1, 15))
        senders.append(SenderLimits(SenderId(n), POOL, rate, burst, reserve, tier(limit), scope, None))
    return senders


@pytest.mark.timeout(3_600)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=max(EXAMPLES, settings().max_examples),
    # The same stories in each ordinary run; the nightly profile looks for new ones.
    derandomize=settings().max_examples <= EXAMPLES,
)
@given(two_senders(), st.tuples(*[st.integers(0, 2)] * len(WEIGHTS)), steps)
def test_redis_agrees_with_the_model_and_no_limit_is_ever_exceeded(
    senders: list[SenderLimits], priorities: tuple[int, ...], steps: list[object]
) -> None:
    async def live() -> None:
        story = Story(senders, priorities)
        await story.begin()
        story.clock.ms += 30_000  # fills the buckets
        for step in steps:
            await story.take(step)
            await story.agrees()
        no_more_people_in_a_day_than_the_tier(story)
        no_more_messages_to_a_pair_than_its_limit(story)
        no_message_to_a_refused_pair_before_its_time(story)
        no_more_messages_than_rate_and_burst(story)
        await after_a_day_the_tier_is_full_again_to_the_last_token(story)
        await story.redis.aclose()

    asyncio.run(live())


def no_more_people_in_a_day_than_the_tier(story: Story) -> None:
    """At each post under a tier, so many people within the last day, and never more unless already there.

    Judged by what was known then: a message on its way counts, until it turns out that Meta has not taken it. Somebody
    may be taken for there a little longer, by a clock that was set back, or for a message that was not taken but had
    no token to give back; that exceeds a tier only where it was lowered below what is used.
    """
    for i, post in enumerate(story.posts):
        if post.counts and post.tier is not None:
            earlier = [other for other in story.posts[:i] if counts_with(post, other)]
            within_a_day = [other for other in earlier if other.true_ms > post.true_ms - DAY_MS]
            reached = {other.person for other in within_a_day if stood(other, i)}
            by_clock = {other.person for other in earlier if other.ms > post.ms - DAY_MS}
            was_there = {other.person for other in within_a_day} | by_clock
            assert post.person in was_there or len(reached) < post.tier
            if not post.may_be_overfull:
                assert len(reached | {post.person}) <= post.tier


def stood(post: Post, posts: int) -> bool:
    """When there were so many posts."""
    return post.undone_after is None or post.undone_after > posts


def counts_with(post: Post, other: Post) -> bool:
    return other.counts and (post.scope is LimitScope.PORTFOLIO or other.lane[0] == post.lane[0])


def no_more_messages_to_a_pair_than_its_limit(story: Story) -> None:
    """Between any two posts to one person, a burst and one per interval at most, while the memory lasted."""
    posts = [post for post in story.posts if post.was_posted]
    for i, first in enumerate(posts):
        between = 0
        for last in posts[i:]:
            if (last.person, last.lane[0], last.memory) == (first.person, first.lane[0], first.memory):
                between += 1
                assert between <= PAIR_BURST + (last.true_ms - first.true_ms) // PAIR_INTERVAL_MS


def no_message_to_a_refused_pair_before_its_time(story: Story) -> None:
    for since, until, sender_id, person, memory in story.bars:
        for post in story.posts:
            if (post.lane[0], post.person, post.memory) == (sender_id, person, memory):
                assert not since < post.true_ms < until


def no_more_messages_than_rate_and_burst(story: Story) -> None:
    """Between any two posts of a sender, rate times time and one burst at most."""
    for sender_id, sender in story.senders.items():
        posts = [post for post in story.posts if post.was_posted and post.lane[0] == sender_id]
        for i, first in enumerate(posts):
            for j, last in enumerate(posts[i:], 1):
                elapsed_ms = last.true_ms - first.true_ms
                assert j * 1_000_000 <= sender.burst * 1_000_000 + elapsed_ms * sender.rate.milli_per_s


async def after_a_day_the_tier_is_full_again_to_the_last_token(story: Story) -> None:
    story.clock.ms += DAY_MS + story.set_back_ms + 10_000
    if story.limit is None:
        return
    reached = 0
    for n in count():
        person = f"+new{n}"
        grant = await story.ask(Asked((1, 1), (), 99, is_reply=False), [(person, True)])
        if not grant.go:
            assert grant.hold is not None
            if grant.hold.reason is HoldReason.TIER_EXHAUSTED:
                break
            assert grant.hold.until is not None
            story.clock.reaches(grant.hold.until)
        reached += len(grant.go)
    assert reached == story.limit or story.clock.ms - story.posts[-story.limit].ms >= DAY_MS
