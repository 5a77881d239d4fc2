"""What strangers may say about a world: the TOML file and the console's JSON, validated.

Each model turns into a frozen entry of `world`; how a sandbox behaves, and what else the console is told, is read by
`inputs`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from .behaviour import Behaviour
from .envelope import read_person
from .inputs import BehaviourInput, CallbackInput, Id, Input, PhoneText
from .world import (
    Component,
    LimitScope,
    Number,
    NumberStatus,
    Person,
    Portfolio,
    Quality,
    SandboxWorld,
    Template,
    Timing,
    Waba,
)

TierLimit = PositiveInt | Literal["unlimited"]


class PortfolioChange(Input):
    """Some fields of a portfolio."""

    name: str = Field(default="Sandbox portfolio", min_length=1)
    tier_limit: TierLimit = 250


class PortfolioInput(PortfolioChange):
    """A portfolio."""

    id: Id


class WabaInput(Input):
    """A WhatsApp Business Account."""

    id: Id
    portfolio_id: Id
    name: str = "Sandbox account"


class NumberChange(Input):
    """Some fields of a number."""

    token: str = Field(default="sandbox-token", min_length=1)
    verified_name: str = Field(default="Sandbox Shop", min_length=1)
    status: NumberStatus = NumberStatus.CONNECTED
    quality: Quality = Quality.GREEN
    tier_limit: TierLimit = 250
    limit_scope: LimitScope = LimitScope.SENDER
    rate_per_s: PositiveInt = 80
    throughput: str = "STANDARD"


class NumberInput(NumberChange):
    """A number."""

    id: Id
    waba_id: Id
    display_phone_number: PhoneText


class TemplateInput(Input):
    """A template, with components as Meta lists them."""

    id: Id
    waba_id: Id
    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    language: str = Field(min_length=2, max_length=12)
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION"]
    status: str = Field(default="APPROVED", pattern=r"^[A-Z_]+$")
    parameter_format: Literal["POSITIONAL", "NAMED"] = "POSITIONAL"
    quality: Quality = Quality.GREEN
    components: list[Component]

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.template()
        return self

    def template(self) -> Template:
        """The frozen entry. Raises ValueError when its components cannot be read."""
        return Template(**{**self.given(), "components": tuple(self.components)})


class PeopleInput(Input):
    """People with a peculiarity; a list that is said replaces the one there is."""

    unknown: list[PhoneText] = Field(default_factory=list)
    opted_out: list[PhoneText] = Field(default_factory=list)


class WindowInput(Input):
    """A person who has just written to a number."""

    phone_number_id: Id
    person: PhoneText


class TimingInput(Input):
    """Lengths of a day and of the pair limit, for rehearsals."""

    day_ms: PositiveInt = 86_400_000
    pair_interval_ms: PositiveInt = 6_000
    pair_burst: PositiveInt = 45


class WorldInput(Input):
    """A whole world, as `config/sandbox.toml` holds one."""

    timing: TimingInput = TimingInput()
    behaviour: BehaviourInput = BehaviourInput()
    callback: CallbackInput | None = None
    people: PeopleInput = PeopleInput()
    portfolios: list[PortfolioInput] = Field(default_factory=list)
    wabas: list[WabaInput] = Field(default_factory=list)
    numbers: list[NumberInput] = Field(default_factory=list)
    templates: list[TemplateInput] = Field(default_factory=list)


def read_world(values: Mapping[str, Any]) -> tuple[SandboxWorld, Behaviour]:
    """A world and how it behaves. Raises ValueError for what is wrong, KeyError for an owner that is missing."""
    said = WorldInput.model_validate(values)
    world = SandboxWorld(timing=Timing(**said.timing.model_dump()))
    world.put_portfolios(Portfolio(**portfolio.given()) for portfolio in said.portfolios)
    world.put_wabas(Waba(**waba.given()) for waba in said.wabas)
    world.put_numbers(Number(**number.given()) for number in said.numbers)
    world.put_templates(template.template() for template in said.templates)
    world.unknown_people = people_of(said.people.unknown)
    world.opted_out_people = people_of(said.people.opted_out)
    world.callback = said.callback.callback() if said.callback is not None else None
    return world, said.behaviour.changed(Behaviour())


def load_world(path: Path) -> tuple[SandboxWorld, Behaviour]:
    """The world in a TOML file. Raises OSError, ValueError (also for broken TOML) and KeyError as `read_world`."""
    return read_world(tomllib.loads(path.read_text(encoding="utf-8")))


def people_of(numbers: list[str]) -> set[Person]:
    """Phone numbers, already found readable, as people."""
    return {person for number in numbers if (person := read_person(number)) is not None}
