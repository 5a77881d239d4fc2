"""Opting out and in: which words and buttons say so, and what a person's history on the suppression list is made of.

A message counts only as a whole: "Stop!" opts out, "please stop at the harbour" does not. Case, accents, punctuation and
emoji do not matter. A button counts by the payload that the business gave it, or by its text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from dispatcher.domain.ids import PersonKey


class SuppressionChange(StrEnum):
    """What happened to a person on the suppression list; each member's docstring is the text that people are shown."""

    OPTED_OUT = "opted_out"
    """The person wants no more campaigns."""
    OPTED_IN = "opted_in"
    """The person wants them again."""
    ADDED = "added"
    """An operator, a list or a rule put the person on the list."""
    REMOVED = "removed"
    """An operator took the person off the list."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A person's word about getting campaigns. Of several the latest counts; at one moment, no counts."""

    key: PersonKey
    person: str
    """E.164 with the plus sign, or the user id where no number is known."""
    user_id: str | None
    """The id by which it was said, where one was told."""
    change: SuppressionChange
    """OPTED_OUT or OPTED_IN."""
    source: str
    """How it was said, for people: "stop word", "button", "preferences at Meta" …"""
    at: datetime
    evidence: str | None
    """What makes a repetition of the same news recognisable; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a person's history."""

    at: datetime
    change: SuppressionChange
    reason: str
    source: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class OptWords:
    """What people say to opt out or in, made comparable."""

    stop: frozenset[str] = frozenset()
    resume: frozenset[str] = frozenset()
    stop_payloads: frozenset[str] = frozenset()
    resume_payloads: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        stop: Mapping[str, Sequence[str]],
        resume: Mapping[str, Sequence[str]],
        stop_payloads: Iterable[str],
        resume_payloads: Iterable[str],
    ) -> Self:
        """Words by language, as people write them: every language counts for everybody, since nobody tells theirs."""
        return cls(
            _comparable(stop), _comparable(resume), frozenset(stop_payloads), frozenset(resume_payloads)
        )

    def heard(self, words: str | None, payload: str | None) -> SuppressionChange | None:
        """What a message says about getting campaigns; None for nearly all messages. A stop wins over a resume."""
        said = plain(words) if words is not None and len(words) <= _LONGEST else ""
        if said in self.stop or _is_one_of(payload, self.stop_payloads):
            return SuppressionChange.OPTED_OUT
        if said in self.resume or _is_one_of(payload, self.resume_payloads):
            return SuppressionChange.OPTED_IN
        return None


_LONGEST = 200
"""Characters. Longer messages are none of these words, whatever they are made of."""


def plain(text: str) -> str:
    """A text without case, accents, punctuation and symbols, with single blanks: "  ¡Párame!! " → "parame"."""
    # why twice: some letters have a case only once they are taken apart.
    parted = text
    for _ in range(2):
        parted = unicodedata.normalize("NFKD", parted).casefold()
    parted = unicodedata.normalize("NFKD", parted)
    kept = [
        " " if unicodedata.category(c)[0] in "PSZC" else c
        for c in parted
        if unicodedata.category(c) not in _GLUE
    ]
    return " ".join("".join(kept).split())


_GLUE = frozenset({"Mn", "Me", "Cf"})
"""Marks upon letters and invisible characters: left out, where punctuation becomes a blank."""


def _comparable(by_language: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset(plain(word) for words in by_language.values() for word in words)


def _is_one_of(payload: str | None, payloads: frozenset[str]) -> bool:
    """Whether a payload is one of these, alone or with something behind a sign: STOP, STOP:42, but not STOPWATCH."""
    return payload is not None and any(
        payload.startswith(each) and not payload[len(each) : len(each) + 1].isalnum() for each in payloads
    )
