"""What a reply may say, as the API takes it: one model for each kind, told apart by `type`.

How long texts may be and how many choices there are is judged by the house (`domain/reply.py`), which names the field at
fault; here stands only what bounds a body at all.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, Strict

from dispatcher.api.schemas import Flag, Model, Value
from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text

Source = Annotated[Value, Field(description="The id of an upload, or an http(s) link.")]
Label = Annotated[Value, Field(description="Of the button.")]
Latitude = Annotated[float, Strict(), Field(ge=-90, le=90, description="In degrees.")]
Longitude = Annotated[float, Strict(), Field(ge=-180, le=180, description="In degrees.")]


class TextContent(Model):
    """A text; line breaks are welcome."""

    type: Literal["text"]
    body: Value
    preview_url: Annotated[Flag, Field(description="Show a preview of the first link.")] = False

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Text(self.body, preview_url=self.preview_url)


class MediaContent(Model):
    """A picture, film, file, sound or sticker."""

    type: Literal["image", "video", "document", "audio", "sticker"]
    source: Source
    caption: Annotated[Value | None, Field(description="Below an image, video or document.")] = None
    filename: Annotated[Value | None, Field(description="Of a document.")] = None

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Media(MediaKind(self.type), self.source, self.caption, self.filename)


class LocationContent(Model):
    """A place on the map."""

    type: Literal["location"]
    latitude: Latitude
    longitude: Longitude
    name: Value | None = None
    address: Value | None = None

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Location(self.latitude, self.longitude, self.name, self.address)


class ReactionContent(Model):
    """An emoji on a message of the person."""

    type: Literal["reaction"]
    wamid: Annotated[Value, Field(description="The message that is reacted to.")]
    emoji: Annotated[Value, Field(description="Empty: take the reaction away.")]

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Reaction(self.wamid, self.emoji)


class ContactCard(Model):
    """A card."""

    name: Annotated[Value, Field(description="In full, as it is shown.")]
    first_name: Value
    phones: Annotated[list[Value], Field(max_length=20, default_factory=list)]
    emails: Annotated[list[Value], Field(max_length=20, default_factory=list)]
    company: Value | None = None


class ContactsContent(Model):
    """One card or several."""

    type: Literal["contacts"]
    contacts: Annotated[list[ContactCard], Field(max_length=100)]

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Contacts([Contact(**dict(card)) for card in self.contacts])


class ReplyButton(Model):
    """A reply button."""

    id: Annotated[Value, Field(description="Comes back when it is pressed.")]
    title: Value


class MediaAbove(Model):
    """A picture, film or file above the text."""

    kind: Literal["image", "video", "document"]
    source: Source


class ButtonsContent(Model):
    """A text with reply buttons."""

    type: Literal["buttons"]
    body: Value
    buttons: Annotated[list[ReplyButton], Field(max_length=100)]
    header: Annotated[Value | MediaAbove | None, Field(description="A text, or a picture, film or file.")] = (
        None
    )
    footer: Value | None = None

    def free_form(self) -> FreeForm:
        """As the house has it."""
        above = self.header
        header = HeaderMedia(above.kind, above.source) if isinstance(above, MediaAbove) else above
        buttons = [Button(button.id, button.title) for button in self.buttons]
        return Buttons(self.body, buttons, header, self.footer)


class ListRow(Model):
    """A choice in a list."""

    id: Annotated[Value, Field(description="Comes back when it is chosen.")]
    title: Value
    description: Value | None = None


class ListSection(Model):
    """Choices under a title."""

    rows: Annotated[list[ListRow], Field(max_length=100)]
    title: Annotated[Value | None, Field(description="Only a list's sole section may go without.")] = None


class ListContent(Model):
    """A text with a button that opens a list."""

    type: Literal["list"]
    body: Value
    label: Label
    sections: Annotated[list[ListSection], Field(max_length=100)]
    header: Value | None = None
    footer: Value | None = None

    def free_form(self) -> FreeForm:
        """As the house has it."""
        sections = [
            Section([Row(row.id, row.title, row.description) for row in section.rows], section.title)
            for section in self.sections
        ]
        return Choices(self.body, self.label, sections, self.header, self.footer)


class LinkContent(Model):
    """A text with a button that opens a link."""

    type: Literal["link"]
    body: Value
    label: Label
    url: Annotated[Value, Field(description="http or https.")]

    def free_form(self) -> FreeForm:
        """As the house has it."""
        return Link(self.body, self.label, self.url)


ReplyContent: TypeAlias = Annotated[
    TextContent
    | MediaContent
    | LocationContent
    | ReactionContent
    | ContactsContent
    | ButtonsContent
    | ListContent
    | LinkContent,
    Field(discriminator="type"),
]
"""Everything that can be said."""
