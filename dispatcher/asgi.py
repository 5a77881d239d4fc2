"""The one ASGI application: webhooks, the API, the gateway, and whether the process is well.

`make_app` puts it together over an open house; `serve.py` runs it. Webhooks take a short way of their own, everything else
goes through Starlette's router.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from dispatcher.api import webhooks
from dispatcher.api.gateway import door
from dispatcher.api.guard import PREFIX as API_PREFIX
from dispatcher.api.health import Health
from dispatcher.api.v1.api import make_api
from dispatcher.api.webhooks import Webhooks
from dispatcher.app import App
from dispatcher.channel.signatures import Signatures
from dispatcher.ledger.applied import AppliedWatch
from dispatcher.ledger.group_commit import InboxWriter
from dispatcher.ledger.inbox import LedgerInbox
from dispatcher.settings import secret


def make_app(app: App) -> ASGIApp:
    """The application over this house. Raises BadValue when a configured secret cannot be read."""
    settings, inbox = app.settings, LedgerInbox(app.database)
    verify_token = settings.webhook_verify_token
    endpoint = Webhooks(
        InboxWriter(inbox, patience=timedelta(seconds=settings.webhook_wait_s)),
        AppliedWatch(inbox, patience=timedelta(seconds=settings.webhook_apply_wait_s)),
        Signatures(secret(reference) for reference in sorted(settings.webhook_secrets)),
        secret(verify_token) if verify_token is not None else None,
        memory_bytes=settings.webhook_memory_mb * 2**20,
    )
    api, gateway = make_api(app), door.make_gateway(app)
    pages = Starlette(routes=Health(app, inbox).routes)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == webhooks.PATH:
            await endpoint(scope, receive, send)
        elif scope["type"] == "http" and (scope["path"] + "/").startswith(API_PREFIX + "/"):
            await api(scope, receive, send)
        elif scope["type"] == "http" and door.ADDRESS.fullmatch(scope["path"]):
            await gateway(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return application
