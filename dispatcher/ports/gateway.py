"""What the gateway needs: templates that are ordered one by one, what clients of Meta's API name, events in Meta's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dispatcher.domain.event import Event
from dispatcher.domain.gateway import GatewayId, MessageRef, Refused, RelayFacts
from dispatcher.domain.phone import Phone
from dispatcher.domain.sender import Sender
from dispatcher.domain.standing import StandingPlan, TemplateFacts, TemplateOrder, Waiting
from dispatcher.domain.template import Template
from dispatcher.domain.turn import DueLane


class StandingBook(Protocol):
    """Standing campaigns in the ledger."""

    async def facts(self, sender: Sender, order: TemplateOrder) -> TemplateFacts:
        """What must be known before the order is taken, at one instant."""
        ...

    async def waiting(self, sender: Sender, most: int) -> Waiting:
        """How much waits for the sender; not counted beyond `most`."""
        ...

    async def add(
        self, plan: StandingPlan, to: Phone, values: Sequence[str], callback_data: str | None
    ) -> tuple[MessageRef, DueLane | None]:
        """Store a message; returns the lane, if it is to be woken. A campaign is opened where none of this form takes it."""
        ...


class GatewayBook(Protocol):
    """What clients of Meta's API name, in the ledger."""

    async def wamid_of(self, named: GatewayId) -> str | None:
        """What Meta calls a message of ours; None where Meta has not taken it yet, or there is none."""
        ...

    async def keep_callback_data(self, taken: MessageRef, data: str) -> None:
        """Remember what comes back with each report of a message."""
        ...


class RelayBook(Protocol):
    """What Meta's form of events needs besides what they say."""

    async def facts(self, events: Sequence[Event]) -> Sequence[RelayFacts | None]:
        """One for each event; None where nobody knows any more whom it concerns."""
        ...

    async def tidy(self, most: int) -> None:
        """Clear away what nothing will be told of any more, so many rows of each kind at most."""
        ...


class TemplateReader(Protocol):
    """Reads the components of a posted template."""

    def values(self, template: Template, components: Sequence[Any]) -> Mapping[str, str] | Refused:
        """Slot → text, all that the template wants, in its order."""
        ...
