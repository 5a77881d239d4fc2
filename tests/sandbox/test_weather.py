"""Behaviour by schedule: storms come and go by the sandbox's clock, the same each time."""

import pytest

from dispatcher.sandbox import Behaviour, Fault
from dispatcher.sandbox.weather import Phase, Weather

from .builders import Client, MovedClock, a_message, person

STORM = {"after_s": 1, "for_s": 2, "faults": {"bare_5xx": 1}}
CALM = {"after_s": 5, "for_s": 1, "errors": {"131000": 1}}


async def statuses(client: Client, *at_s: float) -> list[int]:
    """What a post is answered with at these moments."""
    begun_ms, answers = client.clock.now_ms, []
    for place, second in enumerate(at_s):
        client.clock.now_ms = begun_ms + int(second * 1000)
        answers.append((await client.post(a_message(to=person(place)))).status_code)
    return answers


async def test_a_storm_comes_and_goes_on_time(client: Client) -> None:
    client.world.change_number("200000000000001", tier_limit=None)
    await client.http.post("/_sandbox/weather", json=[CALM, STORM])
    moments = (0, 0.999, 1, 2.999, 3, 5, 5.5, 6)
    assert await statuses(client, *moments) == [200, 200, 502, 502, 200, 500, 500, 200]


async def test_a_phase_keeps_what_it_does_not_name(client: Client) -> None:
    await client.http.patch("/_sandbox/behaviour", json={"webhooks": {"read_share": 0.5}})
    await client.http.post("/_sandbox/weather", json=[{**STORM, "after_s": 0, "webhooks": {"lost_share": 1}}])
    shown = (await client.http.get("/_sandbox/weather")).json()
    assert shown["now"]["faults"] == {"bare_5xx": 1}
    assert (shown["now"]["webhooks"]["lost_share"], shown["now"]["webhooks"]["read_share"]) == (1, 0.5)
    assert (await client.http.get("/_sandbox/behaviour")).json()["faults"] == {}


async def test_the_forecast_shows_what_is_left(client: Client) -> None:
    await client.http.post("/_sandbox/weather", json=[STORM, CALM])
    client.clock.move(2_000)
    phases = (await client.http.get("/_sandbox/weather")).json()["phases"]
    assert [(phase["after_s"], phase["for_s"]) for phase in phases] == [(0, 1), (3, 1)]
    client.clock.move(60_000)
    assert (await client.http.get("/_sandbox/weather")).json()["phases"] == []


async def test_a_new_schedule_replaces_the_old_one(client: Client) -> None:
    await client.http.post("/_sandbox/weather", json=[{**STORM, "after_s": 0}])
    assert await statuses(client, 0) == [502]
    await client.http.post("/_sandbox/weather", json=[])
    assert await statuses(client, 0) == [200]


@pytest.mark.parametrize(
    ("phases", "named"),
    [
        ([STORM, STORM], "overlap"),
        ([{"after_s": 1}], "for_s"),
        ([{"for_s": 0}], "for_s"),
        ([{"for_s": 1, "faults": {"bare_5xx": 0.6}, "errors": {"1": 0.6}}], "add up"),
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(client: Client, phases: object, named: str) -> None:
    response = await client.http.post("/_sandbox/weather", json=phases)
    assert response.status_code == 422
    assert named in response.json()["error"]


def test_phases_may_touch() -> None:
    weather = Weather(Behaviour(), MovedClock())
    now_ms = weather.clock_ms()
    storm, hail = Behaviour(faults={Fault.BARE_5XX: 1}), Behaviour(faults={Fault.CLOSED_UNREAD: 1})
    weather.schedule([Phase(now_ms + 10, now_ms + 20, hail), Phase(now_ms, now_ms + 10, storm)])
    assert weather.behaviour is storm
