"""Where webhooks go: an address with the app's secret, and the signed requests that are made to it.

Source: Meta, "Create a webhook endpoint" (verification requests) and "Webhooks"
(`X-Hub-Signature-256`), read 2026-09.
"""

import hmac
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class Callback:
    """A receiver's address, http or https. The secret signs; the verify token is for the handshake only."""

    url: str
    app_secret: str = "sandbox-secret"  # noqa: S105 - signs nothing but the sandbox's webhooks
    verify_token: str = "sandbox-verify"  # noqa: S105 - as above
    host: str = field(init=False, repr=False, compare=False)
    port: int = field(init=False, repr=False, compare=False)
    is_tls: bool = field(init=False, repr=False, compare=False)
    _target: str = field(init=False, repr=False, compare=False)
    _origin: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the address once. Raises ValueError when nothing can be sent there."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not self.url.isascii():
            raise ValueError("a callback's url is http(s)://host[:port][/path]")
        object.__setattr__(self, "is_tls", parts.scheme == "https")
        object.__setattr__(self, "host", parts.hostname)
        object.__setattr__(self, "port", parts.port or (443 if self.is_tls else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_origin", parts.netloc.rpartition("@")[2].encode())

    def post(self, body: bytes, signature: str | None = None) -> bytes:
        """The request that delivers a body. signature: instead of the right one; '' for none at all."""
        signed = signature_of(body, self.app_secret) if signature is None else signature
        header = b"x-hub-signature-256: %b\r\n" % signed.encode() if signed else b""
        return (
            b"POST %b HTTP/1.1\r\nhost: %b\r\nuser-agent: facebookexternalua\r\n"
            b"content-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
        ) % (self._target.encode(), self._origin, header, len(body), body)

    def verification(self, challenge: str) -> bytes:
        """The request that asks whether somebody at this address knows the verify token."""
        query = f"hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={quote(self.verify_token, safe='')}"
        target = f"{self._target}{'&' if '?' in self._target else '?'}{query}"
        return b"GET %b HTTP/1.1\r\nhost: %b\r\nuser-agent: facebookexternalua\r\n\r\n" % (
            target.encode(),
            self._origin,
        )


def signature_of(body: bytes, app_secret: str) -> str:
    """The value of `X-Hub-Signature-256`: HMAC-SHA256 over these exact bytes with the app's secret."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()
