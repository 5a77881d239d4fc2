"""Who got what of a campaign, by the record: the judge of duplicates tells accident from order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sandbox.campaigns import CampaignSeen

from .builders import DANA, Client, Json, a_message, person

Acceptance = tuple[str, int, int, bool]
"""Message, attempt, person, whether it fails later."""


def seen(*acceptances: Acceptance) -> dict[str, int]:
    campaign = CampaignSeen()
    for message, attempt, who, fails in acceptances:
        campaign.accept(message, attempt, who, fails=fails, once_per_person=True)
    return campaign.shown()


@pytest.mark.parametrize(
    ("acceptances", "duplicates", "resent", "after_failure", "twice"),
    [
        ([("1", 1, 10, False)], 0, 0, 0, 0),
        ([("1", 1, 10, False), ("1", 1, 10, False)], 1, 0, 0, 1),
        ([("1", 1, 10, False), ("1", 2, 10, False)], 1, 1, 0, 1),
        ([("1", 2, 10, False), ("1", 1, 10, False)], 1, 0, 0, 1),
        ([("1", 1, 10, True), ("1", 2, 10, False)], 1, 1, 1, 0),
        ([("1", 1, 10, True), ("1", 2, 10, True), ("1", 3, 10, False)], 2, 2, 2, 0),
        ([("1", 1, 10, False), ("1", 2, 10, True)], 1, 1, 0, 0),
        ([("1", 1, 10, False), ("1", 2, 10, True), ("1", 3, 10, False)], 2, 2, 0, 1),
        ([("1", 1, 10, False), ("2", 1, 10, False)], 1, 0, 0, 1),
        ([("1", 1, 10, True), ("2", 1, 10, False)], 1, 0, 0, 0),
    ],
)
def test_a_judge_can_tell_an_order_from_an_accident(
    acceptances: Sequence[Acceptance], duplicates: int, resent: int, after_failure: int, twice: int
) -> None:
    shown = seen(*acceptances)
    assert shown["duplicates"] == duplicates
    assert shown["resent_attempts"] == resent
    assert shown["resent_after_failure"] == after_failure
    assert shown["people_reached_twice"] == twice


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 3), st.booleans())),
)
def test_people_are_counted_as_they_would_count_themselves(acceptances: list[Acceptance]) -> None:
    shown = seen(*acceptances)
    got = [sum(1 for a in acceptances if a[2] == who and not a[3]) for who in {a[2] for a in acceptances}]
    assert shown["accepted"] == len(acceptances)
    assert shown["people"] == len(got)
    assert shown["people_reached"] == sum(1 for times in got if times >= 1)
    assert shown["people_reached_twice"] == sum(1 for times in got if times >= 2)
    assert shown["resent_after_failure"] <= shown["resent_attempts"] <= shown["duplicates"]
    assert shown["duplicates"] < max(1, shown["accepted"])


async def test_the_record_tells_each_campaign_apart(client: Client) -> None:
    for token, to in (("i.c.1.1", DANA), ("i.c.1.2", DANA), ("i.d.1.1", DANA), ("theirs", person(1))):
        await client.post(a_message(to=to, token=token))
    record: Json = (await client.http.get("/_sandbox/record?per_campaign=1")).json()
    assert (record["accepted"], record["duplicates"], record["resent_attempts"]) == (4, 1, 1)
    assert record["by_campaign"].keys() == {"i.c", "i.d"}
    assert record["by_campaign"]["i.c"] == {
        "accepted": 2,
        "messages": 1,
        "people": 1,
        "people_reached": 1,
        "people_reached_twice": 1,
        "duplicates": 1,
        "resent_attempts": 1,
        "resent_after_failure": 0,
    }
