"""SQL and Python say the same: constraints repeat the vocabularies, every query is used and none is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from dispatcher.domain.access import Scope
from dispatcher.domain.audit import ActorKind, AuditOutcome, Order
from dispatcher.domain.campaign import CampaignKind, CampaignState, UnsurePolicy
from dispatcher.domain.event import EventFormat, EventKind, Stopped
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.message import MessageState
from dispatcher.domain.opting import SuppressionChange
from dispatcher.domain.reach import LimitScope
from dispatcher.domain.sender import Lifecycle, Quality, SenderStatus
from dispatcher.ledger.database import migrations
from dispatcher.ledger.queries import load

LEDGER = Path(__file__).resolve().parents[2] / "dispatcher/ledger"
VOCABULARIES: Mapping[str, type[StrEnum]] = {
    "senders_status": SenderStatus,
    "senders_lifecycle": Lifecycle,
    "senders_quality": Quality,
    "senders_limit_scope": LimitScope,
    "holds_scope": HeldScope,
    "holds_reason": HoldReason,
    "campaigns_state": CampaignState,
    "campaigns_kind": CampaignKind,
    "campaigns_unsure_policy": UnsurePolicy,
    "lanes_hold_reason": HoldReason,
    "messages_state": MessageState,
    "suppression_history_change": SuppressionChange,
    "replies_state": MessageState,
    "replies_unsure_policy": UnsurePolicy,
    "subscriptions_format": EventFormat,
    "subscriptions_stopped": Stopped,
    "outbox_kind": EventKind,
    "audit_log_actor_kind": ActorKind,
    "audit_log_outcome": AuditOutcome,
    "api_keys_scopes": Scope,
}
_CONSTRAINT = re.compile(r"CONSTRAINT (\w+) CHECK \(\w+ (?:IN \(|<@ ARRAY\[)([^)\]]*)[)\]]\)")
QUERY_FILES = sorted(path.stem for path in (LEDGER / "sql").glob("*.sql"))


def _constraints() -> Mapping[str, set[str]]:
    """Constraint → its values, as the last migration that names it has them."""
    found: dict[str, set[str]] = {}
    for migration in migrations():
        for name, values in _CONSTRAINT.findall(migration.sql):
            found[name] = set(re.findall(r"'([^']*)'", values))
    return found


def test_every_constrained_column_belongs_to_a_vocabulary() -> None:
    assert _constraints().keys() == VOCABULARIES.keys()


@pytest.mark.parametrize("constraint", VOCABULARIES)
def test_a_constraint_repeats_its_vocabulary(constraint: str) -> None:
    assert _constraints()[constraint] == {member.value for member in VOCABULARIES[constraint]}


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("file", QUERY_FILES)
def test_every_query_is_used_and_none_is_missing(file: str) -> None:
    """Each file of queries has one module of the same name that runs them."""
    module = (LEDGER / f"{file}.py").read_text(encoding="utf-8")
    assert set(re.findall(r'SQL\["(\w+)"\]', module)) == load(file).keys()


@pytest.mark.parametrize("file", QUERY_FILES)
def test_a_file_of_queries_opens_with_its_job(file: str) -> None:
    assert (LEDGER / "sql" / f"{file}.sql").read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.parametrize("file", QUERY_FILES)
def test_a_long_query_is_explained(file: str) -> None:
    """What fits into four lines explains itself by its name."""
    silent = [name for name, sql in load(file).items() if not sql.startswith("--") and sql.count("\n") > 5]
    assert silent == []


def test_every_order_of_the_audit_log_is_written_by_some_book() -> None:
    books = "\n".join(path.read_text(encoding="utf-8") for path in LEDGER.glob("*.py"))
    assert [order.name for order in Order if f"Order.{order.name}" not in books] == []
