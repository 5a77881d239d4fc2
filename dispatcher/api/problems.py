"""Every error of the API as problem details, and which error of the house has which status.

A body that does not fit its schema is 400; one that fits and asks for what cannot be is 422. Texts come from the house's
errors, which say what happened, what was done and what one can do, and never hold a secret.
Source: RFC 9457, "Problem Details for HTTP APIs", read 2026-09.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from dispatcher.domain.access import Denial, Denied
from dispatcher.domain.errors import (
    Archived,
    BadValue,
    Busy,
    ChannelRefused,
    ChannelUnavailable,
    Conflict,
    DispatcherError,
    LedgerUnavailable,
    LimitsUnavailable,
    NotFound,
    Outdated,
)

MEDIA_TYPE = "application/problem+json"
PROBLEM_REF = "#/components/schemas/Problem"
"""Where the OpenAPI document has it; `v1/api.py` puts it there."""
AGAIN_S = 5
"""When to come again where something that is needed is away, or somebody else is at it."""


class Problem(BaseModel):
    """An error: what happened, what was done about it, what one can do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:dispatcher:not_found",
                    "title": "There is no such thing",
                    "status": 404,
                    "detail": "there is no campaign 12",
                    "hint": None,
                    "problems": [],
                }
            ]
        },
    )

    type: Annotated[str, Field(description="A name for programs; the part after the last colon stays.")]
    title: Annotated[str, Field(description="The same for people.")]
    status: int
    detail: Annotated[str, Field(description="What happened, and what was done.")]
    hint: Annotated[str | None, Field(description="What one can do.")] = None
    problems: Annotated[list[str], Field(description="Each fault that was found, one line each.")] = []
    field: Annotated[
        str | None, Field(description="Of a reply that Meta would refuse: the part of it that is at fault.")
    ] = None
    window_closed_at: Annotated[
        datetime | None, Field(description="Of a reply that comes too late: when its window closed.")
    ] = None


_SELDOM = ("field", "window_closed_at")
"""Members that are there where they say something."""

_ERRORS: Sequence[tuple[type[DispatcherError], int, str, str]] = (
    (BadValue, 422, "bad_value", "What was asked cannot be"),
    (Archived, 410, "archived", "It was dropped as old"),
    (NotFound, 404, "not_found", "There is no such thing"),
    (Outdated, 412, "outdated", "It was changed meanwhile"),
    (Busy, 409, "busy", "Somebody else is at it"),
    (Conflict, 409, "conflict", "Its state does not allow this"),
    (LedgerUnavailable, 503, "ledger_unavailable", "PostgreSQL is away"),
    (LimitsUnavailable, 503, "limits_unavailable", "Redis is away"),
    (ChannelUnavailable, 503, "channel_unavailable", "Meta is away"),
    (ChannelRefused, 409, "channel_refused", "Meta has refused this"),
)
"""The first that fits."""

_DENIED: Mapping[Denial, tuple[int, str]] = {
    Denial.NO_KEY: (401, "the header Authorization must be: Bearer, and a key"),
    Denial.UNKNOWN_KEY: (401, "we do not know this key"),
    Denial.REVOKED_KEY: (401, "the key was revoked"),
    Denial.EXPIRED_KEY: (401, "the key has expired"),
    Denial.MISSING_SCOPE: (403, "the key does not open this"),
    Denial.TOO_MANY_CALLS: (429, "the key is used faster than its rate allows"),
}


class Refusal(Exception):
    """A problem that ends a call; made by the API itself."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        window_closed_at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=_type(kind),
            title=title,
            status=status,
            detail=detail,
            hint=hint,
            field=field,
            window_closed_at=window_closed_at,
        )
        self.headers = headers


def denied(refusal: Denied) -> Refusal:
    """Why a call was not let in."""
    status, detail = _DENIED[refusal.why]
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="dispatcher"'
    if refusal.retry_after is not None:
        headers["Retry-After"] = retry_after(refusal.retry_after)
    return Refusal(
        status, refusal.why, "The call was not let in", f"{detail}; nothing was done", headers=headers
    )


def retry_after(wait: timedelta) -> str:
    """Whole seconds, rounded up."""
    return str(max(1, math.ceil(wait.total_seconds())))


def handle_all(app: FastAPI) -> None:
    """Have every error answered as a problem."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(DispatcherError, _house_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _defect)


def _type(kind: str) -> str:
    return f"urn:dispatcher:{kind}"


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    told = problem.model_dump(mode="json")
    for member in _SELDOM:
        if told[member] is None:
            del told[member]
    return JSONResponse(told, problem.status, dict(headers or {}), media_type=MEDIA_TYPE)


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _answer(error.problem, error.headers)


async def _house_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DispatcherError)
    found = next((row for row in _ERRORS if isinstance(error, row[0])), None)
    if found is None:
        return await _defect(_request, error)
    _, status, kind, title = found
    problem = Problem(
        type=_type(kind),
        title=title,
        status=status,
        detail=str(error),
        hint=error.hint,
        problems=list(error.problems) if isinstance(error, BadValue) else [],
    )
    helps_to_wait = status == 503 or isinstance(error, Busy)
    return _answer(problem, {"Retry-After": str(AGAIN_S)} if helps_to_wait else None)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # why without the input: it may be a token, and it is the caller's own anyway.
    problems = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    problem = Problem(
        type=_type("invalid"),
        title="The request does not fit its schema",
        status=400,
        detail=f"{len(problems)} faults were found; nothing was done",
        hint="see /v1/openapi.json",
        problems=problems,
    )
    return _answer(problem)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    kinds = {404: "no_such_address", 405: "method_not_allowed", 400: "invalid"}
    kind = kinds.get(error.status_code, "http_error")
    problem = Problem(
        type=_type(kind), title=str(error.detail), status=error.status_code, detail=str(error.detail)
    )
    return _answer(problem, headers)


def _allowed(request: Request) -> list[str]:
    """All methods that the address takes; the router names those of its first operation alone."""
    found = {
        method
        for route in request.app.state.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return sorted(found)


async def _gone(_request: Request, _error: Exception) -> Response:
    return _answer(
        Problem(
            type=_type("cut_off"),
            title="The body was cut off",
            status=400,
            detail="the connection ended before the body did; nothing was done",
        )
    )


async def _defect(_request: Request, _error: Exception) -> Response:
    return _answer(
        Problem(
            type=_type("defect"),
            title="A defect of ours",
            status=500,
            detail="something went wrong that should not; it is in the log of the HTTP process",
        )
    )
