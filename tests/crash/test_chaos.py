"""Everything breaks, again and again, for a minute and a half; the sandbox judges. Longer: `python -m benchmarks chaos`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_nobody_is_messaged_twice_and_nobody_is_lost_whatever_breaks() -> None:
    command = ["chaos", "--minutes", "1.5", "--people", "8000", "--seed", "20260901", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["duplicates"], result["lost"], result["unsure_left"]) == (0, 0, 0), result
    assert result["violations"] == {}
    assert (result["sums_wrong"], result["wrong"]) == (0, [])
    assert result["sums_checked"] >= 100
    assert min(result["kills"], result["restarts"], result["flushes"]) > 0
    assert result["accepted"] + result["given_up"] == result["people"]
    assert done.returncode == 0, result
