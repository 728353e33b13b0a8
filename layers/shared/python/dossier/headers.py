"""Headers of answers, as values. Every header is hostile input: what cannot be read is None or nothing, never an error.

A vendor, its storage, or a gateway between writes them. Each function takes the header's text as httpx gives it,
repeated headers joined by commas (RFC 9110, section 5.3).
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
"""Headers of an API's answer that anything reads: no other one is handed on, stored or shown."""
CODINGS = frozenset(
    {
        *("aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "zstd"),
        *("x-compress", "x-gzip"),
    }
)
"""https://www.iana.org/assignments/http-parameters: the content codings, but for ``identity``."""
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What ``email.utils`` raises for dates that are none: a year of twenty digits is an OverflowError."""


class Range(NamedTuple):
    """Which bytes an answer holds: from ``first`` to ``last``, of ``total`` (None where it is not told)."""

    first: int
    last: int
    total: int | None


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are handed on with an API's answer, by lower-case name, each cut to ``LONGEST``."""
    return {name.lower(): value[:LONGEST] for name, value in headers.items() if name.lower() in READ}


def http_date(text: str) -> datetime | None:
    """Return the moment that a date names, in each form of RFC 9110, section 5.6.7; without a zone it is UTC."""
    if len(text) > LONGEST:
        return None
    try:
        found = parsedate_to_datetime(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except _UNREADABLE:
        return None


def pause(text: str, *, at: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, counted from ``at``; None if it is neither number nor date.

    RFC 9110, section 10.2.3. Of a repeated header the longest pause counts.
    """
    parts = [part.strip() for part in text[:LONGEST].split(",")]
    if all(re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", part) for part in parts):
        return max(float(part) for part in parts)
    until = http_date(text)
    return None if until is None else max((until - at).total_seconds(), 0.0)


def length(text: str) -> int | None:
    """Return a length in bytes; None for what is none, and for several that differ (RFC 9110, section 8.6)."""
    found = {part.strip() for part in text.split(",")} if len(text) <= LONGEST else set()
    value = found.pop() if len(found) == 1 else ""
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def content_range(text: str) -> Range | None:
    """Return which bytes an answer holds (RFC 9110, section 14.4); None for what is no range of bytes."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", text.strip()[:LONGEST], re.IGNORECASE)
    if found is None:
        return None
    first, last, total = int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])
    return Range(first, last, total) if first <= last and (total is None or last < total) else None


def codings(text: str) -> list[str]:
    """Return the content codings of a body, in the order in which they were applied (RFC 9110, section 8.4).

    What is no coding is left out: object stores send what an uploader once stored as ``Content-Encoding`` (``utf-8``,
    ``binary``, or the ``aws-chunked`` that framed the upload), and it changes nothing about the bytes.
    """
    named = (part.strip().lower() for part in text[:LONGEST].split(","))
    return [{"x-gzip": "gzip", "x-compress": "compress"}.get(each, each) for each in named if each in CODINGS]


def media_type(text: str) -> str:
    """Return a media type without its parameters, in lower case; empty for what is none (RFC 9110, section 8.3.1)."""
    plain = text[:LONGEST].partition(";")[0].strip().lower()
    return plain if re.fullmatch(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}", plain) else ""
