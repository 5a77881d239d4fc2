"""What came of a post: exactly one of four kinds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from dispatcher.domain.verdict import Verdict


class PostedKind(StrEnum):
    """What is known after a post."""

    ACCEPTED = "accepted"
    """Meta answered with a wamid."""
    REFUSED = "refused"
    """Meta answered that it did not take the message."""
    UNSURE = "unsure"
    """The request may have been written, and no clear answer came."""
    NOT_WRITTEN = "not_written"
    """No connection: nothing was written."""


class Posted(NamedTuple):
    """What came of one post: exactly one of the four kinds. A tuple, for there is one per message."""

    kind: PostedKind
    wamid: str | None = None
    """Meta's id of a message that it accepted; of nothing else."""
    status: str | None = None
    """Meta's `message_status` where it is not plain "accepted"."""
    verdict: Verdict | None = None
    """For refusals, and for answers that leave the outcome open."""
    detail: str = ""
