"""Check that a vendor's URL only leads to a public address.

A vendor says where an artifact is, and Dossier downloads it from inside the team's network. So addresses that are
private, loopback, link-local (cloud metadata), multicast, reserved or for documentation are rejected, also as IPv4
addresses inside IPv6.
"""

from __future__ import annotations

import socket
import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform service, a public address that no network routes
        "169.254.0.0/16",  # link-local: the metadata of AWS, Azure, Google
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
    )
)
"""https://www.iana.org/assignments/iana-ipv4-special-registry, and the clouds' metadata services."""

_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, which holds an IPv4 address, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
"""https://www.iana.org/assignments/iana-ipv6-special-registry; outside ``2000::/3`` nothing is global unicast."""

_LONGEST_NAME = 255
"""Longest name of a host, in characters (RFC 1035, section 2.3.4)."""
_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052, section 2.1: the last 32 bits are an IPv4 address. (RFC 8215's local prefix is rejected as a whole.)"""


_INSIDE = (".localhost", ".local", ".localdomain", ".internal", ".home.arpa", ".arpa")
"""Endings of names that no public resolver answers (https://www.iana.org/assignments/special-use-domain-names), and
of clouds' internal hosts."""


def is_of_the_inside(host: str) -> bool:
    """Return whether a URL's host is not public, by its name alone: nothing is resolved.

    A number counts as the address that old resolvers read in it (``127.1``, ``0x7f.0.0.1``, ``2130706433``).
    """
    plain = unicodedata.normalize("NFKC", host[:_LONGEST_NAME]).lower().strip("[]").rstrip(".")
    if not plain or "%" in plain or len(host) > _LONGEST_NAME:  # a client that decodes it may read another host
        return True
    if ":" in plain:
        return not is_public(plain)
    try:
        return not is_public(socket.inet_ntoa(socket.inet_aton(plain)))
    except (OSError, UnicodeError):
        return "." not in plain or plain.endswith(_INSIDE)


def is_public(address: str) -> bool:
    """Return whether an address, as a resolver writes it, belongs to the public internet."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):  # a connection may end at an embedded IPv4 address
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif parsed in _NAT64:
            parsed = IPv4Address(int(parsed) & 0xFFFFFFFF)
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_4)
    return parsed in _GLOBAL_6 and not any(parsed in network for network in _NOT_PUBLIC_6)
