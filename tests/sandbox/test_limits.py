"""The sandbox's own arithmetic of rate, pair and tier, and that posts are held to it."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sandbox import LimitScope, Timing
from dispatcher.sandbox.limits import PairLimit, RateBucket, Reach

from .builders import DANA, NUMBER, PORTFOLIO, SISTER, Client, a_message, a_text, person

DAY_MS = 86_400_000
steps = st.lists(st.integers(min_value=0, max_value=3_000), max_size=200)


@given(steps, st.integers(min_value=1, max_value=50))
def test_a_rate_lets_through_a_second_and_what_flowed_in_and_no_more(steps_ms: list[int], rate: int) -> None:
    bucket, now_ms, level = RateBucket(rate, 0), 0, rate * 1000
    for step_ms in steps_ms:
        now_ms += step_ms
        level = min(rate * 1000, level + step_ms * rate)
        allowed = level >= 1000
        assert bucket.take(rate, now_ms) is allowed
        level -= 1000 if allowed else 0


@given(steps)
def test_in_any_window_a_rate_stays_below_its_second_plus_the_window(steps_ms: list[int]) -> None:
    rate, bucket, now_ms = 5, RateBucket(5, 0), 0
    taken: list[int] = []
    for step_ms in steps_ms:
        now_ms += step_ms
        if bucket.take(rate, now_ms):
            taken.append(now_ms)
    for first, start_ms in enumerate(taken):
        for last, end_ms in enumerate(taken[first:], start=first):
            assert (last - first + 1) * 1000 <= rate * 1000 + (end_ms - start_ms) * rate


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 6)), max_size=150), st.integers(1, 4))
def test_reach_counts_exactly_the_people_of_the_last_day(events: list[tuple[int, int]], limit: int) -> None:
    reach, now_ms, day_ms = Reach(), 0, 1_000
    accepted: list[tuple[int, int]] = []
    for step_ms, who in events:
        now_ms += step_ms
        counting = {p for at_ms, p in accepted if at_ms + day_ms > now_ms}
        allowed = who in counting or len(counting) < limit
        assert reach.count(now_ms, day_ms=day_ms) == len(counting)
        assert reach.allows(who, limit, now_ms, day_ms=day_ms) is allowed
        if allowed:
            reach.spend(who, now_ms)
            accepted.append((now_ms, who))


def test_a_pair_has_a_burst_and_then_one_message_an_interval() -> None:
    pairs, pair = PairLimit(), ("1", 2)

    def sent(now_ms: int) -> bool:
        allowed = pairs.allows(pair, now_ms, interval_ms=6_000, burst=45)
        if allowed:
            pairs.spend(pair, now_ms, interval_ms=6_000)
        return allowed

    assert [sent(0) for _ in range(46)] == [True] * 45 + [False]
    assert not sent(5_999)
    assert sent(6_000)
    assert not sent(6_000)
    assert [sent(6_000 + 45 * 6_000) for _ in range(46)] == [True] * 45 + [False]


def test_forgetting_idle_pairs_changes_nothing() -> None:
    pairs = PairLimit()
    for now_ms in range(20_000):
        for who in (now_ms, 1_000_000):
            if pairs.allows(("1", who), now_ms, interval_ms=1_000, burst=3):
                pairs.spend(("1", who), now_ms, interval_ms=1_000)
    assert not pairs.allows(("1", 1_000_000), 20_000 - 1, interval_ms=1_000, burst=3)


async def test_a_post_above_the_rate_is_refused_and_recorded(client: Client) -> None:
    client.world.change_number(NUMBER, rate_per_s=2, tier_limit=None)
    codes = [await client.code(a_message(to=person(place))) for place in range(3)]
    client.clock.move(499)
    codes.append(await client.code(a_message(to=person(4))))
    client.clock.move(1)
    codes.append(await client.code(a_message(to=person(5))))
    assert codes == [None, None, 130429, 130429, None]
    record = await client.record()
    assert record["violations"] == {"rate": 2}
    assert record["refused"] == {"130429": 2}


async def test_each_number_has_a_rate_of_its_own(client: Client) -> None:
    client.world.change_number(NUMBER, rate_per_s=1)
    assert [await client.code(a_message(), number) for number in (NUMBER, SISTER, NUMBER)] == [
        None,
        None,
        130429,
    ]


async def test_a_refused_message_spends_of_the_rate_but_not_of_the_tier(client: Client) -> None:
    client.world.change_number(NUMBER, rate_per_s=2, tier_limit=1)
    assert await client.code(a_message(to=person(1), components=[])) == 132000
    assert await client.code(a_message(to=person(2))) is None
    assert await client.code(a_message(to=person(3))) == 130429


async def test_a_pair_breach_is_refused_for_that_pair_only(client: Client) -> None:
    client.world.timing = Timing(pair_burst=1)
    assert await client.code(a_message()) is None
    assert await client.code(a_message()) == 131056
    assert await client.code(a_message(), SISTER) is None
    client.clock.move(6_000)
    assert await client.code(a_message()) is None
    assert (await client.record())["violations"] == {"pair": 1}


async def test_a_person_counts_until_exactly_one_day_later(client: Client) -> None:
    client.world.change_number(NUMBER, tier_limit=2)
    assert [await client.code(a_message(to=person(place))) for place in (1, 2, 3)] == [None, None, 131048]
    client.clock.move(DAY_MS - 1)
    assert await client.code(a_message(to=person(3))) == 131048
    client.clock.move(1)
    assert await client.code(a_message(to=person(3))) is None
    assert (await client.record())["violations"] == {"tier": 2}


async def test_a_second_message_to_a_person_costs_nothing_and_renews_the_day(client: Client) -> None:
    client.world.change_number(NUMBER, tier_limit=1)
    assert await client.code(a_message(to=person(1))) is None
    client.clock.move(DAY_MS - 1)
    assert await client.code(a_message(to=person(1))) is None
    client.clock.move(1)
    assert await client.code(a_message(to=person(2))) == 131048


async def test_a_portfolio_shares_one_limit_among_its_numbers(client: Client) -> None:
    for number in (NUMBER, SISTER):
        client.world.change_number(number, limit_scope=LimitScope.PORTFOLIO, tier_limit=1)
    senders = [NUMBER, SISTER, NUMBER, SISTER]
    codes = [await client.code(a_message(to=person(place)), number) for place, number in enumerate(senders)]
    assert codes == [None, None, None, 131048]
    await client.http.patch(f"/_sandbox/portfolios/{PORTFOLIO}", json={"tier_limit": "unlimited"})
    assert await client.code(a_message(to=person(9)), SISTER) is None


async def test_people_inside_a_service_window_cost_nothing(client: Client) -> None:
    client.world.change_number(NUMBER, tier_limit=1)
    await client.http.post("/_sandbox/windows", json={"phone_number_id": NUMBER, "person": DANA})
    assert await client.code(a_message(to=DANA)) is None
    assert await client.code(a_text(to=DANA)) is None
    assert await client.code(a_message(to=person(1))) is None
    assert await client.code(a_message(to=person(2))) == 131048


async def test_a_rehearsal_may_shorten_the_day(client: Client) -> None:
    client.world.change_number(NUMBER, tier_limit=1)
    changed = await client.http.patch("/_sandbox/timing", json={"day_ms": 1_000})
    assert changed.json() == {"day_ms": 1_000, "pair_interval_ms": 6_000, "pair_burst": 45}
    assert await client.code(a_message(to=person(1))) is None
    client.clock.move(1_000)
    assert await client.code(a_message(to=person(2))) is None
