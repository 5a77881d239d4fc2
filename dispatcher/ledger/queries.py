"""SQL from its files: each query has a name and a sentence.

A file holds any number of queries, each opened by a line `-- name: what_it_does`. Comments go along to the server,
where they help whoever reads its log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(file: str) -> Mapping[str, str]:
    """All queries of `sql/<file>.sql` by name."""
    text = files("dispatcher.ledger").joinpath("sql", f"{file}.sql").read_text()
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], (part.strip().rstrip(";") for part in parts[1::2]), strict=True))
