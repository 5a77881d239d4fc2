"""What strangers may say to change a running sandbox: its behaviour, its weather, its webhooks, what people write.

Pydantic models, each of which turns into the frozen entries of `behaviour`, `weather`, `callback` and `updates`; what
a world consists of is in `settings`. Unknown keys are errors, so that a misspelt one is not silently nothing.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from .behaviour import Behaviour, Fault, Latency, LatencyShape, WebhookBehaviour
from .envelope import read_person, read_scoped_id
from .weather import Phase
from .webhooks.callback import Callback
from .world import Person


def _readable_phone(given: str) -> str:
    if read_person(given) is None:
        raise ValueError("is not a phone number")
    return given


def _readable_person(given: str) -> str:
    if read_person(given) is None and read_scoped_id(given) is None:
        raise ValueError("is neither a phone number nor a business-scoped id")
    return given


Id = Annotated[str, Field(pattern=r"^[0-9]{1,32}$")]
PhoneText = Annotated[str, AfterValidator(_readable_phone)]
PersonText = Annotated[str, AfterValidator(_readable_person)]
Share = Annotated[float, Field(ge=0, le=1)]


class Input(BaseModel):
    """Strict about keys; fields left out keep their default, or in a change the value there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """The fields that were said, as the frozen entries know them."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if values.get("tier_limit") == "unlimited":
            values["tier_limit"] = None
        return {
            name: value.latency() if isinstance(value, LatencyInput) else value
            for name, value in values.items()
        }


class LatencyInput(Input):
    """A time that is drawn; always said as a whole."""

    shape: LatencyShape = LatencyShape.FIXED
    ms: NonNegativeFloat = 0.0
    to_ms: NonNegativeFloat = 0.0
    sigma: NonNegativeFloat = 0.4

    def latency(self) -> Latency:
        """The frozen entry."""
        return Latency(**self.model_dump())


class WebhooksInput(Input):
    """What is reported, when, and how badly it travels; what is not said stays."""

    sent: LatencyInput = LatencyInput()
    delivered: LatencyInput = LatencyInput()
    read: LatencyInput = LatencyInput()
    failed: LatencyInput = LatencyInput()
    failures: dict[PositiveInt, Share] = {}
    delivered_share: Share = 1.0
    read_share: Share = 0.0
    read_only_share: Share = 0.0
    failed_too_share: Share = 0.0
    duplicate_share: Share = 0.0
    duplicate_after: LatencyInput = LatencyInput()
    late_share: Share = 0.0
    late_by: LatencyInput = LatencyInput()
    lost_share: Share = 0.0
    scoped_ids: bool = True
    updates_per_post: Annotated[int, Field(ge=1, le=1000)] = 1
    statuses_per_entry: Annotated[int, Field(ge=1, le=1000)] = 1000
    connections: Annotated[int, Field(ge=1, le=1000)] = 16
    timeout_s: PositiveFloat = 10.0
    retry_after_s: PositiveFloat = 1.0
    retry_at_most_s: PositiveFloat = 3600.0
    retry_for_s: NonNegativeFloat = 604_800.0

    def changed(self, webhooks: WebhookBehaviour) -> WebhookBehaviour:
        """The behaviour with what was said. Raises ValueError when shares exceed 1."""
        return replace(webhooks, **self.given())


class BehaviourInput(Input):
    """What to do to posts; errors by code, faults by name, as shares of all posts; and to webhooks."""

    latency: LatencyInput = LatencyInput()
    errors: dict[PositiveInt, Share] = {}
    faults: dict[Fault, Share] = {}
    webhooks: WebhooksInput = WebhooksInput()

    def changed(self, behaviour: Behaviour) -> Behaviour:
        """The behaviour with what was said. Raises ValueError when shares exceed 1."""
        said = {name: value for name, value in self.given().items() if name in Behaviour.__slots__}
        if "webhooks" in said:
            said["webhooks"] = self.webhooks.changed(behaviour.webhooks)
        return replace(behaviour, **said)


class PhaseInput(BehaviourInput):
    """A behaviour for a while: what is not said is as it is without the phase."""

    after_s: NonNegativeFloat = 0.0
    for_s: PositiveFloat

    def phase(self, now_ms: int, lasting: Behaviour) -> Phase:
        """The phase on the sandbox's clock. Raises ValueError when shares exceed 1."""
        from_ms = now_ms + int(self.after_s * 1000)
        return Phase(from_ms, from_ms + max(1, int(self.for_s * 1000)), self.changed(lasting))


class CallbackInput(Input):
    """Where webhooks go."""

    url: str
    app_secret: str = Field(default="sandbox-secret", min_length=1)
    verify_token: str = Field(default="sandbox-verify", min_length=1)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        self.callback()
        return self

    def callback(self) -> Callback:
        """The frozen entry. Raises ValueError when the address is none."""
        return Callback(**self.given())


class MediaInput(Input):
    """A picture, film, sound, file or sticker that a person sends."""

    kind: Literal["image", "video", "audio", "document", "sticker"]
    caption: str | None = None
    filename: str | None = None

    def content(self) -> dict[str, Any]:
        """Type and content as `messages[0]` holds them; the file itself is nowhere."""
        media: dict[str, Any] = {
            "mime_type": _MIME_TYPES[self.kind],
            "sha256": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
            "id": "900000000000021",
        }
        if self.kind == "audio":
            media["voice"] = True
        given = {"caption": self.caption, "filename": self.filename}
        media |= {name: value for name, value in given.items() if value is not None}
        return {"type": self.kind, self.kind: media}


_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}


class ReactionInput(Input):
    """A person reacts to a message; without `emoji` they take a reaction back."""

    message_id: str = Field(min_length=1)
    emoji: str | None = None


class InboundInput(Input):
    """A person writes to a number: `text`, `button`, `interactive`, `media`, `reaction`, or any fragment of `messages[0]`."""

    phone_number_id: Id
    person: PersonText
    name: str | None = None
    text: str | None = None
    button: dict[str, Any] | None = None
    interactive: dict[str, Any] | None = None
    media: MediaInput | None = None
    reaction: ReactionInput | None = None
    message: dict[str, Any] | None = None
    context_id: str | None = None
    """The wamid of what is answered."""
    id: str | None = Field(default=None, min_length=1)
    """A wamid of its own, to write the same twice."""
    is_hidden: bool = False
    """Without the telephone number, as for a person with a username."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        things = (self.text, self.button, self.interactive, self.media, self.reaction, self.message)
        if sum(each is not None for each in things) != 1:
            raise ValueError("say one of text, button, interactive, media, reaction and message")
        return self

    def who(self) -> Person:
        """The person as the world knows them."""
        return read_person(self.person) or self.person

    def content(self) -> dict[str, Any]:
        """Type and content as `messages[0]` holds them."""
        if self.text is not None:
            return {"type": "text", "text": {"body": self.text}}
        if self.button is not None:
            return {"type": "button", "button": self.button}
        if self.interactive is not None:
            return {"type": "interactive", "interactive": self.interactive}
        if self.media is not None:
            return self.media.content()
        if self.reaction is not None:
            return {"type": "reaction", "reaction": self.reaction.model_dump(exclude_none=True)}
        return self.message or {}

    def words(self) -> str:
        """What the person wrote or pressed, where it is one of these."""
        return self.text or str((self.button or {}).get("text", ""))


class PreferenceInput(Input):
    """A person tells Meta whether they want marketing of a number's business."""

    phone_number_id: Id
    person: PersonText
    value: Literal["stop", "resume", "signup"]

    def who(self) -> Person:
        """The person as the world knows them."""
        return read_person(self.person) or self.person


class MoveInput(Input):
    """A person changes their number, and a business number is told."""

    phone_number_id: Id
    person: PhoneText
    to: PhoneText

    def way(self) -> tuple[int, int]:
        """From which number to which."""
        return int(read_person(self.person) or 0), int(read_person(self.to) or 0)


class EventInput(Input):
    """A change of an account, with any field and value."""

    waba_id: Id
    field: str = Field(min_length=1)
    value: Any
    after_s: NonNegativeFloat = 0.0


class ResetInput(Input):
    """How to start anew: with this seed, or going on with the one there is."""

    seed: int | None = None
