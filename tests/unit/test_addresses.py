"""Which addresses are public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.addresses import is_of_the_inside, is_public


@pytest.mark.rule("security: do the same with a name that resolves to an internal address")
@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "172.16.0.1", "172.31.255.255", "192.0.0.192",
        "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
        "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1",
        "ff02::1", "", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "1.2.3.4%eth0",
    ],
)  # fmt: skip
def test_private_and_reserved_addresses_are_not_public(address: str) -> None:
    """Private, loopback, link-local, metadata, multicast, reserved and embedded addresses are not public."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "52.216.0.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111",
     "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_ordinary_addresses_are_public(address: str) -> None:
    """Hosts of the internet are, in IPv6's ways to write an IPv4 address too."""
    assert is_public(address)


@given(st.ip_addresses())
def test_no_address_is_public_that_ipaddress_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Whatever the standard library knows as private, local, multicast or reserved is not public."""
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    nat64 = address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")
    if (special or address.is_unspecified or address.is_reserved) and not nat64:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert not is_public(str(address)) or (mapped is not None and mapped.is_global)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    """However an IPv4 address is wrapped, the answer is that of the host that a connection ends at."""
    for wrapped in (
        f"::ffff:{address}",
        str(ipaddress.IPv6Address(int(ipaddress.ip_address("64:ff9b::")) + int(address))),
    ):
        assert is_public(wrapped) == is_public(str(address))


@pytest.mark.rule("security: send a vendor to an internal network with a URL that it reads itself")
@given(st.ip_addresses(v=4))
def test_a_host_is_judged_however_its_address_is_written(address: ipaddress.IPv4Address) -> None:
    """Resolvers of old read an address as one number, in octal and hexadecimal, and with fewer parts."""
    number, (first, second, third, fourth) = int(address), address.packed
    for host in (
        str(address), f"{address}.", str(number), hex(number), f"{first}.{number & 0xFFFFFF}",
        f"{first:#x}.{second:#o}.{third}.{fourth}".replace("0o", "0"), f"[::ffff:{address}]",
    ):  # fmt: skip
        assert is_of_the_inside(host) == (not is_public(str(address))), host


@pytest.mark.parametrize(
    "host", ["files.example.com", "b.s3.amazonaws.com", "xn--mller-kva.example", "a.local.example"]
)
def test_a_public_name_is_not_internal(host: str) -> None:
    """Its addresses are checked when a client connects."""
    assert not is_of_the_inside(host)
