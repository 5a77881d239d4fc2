"""Words for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

WORLD = Path(__file__).parents[2] / "config" / "sandbox.toml"
TOKEN = "sandbox-token"
ACCOUNT = "100000000000001"
ANN, BOB, EVE = "+4915123456789", "+447700900102", "+61491570156"


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output; nothing else may be there."""
        assert self.out.count("\n") == 1, self.out
        return orjson.loads(self.out)

    @property
    def error(self) -> Any:
        """The error in it."""
        return self.json["error"]


Dispatch = Callable[..., Said]
Write = Callable[..., Path]


def a_sender(name: str, number: int = 3, **options: object) -> list[object]:
    """A command line that adds one of the sandbox's numbers: `a_sender("shop", tier="unlimited")`."""
    given = {
        "phone-number-id": f"20000000000000{number}",
        "phone": f"+1202555010{number - 1}",
        "waba-id": ACCOUNT,
        "token-env": "SHOP_TOKEN",
        "tier": "unlimited",
        "rate": "1000/s",
    } | {key.replace("_", "-"): value for key, value in options.items()}
    flags = [part for key, value in given.items() for part in (f"--{key}", value)]
    return ["senders", "add", name, *flags]


PEOPLE = f"phone,first_name\n{ANN},Ann\n{BOB},Bob\ncall me,Cid\n{EVE},Eve\n{ANN},Ann again\n"
"""Three people and two rows that are none."""

OFFER = [
    "--template", "autumn_offer", "--language", "en_US", "--from", "shop",
    "--map", "header.1=first_name", "--map", "body.1=first_name", "--map", "body.2='20%'", "--map", "button.1.url='x'",
]  # fmt: skip
"""A template of the sandbox's account with everything it needs from `PEOPLE`."""
