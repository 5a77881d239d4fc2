"""Replies by hand: `dispatch reply`, and what became of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.conversations import a_conversation
from support.ledger import LEASE, Ledger

from dispatcher.cli.output import ExitCode
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import unsure
from dispatcher.ledger.reply_turns import LedgerReplyTurns

from .builders import ANN, BOB, EVE, Dispatch
from .test_unsure import in_ledger

DANAS_ID = "US.7000000000000000001"


@pytest.fixture
def shop(with_sender: Dispatch, database_url: str) -> Dispatch:
    """The sender "shop", to whom Ann and Dana have written; Bob's window has closed."""

    async def write(ledger: Ledger) -> None:
        sender = await ledger.senders.named("shop")
        await a_conversation(ledger.database, sender, ANN)
        await a_conversation(ledger.database, sender, BOB, open_for=timedelta(hours=-1))
        await a_conversation(ledger.database, sender, "", user_id=DANAS_ID)

    in_ledger(database_url, write)
    return with_sender


def test_a_reply_is_queued_and_shown(shop: Dispatch) -> None:
    said = shop("reply", ANN, "--from", "shop", "--text", "On its way.", "--answer", "wamid.IN.1", "--json")
    assert said.code == ExitCode.DONE
    assert (said.json["queued"], said.json["id"], said.json["position"]) == (True, 1, 1)
    shown = shop("replies", "show", 1, "--json").json
    assert (shown["state"], shown["person"], shown["answers"]) == ("pending", ANN, "wamid.IN.1")
    assert shown["content"]["text"]["body"] == "On its way."
    assert "On its way." in shop("replies", "list").out
    assert [
        one["id"] for one in shop("replies", "list", "--from", "shop", "--to", ANN, "--json").json["replies"]
    ] == [1]
    assert shop("replies", "list", "--state", "accepted", "--json").json["replies"] == []


def test_a_person_without_a_number_is_answered_by_user_id(shop: Dispatch) -> None:
    assert shop("reply", DANAS_ID, "--from", "shop", "--text", "Done.").code == ExitCode.DONE
    assert shop("replies", "show", 1, "--json").json["person"] == DANAS_ID


def test_a_closed_window_is_refused_with_its_end_and_the_hint_to_use_a_template(shop: Dispatch) -> None:
    said = shop("reply", BOB, "--from", "shop", "--text", "Still there?", "--json")
    assert said.code == ExitCode.NO
    assert (said.json["queued"], said.json["reason"]) == (False, "window_closed")
    assert said.json["window_closed_at"] is not None
    assert "template" in said.json["hint"]
    assert shop("replies", "list", "--json").json["replies"] == []


def test_who_has_never_written_cannot_be_answered(shop: Dispatch) -> None:
    said = shop("reply", EVE, "--from", "shop", "--text", "Hello!", "--json")
    assert (said.code, said.json["reason"]) == (ExitCode.NO, "no_conversation")


def test_content_that_meta_would_refuse_names_its_field(shop: Dispatch) -> None:
    said = shop("reply", ANN, "--from", "shop", "--text", "When?", "--button", f"am={'x' * 21}", "--json")
    assert (said.code, said.json["reason"]) == (ExitCode.NO, "bad_content")
    assert said.json["field"] == "buttons.1.title"


def test_a_sender_that_may_not_send_does_not_take_replies(shop: Dispatch) -> None:
    assert shop("senders", "set", "shop", "--status", "BANNED").code == ExitCode.DONE
    said = shop("reply", ANN, "--from", "shop", "--text", "Hello", "--json")
    assert (said.code, said.json["reason"]) == (ExitCode.NO, "sender_blocked")


def test_one_key_is_one_reply(shop: Dispatch) -> None:
    once = ("reply", ANN, "--from", "shop", "--text", "Hello", "--key", "k1", "--json")
    assert [shop(*once).json["is_new"], shop(*once).json["is_new"]] == [True, False]
    other = shop("reply", ANN, "--from", "shop", "--text", "Goodbye", "--key", "k1", "--json")
    assert (other.code, other.json["reason"]) == (ExitCode.NO, "key_taken")
    assert len(shop("replies", "list", "--json").json["replies"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--text", "Hello", "--image", "9001"),
        ("--image", "9001", "--button", "am=Morning"),
        ("--react", "👍"),
    ],
)
def test_options_that_do_not_say_one_thing_queue_nothing(shop: Dispatch, options: tuple[str, ...]) -> None:
    assert shop("reply", ANN, "--from", "shop", *options, "--json").code == ExitCode.WRONG
    assert shop("replies", "list", "--json").json["replies"] == []


def test_who_is_nobody_is_wrong_input(shop: Dispatch) -> None:
    for person in ("nobody", "0151 234", "us.700"):
        assert shop("reply", person, "--from", "shop", "--text", "Hello", "--json").code == ExitCode.WRONG


def test_a_waiting_reply_is_explained_and_can_be_cancelled(shop: Dispatch) -> None:
    for text in ("one", "two"):
        shop("reply", ANN, "--from", "shop", "--text", text)
    first, second = (shop("replies", "explain", n, "--json").json for n in (1, 2))
    assert first["binding"]["reason"] == "queued"
    assert (second["binding"]["reason"], second["binding"]["detail"]) == ("in_order", "reply 1 goes first")
    shop("senders", "set", "shop", "--disable")
    assert shop("replies", "explain", 1, "--json").json["binding"]["reason"] == "sender_disabled"
    shop("senders", "set", "shop", "--enable")
    assert shop("replies", "cancel", 1).code == ExitCode.DONE
    assert shop("replies", "cancel", 1).code == ExitCode.WRONG
    assert shop("replies", "explain", 2, "--json").json["binding"]["reason"] == "queued"
    log = shop("audit", "--json").json["entries"]
    told = [(each["action"], each["subject"]) for each in log if each["subject"].startswith("reply")]
    assert told == [("reply_cancelled", "reply 1"), ("reply_queued", "reply 2"), ("reply_queued", "reply 1")]
    assert shop("replies", "show", 404).code == ExitCode.WRONG


def test_unsure_replies_are_listed_settled_and_released(shop: Dispatch, database_url: str) -> None:
    for text in ("one", "two"):
        shop("reply", ANN if text == "one" else DANAS_ID, "--from", "shop", "--text", text)

    async def lose_the_answers(ledger: Ledger) -> None:
        turns, sender = LedgerReplyTurns(ledger.database), await ledger.senders.named("shop")
        turn = await turns.open_turn(sender.id, "a test", LEASE, 0)
        assert turn is not None
        for reply in (await turns.claim(turn, 10)).replies:
            await turns.settle(turn, unsure(MessageId(reply.id), "answer_lost"))
        await turns.close_turn(turn)

    in_ledger(database_url, lose_the_answers)
    said = shop("unsure", "list", "--json")
    assert (said.code, said.json["unsure"], len(said.json["replies"])) == (ExitCode.NO, 2, 2)
    assert "reply 1" in shop("unsure", "list").out
    assert "settle replies" in shop("replies", "explain", 1, "--json").json["advice"]
    assert shop("unsure", "settle", "replies", 1, "--as", "accepted", "--json").json["settled"] == 1
    assert shop("unsure", "release", "replies", "--all", "--json").json == {"released": 1}
    states = [one["state"] for one in shop("replies", "list", "--json").json["replies"]]
    assert states == ["pending", "accepted"]
    assert shop("unsure", "settle", "answers", 1).code == ExitCode.WRONG
    assert shop("check").code == ExitCode.DONE


def test_what_a_person_wrote_is_marked_as_read(shop: Dispatch) -> None:
    said = shop("replies", "read", ANN, "--from", "shop", "--typing", "--json")
    assert said.json == {"marked": f"wamid.IN.{ANN}", "typing": True}
    assert shop("replies", "read", EVE, "--from", "shop").code == ExitCode.WRONG
