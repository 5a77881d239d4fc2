"""The parts of docs/ that repeat the code, made from it: tables and state diagrams.

`make docs` (``python -m tests.house.generated``) writes them between their markers, ``test_docs.py`` proves that they
are up to date. All prose around them is left to people.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import TypeVar

from fastapi.routing import APIRoute

from dispatcher.api.gateway.errors import ERRORS
from dispatcher.api.v1.api import ROUTERS
from dispatcher.cli.output import ExitCode
from dispatcher.domain import access, archive, audit, campaign, message
from dispatcher.domain.audience import RejectReason
from dispatcher.domain.event import EventKind, Stopped
from dispatcher.domain.gateway import Objection
from dispatcher.domain.hold import LIFTED_BY, HoldReason
from dispatcher.domain.queued_reply import ReplyRefusal
from dispatcher.domain.sender import (
    BLOCKED_STATUSES,
    SLOWED_STATUSES,
    WARNED_STATUSES,
    Lifecycle,
    SenderStatus,
)
from dispatcher.domain.verdict_table import LEGACY_CODES, TABLE, Lift, Scope, VerdictKind
from dispatcher.sandbox import Fault, Latency, Sandbox, SandboxWorld, ViolationKind, WebhookBehaviour
from dispatcher.settings import Settings
from dispatcher.telemetry import Events

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
State = TypeVar("State", bound=StrEnum)
_SECTION = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)


def refreshed(text: str) -> str:
    """A page with its generated sections as they should be. Raises KeyError for a section that nobody makes."""
    return _SECTION.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]]()}\n\n{found[3]}", text)


def sections_in(text: str) -> Sequence[str]:
    """The names of a page's generated sections."""
    return [found[2] for found in _SECTION.finditer(text)]


def docs_of(cls: type) -> Mapping[str, str]:
    """Names assigned in a class body and the docstrings below them, '' where there is none."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    last = None
    for step in node.body:
        match step:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                last = name
                found[name] = ""
            case ast.Expr(value=ast.Constant(value=str(text))) if last is not None:
                found[last] = " ".join(text.split())
                last = None
            case _:
                last = None
    return found


def members(enum: type[Enum]) -> Iterable[tuple[Enum, str]]:
    """Members of a vocabulary with their docstrings, in order."""
    docs = docs_of(enum)
    return [(member, docs.get(member.name, "")) for member in enum]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _code(value: object) -> str:
    return f"`{value}`"


def _diagram(first: State, moves: Mapping[State, frozenset[State]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, following in moves.items():
        lines += [f"    {state} --> {each}" for each in sorted(following)]
        if not following:
            lines.append(f"    {state} --> [*]")
    return "\n".join([*lines, "```"])


def _wait(wait: timedelta | None) -> str:
    if wait is None:
        return ""
    seconds = round(wait.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _codes(codes: int | range) -> str:
    return str(codes) if isinstance(codes, int) else f"{codes.start}–{codes.stop - 1}"


def _verdicts() -> str:
    sources = list(dict.fromkeys(row[-1] for row in TABLE))
    parts = []
    for kind, meaning in members(VerdictKind):
        rows = [row for row in TABLE if row[1] is kind]
        parts += [f"### {kind.value}", meaning]
        parts.append(
            table(
                ("code", "means", "reaches", "rests", "ended by", "source"),
                (
                    (_codes(codes), reason, scope, _wait(wait), lift, f"({sources.index(source) + 1})")
                    for codes, _, scope, wait, lift, reason, source in rows
                ),
            )
        )
    listed = (f"{number}. {each.address}, read {each.read}" for number, each in enumerate(sources, 1))
    return "\n\n".join([*parts, "### Sources", "\n".join(listed)])


def _legacy() -> str:
    return table(("old code", "read as"), LEGACY_CODES.items())


def _may_send(status: SenderStatus) -> str:
    if status in BLOCKED_STATUSES:
        return "**no**"
    if status in SLOWED_STATUSES:
        return "yes, slowed, with a warning"
    return "yes, with a warning" if status in WARNED_STATUSES else "yes"


def _metrics() -> str:
    metrics = sorted(Events().registry.collect(), key=lambda metric: metric.name)
    return table(
        ("metric", "counts", "labels"),
        (
            (
                _code(f"{m.name}_total" if m.type == "counter" else m.name),
                m.documentation,
                ", ".join(_labels(m.name)),
            )
            for m in metrics
        ),
    )


def _labels(name: str) -> Sequence[str]:
    collectors = Events().registry._names_to_collectors
    return list(getattr(collectors[name], "_labelnames", ()))


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    match default:
        case None:
            return "none"
        case frozenset():
            return _code(sorted(default))
        case _:
            return _code(default)


def _settings() -> str:
    docs = docs_of(Settings)
    return table(
        ("setting", "environment variable", "default", "meaning"),
        ((_code(n), _code(f"DISPATCHER_{n.upper()}"), _default(n), docs[n]) for n in Settings.model_fields),
    )


def _console() -> str:
    return table(
        ("request", "does"),
        (
            (
                _code(f"{min((route.methods or set()) - {'HEAD'})} {route.path}"),
                " ".join((route.endpoint.__doc__ or "").split()),
            )
            for route in Sandbox(SandboxWorld()).console
        ),
    )


def _webhooks() -> str:
    docs = docs_of(WebhookBehaviour)
    return table(
        ("key", "default", "meaning"),
        (
            (_code(each.name), _webhook_default(each.name), docs[each.name])
            for each in fields(WebhookBehaviour)
        ),
    )


def _webhook_default(name: str) -> str:
    match getattr(WebhookBehaviour(), name):
        case Latency():
            return "at once"
        case dict():
            return "none"
        case bool(value):
            return _code(str(value).lower())
        case value:
            return _code(value)


def _vocabulary(enum: type[Enum], header: Sequence[str] = ("value", "meaning")) -> Callable[[], str]:
    return lambda: table(header, ((_code(member.value), text) for member, text in members(enum)))


def _operations() -> str:
    """Every operation of the API, as the OpenAPI document has it."""
    rows = []
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            [scope] = (route.openapi_extra or {})["security"][0]["key"]
            summary = inspect.cleandoc(route.description).splitlines()[0]
            rows.append((_code(f"{min(route.methods)} {route.path_format}"), _code(scope), summary))
    return table(("operation", "scope", "does"), rows)


def _gateway_errors() -> str:
    told = {**dict(members(access.Denial)), **dict(members(Objection))}
    rows = sorted((error.code, error.status, reason, told[reason]) for reason, error in ERRORS.items())
    return table(
        ("code", "HTTP", "reason", "meaning"),
        ((_code(code), str(status), _code(reason), text) for code, status, reason, text in rows),
    )


SECTIONS: Mapping[str, Callable[[], str]] = {
    "message-states": lambda: _diagram(message.MessageState.PENDING, message.MOVES),
    "message-state-meanings": _vocabulary(message.MessageState, ("state", "meaning")),
    "campaign-states": lambda: _diagram(campaign.CampaignState.DRAFT, campaign.MOVES),
    "campaign-state-meanings": _vocabulary(campaign.CampaignState, ("state", "meaning")),
    "kept-because": _vocabulary(archive.KeptBecause, ("reason", "meaning")),
    "unsure-policies": _vocabulary(campaign.UnsurePolicy, ("policy", "meaning")),
    "reply-refusals": _vocabulary(ReplyRefusal, ("reason", "meaning")),
    "holds": lambda: table(
        ("reason", "means", "ended by"),
        (
            (_code(reason.value), text, LIFTED_BY[HoldReason(reason.value)])
            for reason, text in members(HoldReason)
        ),
    ),
    "verdicts": _verdicts,
    "verdict-scopes": _vocabulary(Scope, ("reaches", "meaning")),
    "verdict-lifts": _vocabulary(Lift, ("ended by", "meaning")),
    "legacy-codes": _legacy,
    "sender-statuses": lambda: table(
        ("status", "means", "may send?"),
        ((_code(s.value), text, _may_send(SenderStatus(s.value))) for s, text in members(SenderStatus)),
    ),
    "lifecycle": lambda: table(
        ("lifecycle", "means", "may send?"),
        (
            (_code(stage.value), text, "yes" if stage is Lifecycle.ONLINE else "**no**")
            for stage, text in members(Lifecycle)
        ),
    ),
    "settings": _settings,
    "metrics": _metrics,
    "api-operations": _operations,
    "gateway-errors": _gateway_errors,
    "scopes": _vocabulary(access.Scope, ("scope", "opens")),
    "denials": _vocabulary(access.Denial, ("cause", "meaning")),
    "audit-orders": _vocabulary(audit.Order, ("entry", "meaning")),
    "event-kinds": _vocabulary(EventKind, ("kind", "means")),
    "subscription-stops": _vocabulary(Stopped, ("why", "means")),
    "exit-codes": _vocabulary(ExitCode, ("exit code", "meaning")),
    "reject-reasons": _vocabulary(RejectReason, ("reason", "meaning")),
    "sandbox-violations": _vocabulary(ViolationKind, ("violation", "meaning")),
    "sandbox-faults": _vocabulary(Fault, ("fault", "what happens to the post")),
    "sandbox-console": _console,
    "sandbox-webhooks": _webhooks,
}


def main() -> int:
    """Write all pages anew; name those that changed."""
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = refreshed(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)} was brought up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
