"""The receiver's side of the story: every accepted message, every refusal by code, every violation.

Lean enough for millions of messages: columns of plain numbers, tokens end to end in one buffer, and wamids
computed from a message's place instead of kept. What counts as a duplicate is decided with `campaigns`, since only
what was seen tells: a token is `INSTANCE.CAMPAIGN.MESSAGE.ATTEMPT`, and neither a message (its first three parts)
nor, among template messages, a person of one campaign may be accepted twice.
"""

import base64
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from .campaigns import CampaignSeen
from .refusals import ViolationKind
from .world import Person


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `code` is the code it was refused with, None for a duplicate, which Meta accepts."""

    kind: ViolationKind
    phone_number_id: str
    to: str
    at_ms: int
    code: int | None


class Record:
    """What the sandbox saw since it started or was last reset."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        # why: wamids must differ between runs of the sandbox too; 12 + 6 bytes are 24 characters of base64.
        self._wamid_start = os.urandom(12)
        self._next_place = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything seen; wamids go on where they were."""
        self._first_place = self._next_place
        self._at_ms = array("q")
        self._people = array("q")
        self._scoped_people: dict[int, str] = {}
        self._numbers = array("H")
        self._contents = array("H")
        self._fails_later: dict[int, int] = {}
        self._tokens = bytearray()
        self._token_ends = array("q")
        self._names: dict[str, int] = {}
        self._campaigns: defaultdict[str, CampaignSeen] = defaultdict(CampaignSeen)
        self.violations: list[Violation] = []
        self._refused: Counter[tuple[str, int]] = Counter()

    def __len__(self) -> int:
        """How many messages were accepted."""
        return len(self._at_ms)

    def accept(
        self,
        *,
        number_id: str,
        person: Person,
        content: str,
        token: str,
        at_ms: int,
        once_per_campaign: bool,
        fails_later: int | None = None,
    ) -> str:
        """Write down an accepted message and return its wamid.

        content: `template:NAME:LANGUAGE`, or the type of a free-form message.
        fails_later: the code a webhook will report for it, None when it arrives.
        """
        place = len(self._at_ms)
        self._at_ms.append(at_ms)
        if isinstance(person, int):
            self._people.append(person)
        else:
            self._people.append(-1)
            self._scoped_people[place] = person
        self._numbers.append(self._name(number_id))
        self._contents.append(self._name(content))
        self._tokens += token.encode()
        self._token_ends.append(len(self._tokens))
        if fails_later is not None:
            self._fails_later[place] = fails_later
        fails = fails_later is not None
        if self._is_duplicate(token, person, fails=fails, once_per_campaign=once_per_campaign):
            self.violate(ViolationKind.DUPLICATE, number_id, str(person), at_ms, None)
        self._next_place += 1
        return self._wamid(self._next_place - 1)

    def refuse(self, number_id: str, code: int) -> None:
        """Count a refusal."""
        self._refused[number_id, code] += 1

    def violate(self, kind: ViolationKind, number_id: str, to: str, at_ms: int, code: int | None) -> None:
        """Write down a broken rule."""
        self.violations.append(Violation(kind, number_id, to, at_ms, code))

    def summary(self) -> dict[str, object]:
        """The record in numbers, as `GET /_sandbox/record` shows it."""
        by_kind: Counter[str] = Counter(violation.kind.value for violation in self.violations)
        by_code: Counter[str] = Counter()
        for (_, code), times in self._refused.items():
            by_code[str(code)] += times
        campaigns = self._campaigns.values()
        return {
            "accepted": len(self),
            "duplicates": by_kind[ViolationKind.DUPLICATE.value],
            "resent_attempts": sum(campaign.resent_attempts for campaign in campaigns),
            "violations": dict(by_kind),
            "refused": dict(by_code),
            "by_number": self._by_number(),
            "first_at_ms": self._at_ms[0] if self._at_ms else None,
            "last_at_ms": self._at_ms[-1] if self._at_ms else None,
        }

    def detail(self) -> Iterator[bytes]:
        """Every accepted message as a line of JSON, oldest first; those accepted meanwhile are left out."""
        # why: references of this moment, so that a reset under way ends in a whole answer.
        at_ms, people, scoped_people = self._at_ms, self._people, self._scoped_people
        numbers, contents, names = self._numbers, self._contents, list(self._names)
        tokens, token_ends, fails_later = self._tokens, self._token_ends, self._fails_later
        first_place, start = self._first_place, 0
        for place in range(len(at_ms)):
            message = {
                "wamid": self._wamid(first_place + place),
                "phone_number_id": names[numbers[place]],
                "to": scoped_people[place] if people[place] < 0 else str(people[place]),
                "content": names[contents[place]],
                "token": tokens[start : token_ends[place]].decode(),
                "at_ms": at_ms[place],
                "fails_later": fails_later.get(place),
            }
            start = token_ends[place]
            yield orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)

    def by_campaign(self) -> dict[str, dict[str, int]]:
        """What each campaign's people got, by `INSTANCE.CAMPAIGN`."""
        return {name: seen.shown() for name, seen in self._campaigns.items()}

    def _is_duplicate(self, token: str, person: Person, *, fails: bool, once_per_campaign: bool) -> bool:
        instance_campaign_message, _, attempt = token.rpartition(".")
        instance_campaign, _, message = instance_campaign_message.rpartition(".")
        if instance_campaign.count(".") != 1:
            return False  # why: not one of ours, and a stranger's token promises nothing.
        return self._campaigns[instance_campaign].accept(
            message,
            int(attempt) if attempt.isdecimal() else 0,
            person,
            fails=fails,
            once_per_person=once_per_campaign,
        )

    def _by_number(self) -> dict[str, dict[str, object]]:
        accepted = Counter(self._numbers)
        refused: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (number_id, code), times in self._refused.items():
            refused[number_id][str(code)] = times
        violations: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for violation in self.violations:
            violations[violation.phone_number_id][violation.kind.value] += 1
        names = list(self._names)
        seen = {names[index]: times for index, times in accepted.items()}
        return {
            number_id: {
                "accepted": seen.get(number_id, 0),
                "refused": refused.get(number_id, {}),
                "violations": dict(violations.get(number_id, {})),
            }
            for number_id in sorted({*seen, *refused, *violations})
        }

    def _name(self, name: str) -> int:
        """A small number for a name that repeats."""
        return self._names.setdefault(name, len(self._names))

    def _wamid(self, place: int) -> str:
        return "wamid." + base64.b64encode(self._wamid_start + place.to_bytes(6, "big")).decode()
