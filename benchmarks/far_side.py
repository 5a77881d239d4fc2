"""Starts a sink in a process of its own, and asks it what it has seen."""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from dispatcher.leash import Leash

LOOK_EVERY_S = 0.05
_STARTS_WITHIN_S = 20.0


class FarSide:
    """A running sink."""

    def __init__(self, pid: int, said: dict[str, str]) -> None:
        self.pid = pid
        self.console_url = said["url"]
        self.url = said.get("tls_url", said["url"])
        """Where messages go: by TLS, if it was asked for."""
        self.certificate = said.get("certificate")
        """The file of the certificate to trust, if there is TLS."""
        address = urlsplit(self.console_url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def record(self, *, rate_per_s: float | None = None, burst: float = 0.0) -> dict[str, Any]:
        """See `Tally.report`."""
        query = {} if rate_per_s is None else {"rate": rate_per_s, "burst": burst}
        return self._ask("GET", f"record?{urlencode(query)}")

    def share(self, rate_per_s: float, seconds: float) -> float:
        """See `Tally.share_of`."""
        return float(
            self._ask("GET", f"share?{urlencode({'rate': rate_per_s, 'seconds': seconds})}")["share"]
        )

    def replies(self) -> dict[int, float]:
        """Number of each reply that has come → when, by the machine's monotonic clock."""
        return {int(number): at_s for number, at_s in self._ask("GET", "replies").items()}

    def reset(self) -> None:
        """Forget what was seen."""
        self._ask("POST", "reset")

    def put_templates(self, templates: Sequence[object]) -> None:
        """What the account shall list."""
        self._ask("PUT", "templates", templates)

    def wait_for(self, is_enough: Callable[[dict[str, Any]], bool], *, most_s: float) -> dict[str, Any]:
        """The first record that is enough. Raises TimeoutError."""
        ends_s = time.monotonic() + most_s
        while True:
            record = self.record()
            if is_enough(record):
                return record
            if time.monotonic() > ends_s:
                raise TimeoutError(f"after {most_s:.0f} s the sink has {record['accepted']} messages")
            time.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        """Ask no more."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        self._connection.request(method, f"/_sink/{path}", None if body is None else json.dumps(body))
        said: dict[str, Any] = json.load(self._connection.getresponse())
        return said


@contextmanager
def far_side(*, latency_ms: float = 0.0, tls: bool = False) -> Iterator[FarSide]:
    """A sink on a free port of the loopback."""
    command = [sys.executable, "-m", "benchmarks.sink", "--latency-ms", str(latency_ms)]
    with (
        tempfile.NamedTemporaryFile(prefix="dispatcher-sink-") as said,
        Leash([*command, "--tls"] if tls else command, output=said, cwd=Path(__file__).parents[1]) as leash,
    ):
        sink = FarSide(leash.pid, json.loads(line_of(leash, Path(said.name), "{")))
        with closing(sink):
            yield sink


def line_of(leash: Leash, said: Path, start: str) -> str:
    """The line with such a start, by which a process says that it is ready.

    Raises RuntimeError with all it said when it ends before, or does not say it in time.
    """
    ends_s = time.monotonic() + _STARTS_WITHIN_S
    while True:
        has_ended = leash.poll() is not None
        text = said.read_text(errors="replace")
        for line in text.splitlines(keepends=True):
            if line.startswith(start) and line.endswith("\n"):
                return line
        if has_ended or time.monotonic() > ends_s:
            raise RuntimeError(f"a process of the benchmark does not get ready:\n{text[-2_000:]}")
        time.sleep(LOOK_EVERY_S)
