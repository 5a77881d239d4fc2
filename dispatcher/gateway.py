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


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of the door that speaks Meta's API."""

    standing: Standing
    book: LedgerGateway
    passing: GraphPassing


def gateway_of(
    settings: Settings,
    database: Database,
    jobs: Jobs,
    clock: Clock,
    policy: Policy,
    client: httpx.AsyncClient,
    read_secret: Callable[[str], str],
) -> Gateway:
    """The gateway over these. client: to Meta's management API, which others use as well."""
    return Gateway(
        Standing(
            LedgerStanding(database), jobs, TemplateReading(), clock, policy, settings.gateway_waiting_most
        ),
        LedgerGateway(database),
        GraphPassing(client, read_secret, graph_url=settings.graph_url, graph_version=settings.graph_version),
    )
