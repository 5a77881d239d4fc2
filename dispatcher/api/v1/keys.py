"""Keys of this API, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import (
    LARGEST,
    Cursor,
    Limit,
    Model,
    Moment,
    Name,
    checked_deadline,
    example,
    number_of,
)
from dispatcher.api.v1.sender_models import RateText
from dispatcher.domain.access import DEFAULT_RATE, ApiKey, KeyId, Scope
from dispatcher.domain.audit import ActorKind, AuditEntry, AuditOutcome
from dispatcher.domain.rate import Rate

keys = APIRouter(prefix=f"{PREFIX}/keys", tags=["keys"], route_class=Guarded)
audit = APIRouter(prefix=f"{PREFIX}/audit", tags=["keys"], route_class=Guarded)

_KEY: dict[str, Any] = {
    "id": 3,
    "name": "shop",
    "prefix": "a1b2c3d4e5f6",
    "scopes": ["campaigns:write", "read"],
    "rate": "100/s",
    "created_at": "2026-09-30T07:00:00Z",
    "expires_at": "2027-09-30T07:00:00Z",
    "revoked_at": None,
    "last_used_at": "2026-09-30T08:00:00Z",
}


class KeyIn(Model):
    """A key that is to be made."""

    model_config = example(name="shop", scopes=["read", "campaigns:write"], rate="100/s")

    name: Name
    scopes: Annotated[
        list[Scope],
        Field(min_length=1, max_length=len(Scope), description="At most those of the key that makes it."),
    ]
    rate: Annotated[RateText, Field(description="Calls that it may make at most.")] = str(DEFAULT_RATE)
    expires_at: Moment | None = None


class KeyOut(Model):
    """A key; never what opens it."""

    model_config = example(**_KEY)

    id: int
    name: str
    prefix: Annotated[str, Field(description="With which the key begins, after `dk_`.")]
    scopes: list[Scope]
    rate: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="To the minute.")]

    @classmethod
    def of(cls, key: ApiKey) -> KeyOut:
        """As the house has it."""
        return cls(**_shown(key))


class KeyCreated(KeyOut):
    """A new key, and the one time that it is written out."""

    model_config = example(**_KEY, key="dk_ and 56 more characters")

    key: Annotated[str, Field(description="Keep it now: it is not kept here, and never shown again.")]


class KeyList(Model):
    """All keys, the oldest first."""

    model_config = example(items=[_KEY])

    items: list[KeyOut]


@keys.get("", **needs(Scope.KEYS_ADMIN))
async def list_keys(house: House) -> KeyList:
    """All keys, revoked and expired ones too."""
    return KeyList(items=[KeyOut.of(key) for key in await house.access.all()])


@keys.post("", status_code=201, **needs(Scope.KEYS_ADMIN))
async def create_key(body: KeyIn, house: House, caller: Caller, response: Response) -> KeyCreated:
    """Make a key that opens no more than your own.

    Without Idempotency-Key, since the answer is kept nowhere: if it is lost, revoke the key and make another one.
    """
    expires_at = checked_deadline(body.expires_at)
    rate = Rate.parse(body.rate)
    key, written = await house.access.create(
        body.name, set(body.scopes), rate=rate, expires_at=expires_at, giver=caller
    )
    response.headers["Cache-Control"] = "no-store"
    return KeyCreated(**_shown(key), key=written)


@keys.delete("/{key_id}", **needs(Scope.KEYS_ADMIN))
async def revoke_key(
    key_id: Annotated[int, Path(ge=1, le=LARGEST, description="The key's number.", examples=[3])],
    house: House,
    caller: Caller,
) -> KeyOut:
    """Let another key open nothing any more, from the next call on. A second time changes nothing."""
    return KeyOut.of(await house.access.revoke(KeyId(key_id), by=caller))


class EntryOut(Model):
    """Something that was ordered, or a call that was refused."""

    id: int
    at: datetime
    actor_kind: ActorKind
    actor: Annotated[str, Field(description="The key's prefix and name, or the user of a command.")]
    outcome: AuditOutcome
    action: Annotated[str, Field(description="What was done; of a refused call its method and path.")]
    subject: Annotated[str, Field(description="To what; of a refused call why.")]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    times: Annotated[int, Field(description="How many calls share the entry.")]
    last_at: datetime

    @classmethod
    def of(cls, entry: AuditEntry) -> EntryOut:
        """As the house has it."""
        return cls(
            id=entry.id,
            at=entry.at,
            actor_kind=entry.actor.kind,
            actor=entry.actor.name,
            outcome=entry.outcome,
            action=entry.action,
            subject=entry.subject,
            before=dict(entry.before) if entry.before is not None else None,
            after=dict(entry.after) if entry.after is not None else None,
            times=entry.times,
            last_at=entry.last_at,
        )


class EntryPage(Model):
    """The audit log, the newest first."""

    model_config = example(
        items=[
            {
                "id": 99,
                "at": "2026-09-30T08:10:00Z",
                "actor_kind": "key",
                "actor": "a1b2c3d4e5f6 shop",
                "outcome": "done",
                "action": "campaign_moved",
                "subject": "campaign 12",
                "before": {"state": "draft"},
                "after": {"state": "running"},
                "times": 1,
                "last_at": "2026-09-30T08:10:00Z",
            }
        ],
        next="99",
    )

    items: list[EntryOut]
    next: str | None


@audit.get("", **needs(Scope.KEYS_ADMIN))
async def list_audit(house: House, cursor: Cursor = None, limit: Limit = 100) -> EntryPage:
    """Who ordered what, before and after; and calls that were refused."""
    entries = await house.access.audit(number_of(cursor), limit + 1)
    items = [EntryOut.of(entry) for entry in entries[:limit]]
    return EntryPage(items=items, next=str(items[-1].id) if len(entries) > limit else None)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "rate": str(key.rate),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
