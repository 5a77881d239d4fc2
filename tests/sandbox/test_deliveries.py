"""Webhooks on their way to a real receiver: signed, retried, batched, lost, late and twice."""

import asyncio

import pytest

from dispatcher.sandbox import Fault
from dispatcher.sandbox.webhooks import deliveries

from .builders import ReportingClient, a_message, person
from .receiver import CLOSED, SILENCE, Receiver, shares


async def test_an_accepted_message_is_reported_signed_to_the_callback(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    (wamid,) = await reporting.sends(1)
    tally = await reporting.quiet()
    assert [(status["id"], status["status"]) for status in receiver.statuses] == [
        (wamid, "sent"),
        (wamid, "delivered"),
    ]
    assert all(status["biz_opaque_callback_data"] == "i.c.0.1" for status in receiver.statuses)
    assert all(got.is_signed and got.target == "/webhooks/meta?app=1" for got in receiver.got)
    assert (tally["delivered"], tally["posts"]["answers"]) == (2, {"200": 2})
    assert tally["answer_ms"]["p50"] <= tally["answer_ms"]["p99"] <= tally["answer_ms"]["max"]


async def test_without_a_callback_nothing_is_planned(reporting: ReportingClient, receiver: Receiver) -> None:
    await reporting.console("DELETE", "callback")
    await reporting.sends(3)
    assert (await reporting.quiet())["planned"] == 0
    assert receiver.got == []


async def test_a_message_whose_answer_was_lost_is_reported_too(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.console("PATCH", "behaviour", {"faults": {Fault.CLOSED_ACCEPTED: 1}})
    with pytest.raises(ConnectionResetError):
        await reporting.post(a_message(token="i.c.1.1"))
    await reporting.quiet()
    assert shares(receiver.statuses) == {"sent": 1, "delivered": 1}


async def test_what_fails_later_is_in_the_record_and_reported_with_its_code(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.console("PATCH", "people", {"unknown": [person(0)]})
    await reporting.reports(failures={131049: 1})
    await reporting.sends(2)
    await reporting.quiet()
    codes = {
        status["recipient_id"]: status["errors"][0]["code"]
        for status in receiver.statuses
        if status["status"] == "failed"
    }
    assert codes == {person(0).lstrip("+"): 131026, person(1).lstrip("+"): 131049}
    detail = (await reporting.http.get("/_sandbox/record?detail=1")).text
    assert '"fails_later":131026' in detail
    assert '"fails_later":131049' in detail


async def test_receipts_come_when_they_are_due(reporting: ReportingClient, receiver: Receiver) -> None:
    late = {"shape": "uniform", "ms": 5, "to_ms": 20}
    await reporting.reports(sent=late, delivered=late, read=late, read_share=1, connections=1)
    await reporting.sends(20)
    await reporting.quiet()
    for place in range(20):
        token = f"i.c.{place}.1"
        assert [s["status"] for s in receiver.statuses if s["biz_opaque_callback_data"] == token] == [
            "sent",
            "delivered",
            "read",
        ]


@pytest.mark.parametrize("bad", [500, 404, 301, CLOSED])
async def test_a_webhook_comes_again_until_it_is_answered_with_200(
    reporting: ReportingClient, receiver: Receiver, bad: int
) -> None:
    receiver.answers_with(bad, bad)
    await reporting.reports(delivered_share=0, retry_after_s=0.005)
    await reporting.sends(1)
    tally = await reporting.quiet()
    assert len(receiver.got) == 3
    assert len({got.body for got in receiver.got}) == 1, "the same bytes each time"
    assert (tally["delivered"], tally["posts"]["all"], tally["posts"]["retried"]) == (1, 3, 2)
    assert tally["posts"]["unanswered"] == (2 if bad == CLOSED else 0)


async def test_no_answer_in_time_is_none(reporting: ReportingClient, receiver: Receiver) -> None:
    receiver.answers_with(SILENCE)
    await reporting.reports(delivered_share=0, timeout_s=0.05, retry_after_s=0.005)
    await reporting.sends(1)
    tally = await reporting.quiet()
    assert (tally["delivered"], tally["posts"]["unanswered"]) == (1, 1)


async def test_a_webhook_is_given_up_when_its_time_is_over(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    receiver.answers_with(then=503)
    await reporting.reports(retry_after_s=0.005, retry_at_most_s=0.01, retry_for_s=0.03)
    await reporting.sends(1)
    tally = await reporting.quiet()
    assert (tally["delivered"], tally["given_up"]) == (0, 2)
    assert 4 <= tally["posts"]["all"] <= 10


async def test_nobody_listening_is_no_answer(reporting: ReportingClient) -> None:
    await reporting.console("PUT", "callback", {"url": "http://127.0.0.1:9/"})
    await reporting.reports(retry_for_s=0)
    await reporting.sends(1)
    tally = await reporting.quiet()
    assert (tally["given_up"], tally["posts"]["unanswered"]) == (2, 2)


async def test_duplicates_losses_and_delays_are_drawn_and_counted(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.reports(
        duplicate_share=0.5,
        duplicate_after={"ms": 2},
        lost_share=0.2,
        late_share=0.5,
        late_by={"shape": "uniform", "ms": 0, "to_ms": 20},
    )
    await reporting.sends(100)
    tally = await reporting.quiet()
    assert tally["planned"] == 200
    assert 20 < tally["lost"] < 60
    assert 50 < tally["duplicates"] < 110
    assert len(receiver.statuses) == tally["delivered"] == 200 + tally["duplicates"] - tally["lost"]
    order = [(s["biz_opaque_callback_data"], s["status"]) for s in receiver.statuses]
    overtaken = [
        each
        for each in order
        if each[1] == "sent"
        and (each[0], "delivered") in order
        and order.index((each[0], "delivered")) < order.index(each)
    ]
    assert overtaken, "some `delivered` came before their `sent`"


async def test_the_same_seed_draws_the_same_webhooks(reporting: ReportingClient, receiver: Receiver) -> None:
    await reporting.reports(lost_share=0.3, delivered_share=0.5, read_share=0.5, duplicate_share=0.3)
    drawn = []
    for _ in range(2):
        receiver.got.clear()
        await reporting.console("POST", "reset", {"seed": 3})
        await reporting.sends(50)
        await reporting.quiet()
        drawn.append(sorted((s["biz_opaque_callback_data"], s["status"]) for s in receiver.statuses))
    assert drawn[0] == drawn[1]
    assert drawn[0]


async def test_what_is_due_while_all_connections_are_busy_travels_together(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.reports(connections=1, updates_per_post=8, statuses_per_entry=3)
    await asyncio.gather(*(reporting.post(a_message(to=person(n), token=f"i.c.{n}.1")) for n in range(30)))
    tally = await reporting.quiet()
    sizes = [len(got.statuses) for got in receiver.got]
    assert sum(sizes) == 60
    assert max(sizes) == 8
    assert len(sizes) < 30
    assert max(len(change["value"]["statuses"]) for got in receiver.got for change in got.changes) == 3
    assert tally["delivered_by_kind"] == {"sent": 30, "delivered": 30}


async def test_a_reset_forgets_what_is_pending(reporting: ReportingClient, receiver: Receiver) -> None:
    await reporting.reports(sent={"ms": 3_600_000})
    await reporting.sends(5)
    assert (await reporting.console("GET", "webhooks"))["pending"] == 10
    await reporting.console("POST", "reset")
    assert (await reporting.quiet())["planned"] == 0
    assert receiver.got == []


async def test_without_a_callback_what_is_pending_is_given_up(reporting: ReportingClient) -> None:
    await reporting.reports(sent={"ms": 3_600_000})
    await reporting.sends(5)
    await reporting.console("DELETE", "callback")
    assert (await reporting.quiet())["given_up"] == 10


async def test_no_more_than_so_many_wait(reporting: ReportingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "PENDING_MAX", 4)
    await reporting.reports(sent={"ms": 3_600_000})
    await reporting.sends(5)
    tally = await reporting.console("GET", "webhooks")
    assert (tally["pending"], tally["overflowed"]) == (4, 6)


async def test_waiting_for_quiet_ends_when_the_time_is_over(reporting: ReportingClient) -> None:
    await reporting.reports(sent={"ms": 3_600_000})
    await reporting.sends(1)
    tally = await reporting.console("GET", "webhooks?until_idle=0.01")
    assert (tally["idle"], tally["pending"]) == (False, 2)


async def test_no_more_posts_are_under_way_than_there_are_connections(
    reporting: ReportingClient, receiver: Receiver
) -> None:
    await reporting.reports(connections=3)
    await reporting.sends(50)
    await reporting.quiet()
    assert receiver.connections <= 3
    assert len(receiver.got) == 100
