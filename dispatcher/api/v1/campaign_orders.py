"""Orders about campaigns as the API takes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Strict, StringConstraints

from dispatcher.api.schemas import (
    NO_OTHERS,
    WHOLE,
    Line,
    MetaId,
    Model,
    Moment,
    Name,
    Value,
    checked_deadline,
    example,
)
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.content import Column, Literal, SlotMapping, ValueSource
from dispatcher.engine.campaigns import Plan

Slot = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,100}$")]
"""A place in a template: `body.1`, `header.image`, `button.1.url`."""
Weight = Annotated[int, Strict(), Field(ge=1, le=1000), WHOLE]
Priority = Annotated[int, Strict(), Field(ge=-1000, le=1000), WHOLE]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,50}$")]
Metadata = Annotated[dict[MetadataName, Line], Field(max_length=20, json_schema_extra=NO_OTHERS)]


class FromColumn(Model):
    """The person's value in this column."""

    column: Line


class FromText(Model):
    """The same text for everybody."""

    text: Annotated[Value, Field(min_length=1)]


class OfPortfolio(Model):
    """All senders of a portfolio that are switched on when the campaign is created."""

    portfolio_id: MetaId


class CampaignIn(Model):
    """What is ordered."""

    model_config = example(
        name="Autumn offer",
        template="autumn_offer",
        language="en_US",
        senders=["harbour"],
        mapping={"body.1": {"column": "first_name"}, "body.2": {"text": "20%"}},
        deadline="2026-10-01T18:00:00+00:00",
        metadata={"order": "4711"},
    )

    name: Line
    template: Line
    language: Line
    senders: Annotated[list[Name], Field(min_length=1, max_length=100)] | OfPortfolio
    mapping: Annotated[
        dict[Slot, FromColumn | FromText],
        Field(
            max_length=100,
            description="What fills each slot of the template.",
            json_schema_extra=NO_OTHERS,
        ),
    ] = Field(default_factory=dict)
    columns: Annotated[
        list[Line] | None,
        Field(
            max_length=100,
            description="Columns that people will bring beside their number. Slots that are not mapped take the column of their "
            "own name. Without it, those that the mapping names.",
        ),
    ] = None
    weight: Weight = 1
    priority: Priority = 0
    deadline: Moment | None = None
    unsure_policy: UnsurePolicy = UnsurePolicy.GIVE_UP
    metadata: Metadata = Field(default_factory=dict)

    def plan(self, senders: list[str]) -> tuple[Plan, list[str]]:
        """What the engine is ordered, and the columns that people bring. Raises BadValue."""
        mapping = SlotMapping(tuple((slot, _source_of(filling)) for slot, filling in self.mapping.items()))
        columns = list(mapping.columns) if self.columns is None else self.columns
        plan = Plan(
            name=self.name,
            template=self.template,
            language=self.language,
            senders=senders,
            mapping=mapping,
            weight=self.weight,
            priority=self.priority,
            deadline=checked_deadline(self.deadline),
            unsure_policy=self.unsure_policy,
            metadata=self.metadata,
        )
        return plan, columns


class CampaignChange(Model):
    """What is to be different; what is not named stays."""

    model_config = example(priority=10, deadline="2026-10-02T18:00:00+00:00")

    name: Line | None = None
    weight: Weight | None = None
    priority: Priority | None = None
    deadline: Annotated[Moment | None, Field(description="null: no deadline any more.")] = None
    unsure_policy: UnsurePolicy | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """Fields of `Campaign`. Raises BadValue."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        checked_deadline(self.deadline)
        return {name: value for name, value in given.items() if value is not None or name == "deadline"}


def _source_of(filling: FromColumn | FromText) -> ValueSource:
    return Column(filling.column) if isinstance(filling, FromColumn) else Literal(filling.text)
