"""What strangers may say about a world: the TOML file and the console's JSON, validated.

The only place of the sandbox with pydantic models; each turns into the frozen entries of `world` and
`behaviour`. Unknown keys are errors, so that a misspelt one is not silently nothing.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)

from .behaviour import Behaviour, Fault, Latency, LatencyShape
from .envelope import read_person
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


def _readable_person(given: str) -> str:
    if read_person(given) is None:
        raise ValueError("is not a phone number")
    return given


Id = Annotated[str, Field(pattern=r"^[0-9]{1,32}$")]
PhoneText = Annotated[str, AfterValidator(_readable_person)]
TierLimit = PositiveInt | Literal["unlimited"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Input(BaseModel):
    """Strict about keys; fields left out keep their default, or in a change the value there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """The fields that were said, as the frozen entries know them."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if values.get("tier_limit") == "unlimited":
            values["tier_limit"] = None
        return values


class PortfolioChange(_Input):
    """Some fields of a portfolio."""

    name: str = Field(default="Sandbox portfolio", min_length=1)
    tier_limit: TierLimit = 250


class PortfolioInput(PortfolioChange):
    """A portfolio."""

    id: Id


class WabaInput(_Input):
    """A WhatsApp Business Account."""

    id: Id
    portfolio_id: Id
    name: str = "Sandbox account"


class NumberChange(_Input):
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


class TemplateInput(_Input):
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


class PeopleInput(_Input):
    """People with a peculiarity; a list that is said replaces the one there is."""

    unknown: list[PhoneText] = []
    opted_out: list[PhoneText] = []


class WindowInput(_Input):
    """A person who has just written to a number."""

    phone_number_id: Id
    person: PhoneText


class TimingInput(_Input):
    """Lengths of a day and of the pair limit, for rehearsals."""

    day_ms: PositiveInt = 86_400_000
    pair_interval_ms: PositiveInt = 6_000
    pair_burst: PositiveInt = 45


class LatencyInput(_Input):
    """Time between a post and its answer."""

    shape: LatencyShape = LatencyShape.FIXED
    ms: NonNegativeFloat = 0.0
    to_ms: NonNegativeFloat = 0.0
    sigma: NonNegativeFloat = 0.4


class BehaviourInput(_Input):
    """What to do to posts; errors by code, faults by name, as shares of all posts."""

    latency: LatencyInput = LatencyInput()
    errors: dict[PositiveInt, Share] = {}
    faults: dict[Fault, Share] = {}

    def changed(self, behaviour: Behaviour) -> Behaviour:
        """The behaviour with what was said. Raises ValueError when shares exceed 1."""
        said = self.model_fields_set
        return Behaviour(
            latency=Latency(**self.latency.model_dump()) if "latency" in said else behaviour.latency,
            errors=self.errors if "errors" in said else behaviour.errors,
            faults=self.faults if "faults" in said else behaviour.faults,
        )


class WorldInput(_Input):
    """A whole world, as `config/sandbox.toml` holds one."""

    timing: TimingInput = TimingInput()
    behaviour: BehaviourInput = BehaviourInput()
    people: PeopleInput = PeopleInput()
    portfolios: list[PortfolioInput] = []
    wabas: list[WabaInput] = []
    numbers: list[NumberInput] = []
    templates: list[TemplateInput] = []


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
    return world, said.behaviour.changed(Behaviour())


def load_world(path: Path) -> tuple[SandboxWorld, Behaviour]:
    """The world in a TOML file. Raises OSError, ValueError (also for broken TOML) and KeyError as `read_world`."""
    return read_world(tomllib.loads(path.read_text(encoding="utf-8")))


def people_of(numbers: list[str]) -> set[Person]:
    """Phone numbers, already found readable, as people."""
    return {person for number in numbers if (person := read_person(number)) is not None}
