"""Requests and replies as plain values, which a vendor adapter builds and reads without a socket.

An adapter's operation is a *flow*: a generator that yields a :class:`Request`, is sent the :class:`Reply`, and returns
its answer. The transport drives a flow over httpx; a test drives it over recorded replies (``dossier.senders``).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias, TypeVar
from urllib.parse import quote

from dossier.errors import InvalidCaseError, MalformedAnswerError
from dossier.headers import media_type
from dossier.names import safe_name
from dossier.texts import leads_elsewhere

MOST_VALUES = 500_000
"""Most values in one answer: ``[[],[],…`` takes twenty times its size in memory, and a function has 512 MiB."""
LONGEST_PLAIN = 120
"""Longest id, in characters, that is used unchanged in a stored answer's name; a name has at most 150."""
DEEPEST = 100
"""Most levels of nesting in one answer."""


class Effect(StrEnum):
    """The effect of repeating a request, which decides what a lost answer means."""

    SAFE = "safe"
    """Reads, or sets something to the same value again: may be repeated."""

    UNSAFE = "unsafe"
    """Creates, uploads or triggers: a lost answer raises ``OutcomeUnknownError``."""


Refusal: TypeAlias = tuple[frozenset[str], ...]
"""The form of a vendor's rejections: a JSON object with all keys of one of these sets."""
ANY_REFUSAL: Refusal = tuple(frozenset({key}) for key in ("message", "detail", "error_message", "error"))
"""For a vendor that documents no form."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a multipart upload; the transport opens ``key`` in the case's bucket and streams it."""

    field: str
    filename: str
    content_type: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class About:
    """What a request is about, and the fields of which one names it in the answer, if the answer has any of them."""

    id: str
    fields: tuple[str, ...]

    def another(self, answer: Any) -> bool:
        """Whether an answer, decoded, is about something else."""
        given = answer if isinstance(answer, dict) else {}
        found = [each for each in map(given.get, self.fields) if isinstance(each, str) and each]
        return bool(found) and self.id.lower() not in {each.lower() for each in found}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a vendor's API.

    ``path`` is the API's path, percent-encoded, and is appended to the connection's ``base_url``. At most one of
    ``json`` and (``fields``, ``files``) is used; ``files`` makes it multipart. ``keep`` names the raw answer in the
    case's ``vendor/`` folder (without ``.json``): a 2xx body is stored there unchanged, or only the part that ``cut``
    returns (None: nothing), if the rest belongs to other cases. ``refusal`` is the form of the vendor's rejections,
    which decides what a status means (``dossier.replies.fail``). An answer to a ``shared`` request also serves the
    look-ups of the connection's other cases (``stores/lookups.py``). ``about`` is what the answer has to be about.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Any = None
    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FilePart, ...] = ()
    effect: Effect = Effect.SAFE
    keep: str | None = None
    cut: Callable[[bytes], bytes | None] | None = None
    refusal: Refusal = ANY_REFUSAL
    shared: bool = False
    about: About | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer: ``headers`` have lower-case names; ``body`` is complete and within the size limit."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the decoded body.

        Raises:
            MalformedAnswerError: the body is not JSON (for example an HTML error page).

        """
        try:
            return decode(self.body)
        except (ValueError, RecursionError) as error:
            kind = media_type(self.headers.get("content-type", "")) or "no content type"
            message = f"the vendor answered {self.status} with a body that is not JSON ({kind})"
            raise MalformedAnswerError(message) from error


def segment(text: str) -> str:
    """Return an opaque id as one segment of a path, percent-encoded.

    Raises:
        InvalidCaseError: it would lead to another path (``..``, ``a/../b``), and the key would be sent there.

    """
    if not text or leads_elsewhere(text):
        raise InvalidCaseError(f'"{text[:100]}" is not a valid id: as part of a path it leads elsewhere. Check the id')
    return quote(text, safe="")


def kept_name(kind: str, text: str) -> str:
    """Return the name under which an answer about an opaque id is stored (``Request.keep``).

    Ids that are the same after clean-up (``a/b`` and ``a_b``, two long ones) get different names.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:LONGEST_PLAIN]
    same = plain == text == safe_name(text)
    return f"{kind}-{plain}" if same else f"{kind}-{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Number(float):
    """A JSON number as the nearest finite float; ``text`` is the number as the vendor wrote it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Parse a number's text; one out of range becomes the largest float."""
        made = super().__new__(cls, max(-sys.float_info.max, min(float(text), sys.float_info.max)))
        made.text = text
        return made

    def __str__(self) -> str:
        """Return the vendor's text."""
        return self.text

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        """Keep ``text`` in copies."""
        return type(self), (self.text,)


def written(value: Any) -> str:
    """Return a decoded value as JSON text, each number as the vendor wrote it."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        pairs = (f"{json.dumps(str(key), ensure_ascii=False)}: {written(each)}" for key, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def decode(body: bytes, *, constant: Callable[[str], Any] = lambda _: None) -> Any:
    """Return the JSON value in a body of UTF-8 (RFC 8259, section 8.1), with or without a byte order mark.

    A number that is not a plain integer is a :class:`Number`. Half of a surrogate pair (from a text that a vendor cut
    inside an emoji) becomes ``?``, because it cannot be stored.

    Args:
        body: the text.
        constant: returns the value for ``NaN`` and the infinities, which JSON does not have but some vendors write.

    Raises:
        ValueError: the body is not JSON, is nested too deeply, or has too many values.
        RecursionError: it is nested much too deeply.

    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    text = body.decode("utf-8-sig")
    value = json.loads(text, parse_constant=constant, parse_float=Number, parse_int=_whole)
    if not _shallow(value):
        raise ValueError(f"nested more than {DEEPEST} levels")
    return _storable(value) if b"\\ud" in body or b"\\uD" in body else value


def _whole(text: str) -> int | Number:
    return Number(text) if text == "-0" else int(text)


def _storable(value: Any) -> Any:
    """Return a value with ``?`` in place of lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value


def _shallow(value: Any) -> bool:
    """Whether no part of a value is nested more than ``DEEPEST`` levels, so that recursion over it is safe."""
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
