"""Which of a vendor's URLs are opened, and how: byte for byte, because they are signed."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from dossier.errors import UntrustedUrlError
from dossier.settings import Connection

LONGEST_URL = 16_384
"""Longest URL of an artifact, in characters: a signed one has some thousands at most."""
PORTS = {"https": 443, "http": 80}
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))


def allow(connection: Connection, url: str) -> None:
    """Reject a URL from a vendor that points where the connection does not allow.

    Raises:
        UntrustedUrlError: wrong scheme, host or port, or a URL that parsers may read differently.

    """
    schemes = {"https", "http"} if connection.allow_insecure else {"https"}
    wrong = UntrustedUrlError(f"an artifact URL is not {' or '.join(sorted(schemes))}://host/…: it is not opened")
    if len(url) > LONGEST_URL or url != url.strip() or not all(each.isprintable() for each in url):
        raise wrong
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if "@" in parts.netloc or "\\" in parts.netloc or parts.scheme not in schemes or not parts.hostname:
        raise wrong
    usual = PORTS[parts.scheme]
    home = urlsplit(connection.base_url)
    allowed = {((home.hostname or "").lower(), home.port or PORTS[home.scheme])}
    for host in connection.storage_hosts:  # a host without a port only allows the default port
        other = urlsplit(f"{parts.scheme}://{host}")
        allowed.add(((other.hostname or "").lower(), other.port or usual))
    place = parts.hostname.lower(), port or usual
    if place not in allowed:
        shown = place[0][:100] + (f":{port}" if port not in {None, usual} else "")
        raise UntrustedUrlError(
            f"an artifact URL points to {shown}: add it to storage_hosts of [{connection.name}] if that is correct"
        )


def redirected(url: str, location: str) -> str:
    """Return the target of a redirect: an absolute URL byte for byte (it is signed), else resolved against ``url``."""
    if location[:8].lower().startswith(("https://", "http://")) or len(location) > LONGEST_URL:
        return location
    try:
        return urljoin(url, location)
    except ValueError:
        raise UntrustedUrlError("storage redirected to a malformed URL: it is not opened") from None


def target(url: str) -> bytes:
    """Return path and query of a URL byte for byte, where httpx would resolve ``..`` and the like.

    Only characters that HTTP does not allow (blanks, control characters, non-ASCII) are percent-encoded.
    """
    parts = urlsplit(url)
    rest = url.partition("//")[2][len(parts.netloc) :].partition("#")[0]
    return quote(rest if rest.startswith("/") else f"/{rest}", safe=_PRINTABLE).encode("ascii")
