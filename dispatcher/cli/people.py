"""How people are named on the command line: by number, or by the user id that stands in for one."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.domain.errors import BadValue
from dispatcher.domain.identity import is_user_id
from dispatcher.domain.ids import PersonKey
from dispatcher.domain.phone import BadPhone, parse_phone
from dispatcher.settings import Settings


def key_of(named: str) -> PersonKey:
    """The key of one person. Raises BadValue."""
    [(key, _)] = people_of([named])
    return key


def people_of(named: Sequence[str]) -> list[tuple[PersonKey, str]]:
    """Key and form to be shown of each. Raises BadValue that names every one that is neither number nor user id."""
    region = Settings.load().default_region
    people, problems = [], []
    for each in named:
        if is_user_id(each):
            people.append((PersonKey(each), each))
            continue
        phone = parse_phone(each, region)
        if isinstance(phone, BadPhone):
            problems.append(f"{each!r}: {phone.text}")
        else:
            people.append((PersonKey(phone.key), phone.e164))
    if problems:
        raise BadValue("these are no phone numbers; nothing was changed", problems=problems)
    return people
