"""Secrets by reference: read from the environment or a file, or sealed in the ledger with a key from either.

A sealed token is `sealed:` and a Fernet token (AES-128-CBC with HMAC-SHA-256, the tool's own choice of both), so that who
can read the ledger, or a backup of it, has no token. The first key seals; the earlier ones open until everything is sealed
anew (`dispatch senders reseal`).
Invariant: no text that is raised or logged here contains a secret.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from dispatcher.domain.errors import BadValue
from dispatcher.settings import Settings, secret

SEALED = "sealed:"
_HINT = "`dispatch senders seal-key` writes one; seal_key names where it is, the same for all processes"


class Vault:
    """Opens references, and seals tokens. Keys are read when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: MultiFernet | None = None

    def read(self, reference: str) -> str:
        """The secret behind `env:NAME`, `file:/path` or `sealed:…`. Raises BadValue."""
        if not reference.startswith(SEALED):
            return secret(reference)
        try:
            return self._ring().decrypt(reference.removeprefix(SEALED)).decode()
        except InvalidToken:
            raise BadValue(
                "a sealed token cannot be opened: none of our keys is the one it was sealed with",
                hint="name that key in seal_keys_before, or give the sender its token anew",
            ) from None

    def seal(self, token: str) -> str:
        """A reference that holds the token, encrypted. Raises BadValue where no key is configured."""
        if not token or token != token.strip() or not token.isascii() or not token.isprintable():
            raise BadValue("this is no access token: it is empty, or has blanks or other odd characters")
        return SEALED + self._ring().encrypt(token.encode()).decode()

    def reseal(self, reference: str) -> str:
        """The same secret, sealed with the present key. Raises BadValue."""
        return self.seal(self.read(reference))

    def _ring(self) -> MultiFernet:
        if self._keys is None:
            if self._settings.seal_key is None:
                raise BadValue("no key is configured (seal_key), so tokens cannot be sealed", hint=_HINT)
            references = [self._settings.seal_key, *sorted(self._settings.seal_keys_before)]
            self._keys = MultiFernet([_key(reference) for reference in references])
        return self._keys


def new_key() -> str:
    """A random key, for whoever keeps it."""
    return Fernet.generate_key().decode()


def _key(reference: str) -> Fernet:
    try:
        return Fernet(secret(reference))
    except (ValueError, UnicodeEncodeError) as error:
        if isinstance(error, BadValue):
            raise
        # why without the cause: its text might tell of the key.
        raise BadValue(f"what {reference} holds is no key for sealing", hint=_HINT) from None
