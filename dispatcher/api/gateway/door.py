"""The gateway as one application: which address is which operation, and what is none.

It is no part of the OpenAPI document of `/v1`: the document of what it speaks is Meta's.
"""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dispatcher.api.gateway import passing
from dispatcher.api.gateway.entry import READING, SENDING, endpoint
from dispatcher.api.gateway.errors import NOT_VISIBLE, GatewayRefusal
from dispatcher.api.gateway.messages import post_message
from dispatcher.app import App
from dispatcher.domain.access import Scope

ADDRESS = re.compile(r"/v[0-9]{1,3}\.[0-9]{1,3}/.+")
"""Meta's versions have a dot, ours has not. Which of Meta's is named makes no difference."""
_NUMBER = "/{version}/{number_id:str}"
_NODE = "/{version}/{node_id:str}"


def make_gateway(house: App) -> Starlette:
    """The gateway over this house."""
    everything = frozenset(Scope)
    routes = [
        Route(
            f"{_NUMBER}/messages",
            endpoint(SENDING, "POST /{version}/{phone_number_id}/messages", post_message),
            methods=["POST"],
        ),
        Route(
            f"{_NUMBER}/media",
            endpoint(SENDING, "POST /{version}/{phone_number_id}/media", passing.upload),
            methods=["POST"],
        ),
        Route(f"{_NODE}", endpoint(READING, "GET /{version}/{id}", passing.read_node), methods=["GET"]),
        Route(
            f"{_NODE}", endpoint(SENDING, "DELETE /{version}/{id}", passing.delete_node), methods=["DELETE"]
        ),
        Route(
            f"{_NODE}/{{edge:str}}",
            endpoint(READING, "GET /{version}/{id}/{edge}", passing.read_edge),
            methods=["GET"],
        ),
        Route(
            f"{_NODE}/{{edge:str}}",
            endpoint(everything, "POST /{version}/{id}/{edge}", passing.write_elsewhere),
            methods=["POST", "DELETE"],
        ),
        Route(
            f"{_NODE}",
            endpoint(everything, "POST /{version}/{id}", passing.write_elsewhere),
            methods=["POST"],
        ),
        Route("/{rest:path}", _nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    application = Starlette(routes=routes)
    application.state.house = house
    return application


async def _nothing(request: Request) -> Response:
    return GatewayRefusal(NOT_VISIBLE, f"the gateway has no {request.method} {request.url.path}").answer
