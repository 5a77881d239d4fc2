"""The sandbox as a process of its own, and its console: the other end of every two-ended test."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from dispatcher.domain.ids import CampaignId, MessageId, Token
from dispatcher.leash import Leash

TOKEN = "sandbox-token"
_numbers = itertools.count(1)

OFFER = {
    "name": "autumn",
    "language": "en_US",
    "category": "MARKETING",
    "components": [{"type": "BODY", "text": "Dear {{1}}, take {{2}} off everything until Sunday."}],
}


@contextmanager
def sandbox_process(folder: Path) -> Iterator[str]:
    """Start a sandbox with an empty world; gives its address."""
    said = folder / "sandbox.log"
    with (
        said.open("wb") as output,
        Leash([sys.executable, "-m", "dispatcher.sandbox"], env=dict(os.environ), output=output) as process,
    ):
        ends = time.monotonic() + 30
        while not (line := said.read_text()).endswith("\n"):
            assert process.poll() is None, f"the sandbox ended: {line}"
            assert time.monotonic() < ends, f"the sandbox did not start: {line}"
            time.sleep(0.02)
        yield str(json.loads(line.splitlines()[0])["url"])


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as the receiver saw it."""

    person: str
    """E.164."""
    number: str
    wamid: str
    token: Token


class Meta:
    """The console of a sandbox, with a business account of the test's own."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        n = next(_numbers)
        self.waba_id = f"1{n:014d}"
        self._portfolio_id = f"3{n:014d}"
        self._templates = 0

    async def begin(self) -> None:
        """Forget what earlier tests did; honest and quick from now on."""
        await self._call("POST", "reset", None)
        await self.behaves(latency_ms=2, errors={}, faults={})
        await self.opted_out([])
        await self._call("PUT", "portfolios", [{"id": self._portfolio_id, "tier_limit": "unlimited"}])
        await self._call("PUT", "wabas", [{"id": self.waba_id, "portfolio_id": self._portfolio_id}])
        await self.template_is("APPROVED")

    async def template_is(self, status: str) -> None:
        """Bring the account's template into a status."""
        template = {**OFFER, "id": f"6{self.waba_id}", "waba_id": self.waba_id, "status": status}
        await self._call("PUT", "templates", [template])

    async def a_number(self, *, tier: int | None, rate_per_s: int, status: str) -> str:
        """Add a number to the account. Returns its id."""
        n = next(_numbers)
        number_id = f"2{n:014d}"
        await self._call(
            "PUT",
            "numbers",
            [
                {
                    "id": number_id,
                    "waba_id": self.waba_id,
                    "display_phone_number": f"+4930{n:08d}",
                    "token": TOKEN,
                    "tier_limit": "unlimited" if tier is None else tier,
                    "rate_per_s": rate_per_s,
                    "status": status,
                }
            ],
        )
        return number_id

    async def number_is(self, number_id: str, status: str) -> None:
        """Change a number's status, as Meta would."""
        await self._call("PATCH", f"numbers/{number_id}", {"status": status})

    async def opted_out(self, people: Sequence[str]) -> None:
        """These people want no marketing."""
        await self._call("PATCH", "people", {"opted_out": list(people)})

    async def behaves(
        self,
        *,
        latency_ms: float | None = None,
        errors: dict[int, float] | None = None,
        faults: dict[str, float] | None = None,
    ) -> None:
        """Change how posts are answered; what is not said stays."""
        said: dict[str, Any] = {}
        if latency_ms is not None:
            said["latency"] = {"shape": "fixed", "ms": latency_ms}
        if errors is not None:
            said["errors"] = errors
        if faults is not None:
            said["faults"] = faults
        await self._call("PATCH", "behaviour", said)

    async def record(self) -> dict[str, Any]:
        """The record in numbers."""
        summary: dict[str, Any] = (await self._client.get("/_sandbox/record")).json()
        return summary

    async def accepted(self) -> int:
        """How many messages arrived."""
        return int((await self.record())["accepted"])

    async def violations(self) -> dict[str, int]:
        """Broken rules by kind; empty when all went well."""
        return dict((await self.record())["violations"])

    async def arrived(self, campaign_id: CampaignId | None = None) -> list[Arrived]:
        """Every accepted message, oldest first; of one campaign only, if named."""
        lines = (await self._client.get("/_sandbox/record", params={"detail": 1})).text.splitlines()
        found = []
        for line in map(json.loads, lines):
            token = Token.parse(line["token"])
            assert token is not None
            if campaign_id in (None, token.campaign_id):
                found.append(Arrived(f"+{line['to']}", line["phone_number_id"], line["wamid"], token))
        return found

    async def arrived_ids(self, campaign_id: CampaignId) -> list[MessageId]:
        """The messages of a campaign as they arrived."""
        return [each.token.message_id for each in await self.arrived(campaign_id)]

    async def _call(self, method: str, path: str, said: object) -> None:
        answer = await self._client.request(method, f"/_sandbox/{path}", json=said)
        assert answer.status_code == 200, answer.text


STOP_WITHIN = timedelta(seconds=10)
"""How long a worker that is asked to stop may take."""
