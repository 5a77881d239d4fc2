"""How the console reads and answers: validated JSON in, JSON out, and what is wrong as `{"error": …}`."""

from typing import TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

Said = TypeVar("Said")


async def read(request: Request, shape: type[Said]) -> Said:
    """The request's body in this shape. Raises HTTPException 422 with where it is not."""
    try:
        return TypeAdapter(shape).validate_json(await request.body())
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
        raise HTTPException(422, "; ".join(faults)) from error


async def read_some(request: Request, shape: type[Said]) -> list[Said]:
    """The request's body as a list of this shape; one alone is a list of one. Raises as `read`."""
    if (await request.body()).lstrip().startswith(b"["):
        return await read(request, list[shape])  # type: ignore[valid-type]
    return [await read(request, shape)]


def is_asked(request: Request, name: str) -> bool:
    """Whether the query says yes to this."""
    return request.query_params.get(name) in {"1", "true"}


def seconds_of(request: Request, name: str, at_most: float) -> float | None:
    """A time in the query, None when it is not there. Raises HTTPException 422 when it is no such time."""
    said = request.query_params.get(name)
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= at_most:
        raise HTTPException(422, f"{name} is a number of seconds, at most {at_most:.0f}")
    return seconds


def answer_json(value: object) -> Response:
    """This value, keys that are numbers included."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_DATACLASS),
        media_type="application/json",
    )


async def problem(_: Request, error: Exception) -> Response:
    """An error of the console as JSON."""
    status, detail = (
        (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "failed")
    )
    return Response(orjson.dumps({"error": detail}), status, media_type="application/json")
