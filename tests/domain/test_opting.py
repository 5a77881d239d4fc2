"""Which messages opt a person out or in: whole messages only, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.opting import OptWords, SuppressionChange, plain
from dispatcher.settings import Settings

OUT, IN = SuppressionChange.OPTED_OUT, SuppressionChange.OPTED_IN
DEFAULTS = Settings.model_construct()
WORDS = OptWords.of(
    DEFAULTS.stop_words, DEFAULTS.resume_words, DEFAULTS.stop_payloads, DEFAULTS.resume_payloads
)


@pytest.mark.parametrize(
    "said",
    [
        "stop", "STOP", " Stop. ", "stop!!!", "S\u200btop", "«stop»", "STOP \N{OCTAGONAL SIGN}", "Stop promotions", "opt-out",
        "Désinscription", "desinscription", "DARME   DE\nBAJA", "Keine Werbung!", "cancelar inscricao", "Ｓｔｏｐ",
    ],
)  # fmt: skip
def test_a_stop_word_is_heard_however_it_is_written(said: str) -> None:
    assert WORDS.heard(said, None) is OUT


@pytest.mark.parametrize(
    "said",
    [
        "please stop at the harbour",
        "don't stop",
        "stopped",
        "non-stop",
        "",
        "!",
        "\N{OCTAGONAL SIGN}",
        "stop " * 99,
    ],
)
def test_a_message_that_only_contains_one_is_not(said: str) -> None:
    assert WORDS.heard(said, None) is None


@pytest.mark.parametrize("said", ["Start", "opt in", "UNSTOP", "quero receber", "alta"])
def test_a_resume_word_opts_in(said: str) -> None:
    assert WORDS.heard(said, None) is IN


@pytest.mark.parametrize(
    ("payload", "change"),
    [
        ("STOP", OUT), ("STOP:autumn", OUT), ("OPT_OUT", OUT), ("START", IN), ("STOPWATCH", None), ("stop", None), ("", None),
    ],
)  # fmt: skip
def test_a_button_counts_by_its_payload(payload: str, change: SuppressionChange | None) -> None:
    assert WORDS.heard("Tell me more", payload) is change


def test_of_a_label_and_a_payload_that_disagree_the_no_counts() -> None:
    assert WORDS.heard("Start", "STOP") is OUT
    assert WORDS.heard("Stop", "START") is OUT


@given(st.text(max_size=60))
def test_making_text_plain_twice_changes_nothing_more(text: str) -> None:
    assert plain(plain(text)) == plain(text)


def test_no_word_of_the_defaults_means_both() -> None:
    assert not WORDS.stop & WORDS.resume
    assert "" not in WORDS.stop | WORDS.resume
