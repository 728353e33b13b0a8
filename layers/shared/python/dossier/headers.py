"""Parse headers of answers. Every header is hostile input: a malformed one is None or empty, never an error.

A vendor, its storage or a gateway writes them. Each function takes the header's text as httpx returns it, with repeated
headers joined by commas (RFC 9110, section 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LONGEST = 200
"""Longest header that is read as a date, a range or a media type, in characters."""
READ = frozenset({"content-type", "date", "retry-after"})
"""The only headers of an API's answer that are used; others are never stored or shown."""
CODINGS = frozenset(
    {
        *("aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "zstd"),
        *("x-compress", "x-gzip"),
    }
)
"""https://www.iana.org/assignments/http-parameters: the content codings except ``identity``."""
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""The errors of ``email.utils`` for invalid dates: a year of twenty digits is an OverflowError."""


class Range(NamedTuple):
    """The bytes in an answer: from ``first`` to ``last``, of ``total`` (None if unknown)."""

    first: int
    last: int
    total: int | None


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an API's answer that are used, by lower-case name, each cut to ``LONGEST``."""
    return {name.lower(): value[:LONGEST] for name, value in headers.items() if name.lower() in READ}


def http_date(text: str) -> datetime | None:
    """Parse a date in any form of RFC 9110, section 5.6.7, by default in UTC; None if it is malformed."""
    if len(text) > LONGEST:
        return None
    try:
        found = parsedate_to_datetime(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except _UNREADABLE:
        return None


def pause(text: str, *, at: datetime) -> float | None:
    """Return the seconds of a ``Retry-After`` from ``at`` on; None if it is neither a number nor a date.

    If the header is repeated, the longest pause counts. Source: RFC 9110, section 10.2.3.
    """
    parts = [part.strip() for part in text[:LONGEST].split(",")]
    if all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", part) for part in parts):
        return max(float(part) for part in parts)
    until = http_date(text)
    return None if until is None else max((until - at).total_seconds(), 0.0)


def length(text: str) -> int | None:
    """Return a length in bytes; None if it is malformed, or repeated with another value (RFC 9110, section 8.6)."""
    found = {part.strip() for part in text.split(",")} if len(text) <= LONGEST else set()
    value = found.pop() if len(found) == 1 else ""
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def content_range(text: str) -> Range | None:
    """Return the range of bytes in an answer, or None (RFC 9110, section 14.4)."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", text.strip()[:LONGEST], re.IGNORECASE)
    if found is None:
        return None
    first, last, total = int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])
    return Range(first, last, total) if first <= last and (total is None or last < total) else None


def codings(text: str) -> list[str]:
    """Return the content codings of a body in the order of their application (RFC 9110, section 8.4).

    Unknown codings are left out: object stores repeat the uploader's ``Content-Encoding`` (``utf-8``, ``binary``, or
    the ``aws-chunked`` of the upload), which does not change the bytes.
    """
    named = (part.strip().lower() for part in text[:LONGEST].split(","))
    return [{"x-gzip": "gzip", "x-compress": "compress"}.get(each, each) for each in named if each in CODINGS]


def media_type(text: str) -> str:
    """Return a media type in lower case without parameters; empty if it is malformed (RFC 9110, section 8.3.1)."""
    plain = text[:LONGEST].partition(";")[0].strip().lower()
    return plain if re.fullmatch(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}", plain) else ""
