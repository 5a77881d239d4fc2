"""The sandbox as a process of its own, and its console: the other end of every two-ended test."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from dispatcher.domain.ids import CampaignId, MessageId, Token
from dispatcher.leash import Leash
from support.waiting import wait_until

TOKEN = "sandbox-token"
APP_SECRET = "the app's secret"
VERIFY_TOKEN = "the token for the handshake"
WEBHOOKS = {
    "sent": {"shape": "uniform", "ms": 0, "to_ms": 300},
    "delivered": {"shape": "uniform", "ms": 0, "to_ms": 300},
    "failures": {},
    "late_share": 0.2,
    "late_by": {"ms": 400},
    "duplicate_share": 0.2,
    "duplicate_after": {"ms": 200},
    "retry_after_s": 0.1,
    "retry_at_most_s": 1.0,
}
"""How Meta reports: late, in no order, some things twice, and all of them in the end."""
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
    at_ms: int
    """By the sandbox's clock."""


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

    async def has_template(self, template: Mapping[str, Any]) -> None:
        """The account has this template as well, approved."""
        self._templates += 1
        known = {"id": f"7{self.waba_id}{self._templates}", "waba_id": self.waba_id, "status": "APPROVED"}
        await self._call("PUT", "templates", [{**template, **known}])

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

    async def window_opens(self, number_id: str, person: str) -> None:
        """A person has written to a number; nobody is told, and nothing is counted."""
        await self._call("POST", "windows", {"phone_number_id": number_id, "person": person})

    async def write(self, number_id: str, *people: str) -> None:
        """These people, by number or user id, write to a number now: Meta counts that, and reports it."""
        said = [{"phone_number_id": number_id, "person": person, "text": "Hello?"} for person in people]
        await self._call("POST", "inbound", said)

    async def opted_out(self, people: Sequence[str]) -> None:
        """These people want no marketing."""
        await self._call("PATCH", "people", {"opted_out": list(people)})

    async def behaves(
        self,
        *,
        latency_ms: float | None = None,
        errors: dict[int, float] | None = None,
        faults: dict[str, float] | None = None,
        webhooks: Mapping[str, Any] | None = None,
    ) -> None:
        """Change how posts are answered and reported; what is not said stays."""
        said: dict[str, Any] = {}
        if latency_ms is not None:
            said["latency"] = {"shape": "fixed", "ms": latency_ms}
        if errors is not None:
            said["errors"] = errors
        if faults is not None:
            said["faults"] = faults
        if webhooks is not None:
            said["webhooks"] = webhooks
        await self._call("PATCH", "behaviour", said)

    async def writes(self, number_id: str, person: str, text: str | None = None, **said: Any) -> str:
        """A person writes to a number: a text, or `button`, `media`, `reaction` … Returns the wamid."""
        content = {"text": text} if text is not None else {}
        told = {"phone_number_id": number_id, "person": person, **content, **said}
        [message] = (await self._call("POST", "inbound", told))["messages"]
        return str(message["id"])

    async def prefers(self, number_id: str, person: str, value: str) -> None:
        """A person tells Meta: stop, resume or signup."""
        told = {"phone_number_id": number_id, "person": person, "value": value}
        await self._call("POST", "preferences", told)

    async def moves(self, number_id: str, person: str, to: str) -> None:
        """A person has another number."""
        await self._call("POST", "moves", {"phone_number_id": number_id, "person": person, "to": to})

    async def answered_at_ms(self, wamid: str, within: float = 30) -> int:
        """When our 200 for this message had come back to Meta, by its clock; waits for it."""
        found: list[int] = []

        async def is_answered() -> bool:
            sayings = (await self._client.get("/_sandbox/said")).json()["said"]
            found[:] = [
                one["answered_at_ms"] for one in sayings if one["id"] == wamid if one["answered_at_ms"]
            ]
            return bool(found)

        await wait_until(is_answered, description=f"{wamid} answered", timeout=within)
        return found[0]

    async def reports_in_vain(self) -> None:
        """Report whatever happens from now on, again and again: nobody is there, until `reports_to` says who is."""
        await self.behaves(webhooks=WEBHOOKS)
        await self._call("PUT", "callback", {"url": "http://127.0.0.1:1/"})

    async def reports_to(self, url: str) -> None:
        """Deliver webhooks there, once the handshake was answered as it should be."""
        await self.behaves(webhooks=WEBHOOKS)
        callback = {"url": url, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN}
        await self._call("PUT", "callback", callback)
        verification = await self._call("POST", "callback/verify", None)
        assert verification["verified"], verification

    async def reports_nowhere(self) -> None:
        """Deliver no webhooks any more."""
        await self._call("DELETE", "callback", None)

    async def reported(self, within_s: int = 30) -> dict[str, Any]:
        """What became of webhooks, once all are delivered."""
        answer = await self._client.get(
            "/_sandbox/webhooks", params={"until_idle": within_s}, timeout=within_s + 5
        )
        webhooks: dict[str, Any] = answer.json()
        assert webhooks["idle"], f"after {within_s} s still on their way: {webhooks}"
        return webhooks

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
                found.append(
                    Arrived(f"+{line['to']}", line["phone_number_id"], line["wamid"], token, line["at_ms"])
                )
        return found

    async def contents(self) -> Counter[str]:
        """What arrived, by the type of a free-form message or the name of a template."""
        lines = (await self._client.get("/_sandbox/record", params={"detail": 1})).text.splitlines()
        return Counter(json.loads(line)["content"] for line in lines)

    async def tells(self, waba_id: str, field: str, value: Mapping[str, Any]) -> None:
        """Meta tells something of an account."""
        await self._call("POST", "events", {"waba_id": waba_id, "field": field, "value": value})

    async def arrived_ids(self, campaign_id: CampaignId) -> list[MessageId]:
        """The messages of a campaign as they arrived."""
        return [each.token.message_id for each in await self.arrived(campaign_id)]

    async def _call(self, method: str, path: str, said: object) -> Any:
        answer = await self._client.request(method, f"/_sandbox/{path}", json=said)
        assert answer.status_code == 200, answer.text
        return answer.json()


STOP_WITHIN = timedelta(seconds=10)
"""How long a worker that is asked to stop may take."""
