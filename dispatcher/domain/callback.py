"""Where events may go, and what comes of a delivery.

Whoever may make a subscription could otherwise have us ask anything that we can reach: a metadata service, a database, a
printer. So a target must be in the public internet, by the address that the connection is made to and not by its name, or
in a network that the operator has allowed. Names are resolved elsewhere; here are the rules.

Source: IANA, "IPv4 Special-Purpose Address Registry" and "IPv6 Special-Purpose Address Registry", read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit

from dispatcher.domain.errors import BadValue

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

URL_MOST_CHARS = 2_000
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][A-Za-z0-9/?:@!$&'()*+,;=%._~-]*)?"
)
"""No user, no fragment, nothing that two readers might read differently; names in other scripts as `xn--…`."""

_FORBIDDEN: Sequence[tuple[Network, str]] = [
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a provider's own network"),
        ("127.0.0.0/8", "this host"),
        ("169.254.0.0/16", "the local link"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "an example"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "a network for measurements"),
        ("198.51.100.0/24", "an example"),
        ("203.0.113.0/24", "an example"),
        ("224.0.0.0/4", "a group of hosts"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this host"),
        ("::1/128", "this host"),
        ("::/96", "reserved"),
        ("64:ff9b:1::/48", "a private network"),
        ("100::/64", "reserved"),
        ("100:0:0:1::/64", "reserved"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "an example"),
        ("3fff::/20", "an example"),
        ("5f00::/16", "reserved"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "the local link"),
        ("fec0::/10", "a private network"),
        ("ff00::/8", "a group of hosts"),
    )
]
_TRANSLATED = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
"""Networks whose addresses stand for an IPv4 address, and by how many bits it is shifted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a subscription's events go."""

    url: str
    host: str
    """A name, or an address without brackets."""
    port: int
    is_encrypted: bool


def parse_target(url: str) -> Target:
    """What a subscription's address says. Raises BadValue."""
    if len(url) > URL_MOST_CHARS or not _URL.fullmatch(url):
        raise BadValue(
            "this is no address for events; nothing was done",
            hint="it looks like https://shop.example/events, with any port, and without a user or a fragment",
        )
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
        host = (
            str(ip_address(parts.hostname or ""))
            if url.partition("//")[2].startswith("[")
            else parts.hostname
        )
    except ValueError:
        raise BadValue("the host or the port of this address is none; nothing was done") from None
    return Target(url, host or "", port, parts.scheme == "https")


def parse_networks(written: Sequence[str] | frozenset[str]) -> Sequence[Network]:
    """Networks such as `10.0.0.0/8` and single addresses. Raises BadValue."""
    try:
        return [ip_network(each) for each in sorted(written)]
    except ValueError as error:
        raise BadValue(f"this is no network: {error}") from None


def refusal(address: Address, host: str, allowed: Sequence[Network], *, is_encrypted: bool) -> str | None:
    """Why nothing may be sent to this address, which a host's name stands for; None: it may.

    Allowed networks also take events that are not encrypted.
    """
    meant = _meant(address)
    if any(meant in network for network in allowed if network.version == meant.version):
        return None
    for network, what in _FORBIDDEN:
        if network.version == meant.version and meant in network:
            return f"{host} is at {address}, which is {what}, and events_networks does not allow it"
    if not is_encrypted:
        return f"{host} is in the public internet, where events go by https only"
    return None


def _meant(address: Address) -> Address:
    """The address that is reached in the end."""
    if isinstance(address, IPv6Address):
        for network, shift in _TRANSLATED:
            if address in network:
                return IPv4Address((int(address) >> shift) & 0xFFFF_FFFF)
    return address


class CallbackKind(StrEnum):
    """What came of a delivery."""

    DELIVERED = "delivered"
    """The receiver has answered with 2xx."""
    REFUSED = "refused"
    """It has answered otherwise; a redirect is not followed."""
    GONE = "gone"
    """It has answered 410: it wants no more."""
    UNREACHABLE = "unreachable"
    """There is no connection to it, so it has seen nothing."""
    LOST = "lost"
    """There was a connection and no answer in time, so it may have seen the events."""
    FORBIDDEN = "forbidden"
    """It is in a network into which nothing may be sent."""


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What came of a delivery. The text never holds anything the receiver has written, nor the address as a whole."""

    kind: CallbackKind
    text: str = ""
    retry_after: timedelta | None = None
    """What the receiver asked for."""
    is_defect: bool = False
    """Whether the receiver says that the fault is its own (5xx)."""

    @property
    def may_pass(self) -> bool:
        """Whether trying again within seconds may help."""
        return self.retry_after is None and (
            self.kind in (CallbackKind.UNREACHABLE, CallbackKind.LOST) or self.is_defect
        )


_WAIT_FIRST_S = 1.0
_WAIT_MOST_S = 300.0
_ASKED_LEAST_S, _ASKED_MOST_S = 1.0, 3_600.0


def next_wait(failures: int, retry_after: timedelta | None, dice: float) -> timedelta:
    """How long delivery waits after so many failed turns in a row (1 is the first).

    Doubles from a second to five minutes, less up to half by `dice` (0 to 1), so that many do not come back at one moment.
    What the receiver asks for is respected from a second to an hour.
    """
    if retry_after is not None:
        asked_s = retry_after.total_seconds()
        return timedelta(seconds=min(max(asked_s, _ASKED_LEAST_S), _ASKED_MOST_S))
    longest_s = min(_WAIT_MOST_S, _WAIT_FIRST_S * 2 ** min(failures, 20))
    return timedelta(seconds=longest_s * (1 - dice / 2))


def batch_size(most: int, failures: int) -> int:
    """How many events are tried at once after so many failures: fewer each time, so that in the end only one is in the way."""
    return max(1, most >> min(failures, 20))
