"""The messages that all contestants post: rendered once by the dispatcher's own templates, handed over in a file.

A line is a phone number's id, a blank, and a body. The contestants read it without anything of the house, so that what they
cost is their own.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.stage import MAPPING, TEMPLATE, number_id, people_from
from dispatcher.channel.payloads import compile_template
from dispatcher.domain.content import parse_mapping
from dispatcher.domain.ids import CampaignId, MessageId, Token
from dispatcher.domain.template import parse_template


def write_posts(path: Path, messages: int, *, senders: int) -> Path:
    """Messages to distinct people, the senders taking turns."""
    mapping = parse_mapping(MAPPING)
    assert not isinstance(mapping, list)
    compiled = compile_template(parse_template(TEMPLATE), mapping)
    numbers = [number_id(n).encode() for n in range(senders)]
    with path.open("wb") as file:
        for n, (phone, first_name, discount) in enumerate(people_from(0, messages)):
            token = str(Token("bench", CampaignId(1), MessageId(n + 1), 1))
            body = compiled.render(phone, [first_name, discount], token)
            assert isinstance(body, bytes)
            file.write(numbers[n % senders] + b" " + body + b"\n")
    return path
