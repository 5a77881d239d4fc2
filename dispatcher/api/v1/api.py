"""The API as one application: its operations, its errors, its OpenAPI document."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from dispatcher.api.guard import PREFIX, SECURITY
from dispatcher.api.problems import Problem, handle_all
from dispatcher.api.uploads import Uploads
from dispatcher.api.v1 import (
    campaigns,
    conversations,
    keys,
    messages,
    operations,
    people,
    relays,
    replies,
    senders,
    streams,
    subscriptions,
    suppressions,
    unsure_replies,
)
from dispatcher.app import App

_DESCRIPTION = """Campaigns, single template messages and replies over WhatsApp: never twice, never lost, never over a limit,
and always able to say why something waits. Errors are problem details (RFC 9457). Lists are read page by page: `next` of a
page is the `cursor` of the next one, and null at the end. Calls that create something carry an `Idempotency-Key`. See
docs/api.md.
"""

ROUTERS = (
    campaigns.router,
    people.router,
    messages.of_campaigns,
    streams.router,
    messages.singles,
    conversations.router,
    replies.router,
    senders.router,
    senders.templates,
    suppressions.router,
    operations.unsure,
    unsure_replies.router,
    operations.quarantine,
    subscriptions.router,
    relays.router,
    keys.keys,
    keys.audit,
)
"""All operations, in the order of the document."""


def make_api(house: App) -> FastAPI:
    """The API over this house."""
    api = FastAPI(
        title="Dispatcher",
        description=_DESCRIPTION,
        version=version("whatsapp-dispatcher"),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    api.state.house = house
    api.state.uploads = Uploads(house.settings)
    api.state.followers = streams.Followers()
    for router in ROUTERS:
        api.include_router(router)
    api.state.routes = [route for router in ROUTERS for route in router.routes]
    handle_all(api)
    make_document = api.openapi

    def openapi() -> dict[str, Any]:
        document = make_document()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        components.setdefault("securitySchemes", {})[SECURITY] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A key, as `dispatch keys create` writes it. Each operation names the scope that it needs.",
        }
        return document

    api.openapi = openapi  # type: ignore[method-assign]
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name
