"""What the gateway needs beside the rest of the house, wired together: its orders, its look-ups, its way to Meta."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from dispatcher.channel.gateway_templates import TemplateReading
from dispatcher.channel.passing import GraphPassing
from dispatcher.domain.pacing import Policy
from dispatcher.engine.standing import Standing
from dispatcher.ledger.database import Database
from dispatcher.ledger.gateway import LedgerGateway
from dispatcher.ledger.standing import LedgerStanding
from dispatcher.ports import Clock, Jobs
from dispatcher.settings import Settings

CONNECTIONS = 32
"""To Meta, for files and reads of clients; messages take another way."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of the door that speaks Meta's API."""

    standing: Standing
    book: LedgerGateway
    passing: GraphPassing


def open_gateway_client() -> httpx.AsyncClient:
    """The way to Meta for what clients read and upload: of its own, so that nothing of theirs keeps the house waiting."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(timeout=20, follow_redirects=False, trust_env=False, limits=limits)


def gateway_of(
    settings: Settings,
    database: Database,
    jobs: Jobs,
    clock: Clock,
    policy: Policy,
    client: httpx.AsyncClient,
    read_secret: Callable[[str], str],
) -> Gateway:
    """The gateway over these."""
    return Gateway(
        Standing(
            LedgerStanding(database), jobs, TemplateReading(), clock, policy, settings.gateway_waiting_most
        ),
        LedgerGateway(database),
        GraphPassing(client, read_secret, graph_url=settings.graph_url, graph_version=settings.graph_version),
    )
