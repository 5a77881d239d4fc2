"""What is planned to be reported of an accepted message; pure, with a generator of the test's own."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sandbox import Latency, LatencyShape, Number, WebhookBehaviour
from dispatcher.sandbox.webhooks.body import body_of
from dispatcher.sandbox.webhooks.receipts import draw_failure, planned
from dispatcher.sandbox.webhooks.updates import AcceptedMessage, Event, Receipt, ReceiptStatus
from dispatcher.sandbox.world import Person

from .builders import NUMBER, SISTER, WABA, Json

SENT, DELIVERED, READ, FAILED = ReceiptStatus
TOKEN = "i.c.1.1"

shares = st.floats(0, 1)
times = st.builds(
    Latency,
    st.sampled_from(LatencyShape),
    ms=st.floats(0, 1e6),
    to_ms=st.floats(0, 1e6),
    sigma=st.floats(0, 2),
)
behaviours = st.builds(
    WebhookBehaviour,
    sent=times,
    delivered=times,
    read=times,
    failed=times,
    delivered_share=shares,
    read_share=shares,
    read_only_share=shares,
    failed_too_share=shares,
)


def a_message(person: Person = 12025550143, number: str = NUMBER, token: str = TOKEN) -> AcceptedMessage:
    number_entry = Number(number, WABA, "+1 202-555-0100")
    return AcceptedMessage(f"wamid.{person}", number_entry, person, token, "marketing", 1_800_000_000_000)


def plan(fails_later: int | None = None, seed: int = 1, **webhooks: object) -> list[Receipt]:
    behaviour = WebhookBehaviour(**webhooks)  # type: ignore[arg-type]
    return list(planned(a_message(), fails_later, behaviour, random.Random(seed)))


def statuses_of(*receipts: Receipt, scoped_ids: bool = True) -> list[Json]:
    body = json.loads(body_of(receipts, scoped_ids=scoped_ids, per_entry=1000))
    listed: list[Json] = body["entry"][0]["changes"][0]["value"]["statuses"]
    return listed


@given(behaviours, st.none() | st.just(131026), st.integers())
def test_what_happens_to_a_message_happens_in_order(
    webhooks: WebhookBehaviour, fails_later: int | None, seed: int
) -> None:
    receipts = list(planned(a_message(), fails_later, webhooks, random.Random(seed)))
    happened = {receipt.status: receipt.at_ms for receipt in receipts}
    assert len(happened) == len(receipts), "each status at most once"
    if fails_later is not None:
        assert list(happened) == [FAILED]
        return
    in_order = [happened[status] for status in (SENT, DELIVERED, READ) if status in happened]
    assert in_order == sorted(in_order)
    assert happened[SENT] >= 1_800_000_000_000
    assert (FAILED in happened) <= (DELIVERED in happened)


@given(behaviours, st.integers())
def test_sent_and_exactly_one_later_receipt_carry_the_price(webhooks: WebhookBehaviour, seed: int) -> None:
    receipts = list(planned(a_message(), None, webhooks, random.Random(seed)))
    arrived = {receipt.status for receipt in receipts} & {DELIVERED, READ}
    priced = [receipt.status for receipt in receipts if receipt.is_priced]
    assert priced[0] is SENT
    assert len(priced) == (2 if arrived else 1)


def test_shares_decide_what_is_reported() -> None:
    assert [receipt.status for receipt in plan()] == [SENT, DELIVERED]
    assert [receipt.status for receipt in plan(delivered_share=0)] == [SENT]
    assert [receipt.status for receipt in plan(read_share=1)] == [SENT, DELIVERED, READ]
    assert [receipt.status for receipt in plan(read_share=1, read_only_share=1)] == [SENT, READ]
    assert [receipt.status for receipt in plan(failed_too_share=1)] == [SENT, DELIVERED, FAILED]
    assert [receipt.status for receipt in plan(131026, read_share=1)] == [FAILED]


def test_delays_add_up() -> None:
    sent, delivered, read = plan(
        sent=Latency(ms=100), delivered=Latency(ms=20), read=Latency(ms=3), read_share=1
    )
    assert [receipt.at_ms - 1_800_000_000_000 for receipt in (sent, delivered, read)] == [100, 120, 123]


def test_a_share_of_messages_fails_with_each_code() -> None:
    webhooks = WebhookBehaviour(failures={131049: 0.3, 131026: 0.1})
    chance = random.Random(5)
    drawn = [draw_failure(webhooks, chance) for _ in range(1000)]
    assert 250 < drawn.count(131049) < 350
    assert 70 < drawn.count(131026) < 130


def test_shares_of_failures_add_up_to_one_at_most() -> None:
    with pytest.raises(ValueError, match="failures"):
        WebhookBehaviour(failures={131049: 0.7, 131026: 0.7})


def test_a_receipt_looks_as_metas_does() -> None:
    message = a_message()
    sent = Receipt(message, SENT, message.at_ms + 10_000, is_priced=True)
    (change,) = json.loads(body_of([sent], scoped_ids=True, per_entry=1000))["entry"][0]["changes"]
    assert change == {
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12025550100", "phone_number_id": NUMBER},
            "contacts": [
                {
                    "profile": {"name": "Zoë 0143"},
                    "wa_id": "12025550143",
                    "user_id": "US.7000000012025550143",
                }
            ],
            "statuses": [
                {
                    "id": "wamid.12025550143",
                    "status": "sent",
                    "timestamp": "1800000010",
                    "recipient_id": "12025550143",
                    "recipient_user_id": "US.7000000012025550143",
                    "biz_opaque_callback_data": "i.c.1.1",
                    "pricing": {
                        "billable": True,
                        "pricing_model": "PMP",
                        "type": "regular",
                        "category": "marketing",
                    },
                }
            ],
        },
    }


def test_a_failure_names_its_code_and_no_contact() -> None:
    failed = Receipt(a_message(), FAILED, 0, code=131049)
    (change,) = json.loads(body_of([failed], scoped_ids=True, per_entry=1000))["entry"][0]["changes"]
    assert "contacts" not in change["value"]
    (status,) = change["value"]["statuses"]
    assert "recipient_user_id" not in status
    assert status["errors"][0]["code"] == 131049
    assert "ecosystem" in status["errors"][0]["title"]


def test_a_person_known_by_a_scoped_id_has_no_telephone_number() -> None:
    (status,) = statuses_of(Receipt(a_message("US.7001"), SENT, 0), scoped_ids=False)
    assert "recipient_id" not in status
    assert status["recipient_user_id"] == "US.7001"


def test_the_older_shape_knows_no_scoped_ids() -> None:
    body = body_of([Receipt(a_message(), SENT, 0)], scoped_ids=False, per_entry=1000)
    assert b"user_id" not in body
    assert b"contacts" not in body


def test_a_message_without_a_token_is_reported_without_one() -> None:
    (status,) = statuses_of(Receipt(a_message(token=""), SENT, 0))
    assert "biz_opaque_callback_data" not in status


def test_what_is_not_ascii_is_escaped_in_lower_case() -> None:
    body = body_of([Receipt(a_message(token="ünï"), SENT, 0)], scoped_ids=True, per_entry=1000)
    assert body.isascii()
    assert b'"Zo\\u00eb 0143"' in body
    assert b'"\\u00fcn\\u00ef"' in body


def test_updates_share_an_entry_by_number_up_to_so_many() -> None:
    updates = [Receipt(a_message(person), SENT, 0) for person in range(20_000_000, 20_000_005)]
    updates.append(Receipt(a_message(number=SISTER), SENT, 0))
    event = Event(WABA, "account_update", {"event": "AD_ACCOUNT_LINKED"}, 1_800_000_000_999)
    entries = json.loads(body_of([*updates, event], scoped_ids=True, per_entry=2))["entry"]
    listed = [entry["changes"][0]["value"].get("statuses", []) for entry in entries]
    assert sorted(map(len, listed)) == [0, 1, 1, 2, 2]
    assert [entry["time"] for entry in entries if "time" in entry] == [1_800_000_000]
