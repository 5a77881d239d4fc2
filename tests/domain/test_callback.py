"""Where events may go: the whole table of addresses, the ways of writing one, and how long a failure waits."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.callback import batch_size, next_wait, parse_networks, parse_target, refusal
from dispatcher.domain.errors import BadValue

PUBLIC = ("8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "2606:2800:220:1::1")
FORBIDDEN = (
    "0.0.0.0",  # noqa: S104 - an address that is looked at, not listened to
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.7",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "::ffff:0:10.1.2.3",
    "64:ff9b::10.1.2.3",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a01:203::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_nothing_goes_into_networks_that_are_not_the_public_internet(address: str) -> None:
    why = refusal(ip_address(address), "shop.example", (), is_encrypted=True)
    assert why is not None
    assert why.startswith(f"shop.example is at {ip_address(address)}, which is ")


@pytest.mark.parametrize("address", [*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_events_go_into_the_public_internet_by_https_only(address: str) -> None:
    assert refusal(ip_address(address), "shop.example", (), is_encrypted=True) is None
    assert "https only" in (refusal(ip_address(address), "shop.example", (), is_encrypted=False) or "")


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::7"])
def test_what_is_allowed_is_allowed_however_it_is_written_and_also_without_encryption(address: str) -> None:
    allowed = parse_networks(["10.0.0.0/8", "fd00::/8"])
    for is_encrypted in (True, False):
        assert refusal(ip_address(address), "shop.example", allowed, is_encrypted=is_encrypted) is None
    assert refusal(ip_address("192.168.0.1"), "shop.example", allowed, is_encrypted=True) is not None


@given(st.ip_addresses(v=4))
def test_no_address_that_python_calls_private_is_let_through(address: IPv4Address) -> None:
    """Its own table is of another hand, and differs from version to version; ours is at least as strict."""
    if not address.is_global or address.is_multicast:
        for each in (address, IPv6Address(f"::ffff:{address}"), IPv6Address(f"64:ff9b::{address}")):
            assert refusal(each, "shop.example", (), is_encrypted=True) is not None


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://shop.example", "shop.example", 443),
        ("https://shop.example/events?key=a%20b", "shop.example", 443),
        ("https://Shop.Example:8443/", "shop.example", 8443),
        ("http://10.0.0.7:1/x", "10.0.0.7", 1),
        ("https://[fd00::7]:8443/events", "fd00::7", 8443),
        ("http://2130706433/", "2130706433", 80),  # resolved like any other name, and looked at then
    ],
)
def test_an_address_is_read_as_a_client_reads_it(url: str, host: str, port: int) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.is_encrypted) == (host, port, url.startswith("https:"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example/",
        "https:/shop.example",
        "https://user@shop.example/",
        "https://user:secret@shop.example/",
        "https://shop.example/#part",
        "https://shop.example\\@10.0.0.1/",
        "https://shop example/",
        "https://shop.example/\n",
        "https://shop.example:99999/",
        "https://shop.example:/",
        "https://[::1/",
        "https://[nonsense]/",
        "https://müller.example/",
        "https://shop.example/" + "x" * 2_000,
        "HTTPS://shop.example/",
    ],
)
def test_whatever_could_be_read_in_two_ways_is_no_address(url: str) -> None:
    with pytest.raises(BadValue):
        parse_target(url)


def test_what_is_no_network_is_no_setting() -> None:
    with pytest.raises(BadValue):
        parse_networks(["10.0.0.1/8"])


def test_waits_grow_to_five_minutes_and_do_not_come_together() -> None:
    longest = [next_wait(failures, None, 0.0).total_seconds() for failures in range(1, 12)]
    assert longest == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert next_wait(1_000_000, None, 0.0) == timedelta(minutes=5)
    assert next_wait(3, None, 1.0) == timedelta(seconds=4)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(-5, 1), (0, 1), (90, 90), (10**8, 3_600)])
def test_what_a_receiver_asks_for_is_respected_within_bounds(asked_s: int, waited_s: int) -> None:
    assert next_wait(1, timedelta(seconds=asked_s), 0.5) == timedelta(seconds=waited_s)


def test_batches_shrink_until_one_event_is_alone_in_the_way() -> None:
    assert [batch_size(100, failures) for failures in (0, 1, 2, 6, 7, 1_000_000)] == [100, 50, 25, 1, 1, 1]
