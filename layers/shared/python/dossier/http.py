"""Requests and replies as plain values: what a vendor adapter builds and reads, without a socket.

An adapter's operation is a *flow*: a generator that yields a :class:`Request`, is sent the :class:`Reply`, and returns
its answer. ``transport.run`` drives a flow over httpx; a test drives it over recorded replies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from dossier.errors import MalformedAnswerError

MOST_VALUES = 2_000_000
"""Values in one answer: ``[[],[],…`` takes twenty times its size in memory."""
DEEPEST = 100
"""Levels of nesting in one answer."""


class Effect(StrEnum):
    """What repeating a request does: decides what a lost answer means."""

    SAFE = "safe"
    """Reads, or sets something to the same value again: may be repeated."""

    UNSAFE = "unsafe"
    """Creates, uploads or triggers: a lost answer raises ``OutcomeUnknownError``."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a multipart upload; the transport opens ``key`` in the case's bucket and streams it."""

    field: str
    filename: str
    content_type: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a vendor's API.

    ``path`` is the API's own path, percent-encoded, and is added to the connection's ``base_url``. At most one of
    ``json`` and (``fields``, ``files``) is used; ``files`` makes it multipart. ``keep`` names the raw answer under
    the case's ``vendor/`` folder (without ``.json``); a 2xx body is stored there unchanged.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Any = None
    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FilePart, ...] = ()
    effect: Effect = Effect.SAFE
    keep: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer: ``headers`` have lower-case names; ``body`` is complete and within the size limit."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the decoded body.

        Raises:
            MalformedAnswerError: the body is not JSON (an HTML error page, say).

        """
        try:
            return decode(self.body)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            message = f"the vendor answered {self.status} with a body that is not JSON ({kind})"
            raise MalformedAnswerError(message) from error


def decode(body: bytes) -> Any:
    """Return the JSON value in a body of UTF-8 (RFC 8259, section 8.1), with or without a byte order mark.

    Half of a surrogate pair (a text that a vendor cut inside an emoji) becomes ``?``: it could not be stored again.
    ``NaN`` and infinities, which some vendors write though JSON has none, become null; ``1e999`` the largest number.

    Raises:
        ValueError: the body is not JSON, is nested too deeply, or has too many values.
        RecursionError: it is nested far too deeply.

    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    text = body.decode("utf-8-sig")
    value = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    if b"\\ud" in body or b"\\uD" in body:
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    if not _shallow(value):
        raise ValueError(f"nested more than {DEEPEST} levels")
    return value


def _finite(text: str) -> float:
    return max(-sys.float_info.max, min(float(text), sys.float_info.max))


def _shallow(value: Any) -> bool:
    """Whether no part of a value is nested more than ``DEEPEST`` levels: whoever walks it later may recurse."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


_T = TypeVar("_T")
Flow: TypeAlias = Generator[Request, Reply, _T]
"""A vendor's operation in steps: yields requests, is sent replies, returns its answer."""
