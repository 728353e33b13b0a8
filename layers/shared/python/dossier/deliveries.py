"""Read the ids from a delivery, in the shapes that vendors and relays use. Never raises, and is bounded.

Ids are looked for under the names that a kind of thing has (``case_id``, ``caseId``, ``Case-ID``, ``case``,
``case_ids``, ``cases``), as text, as numbers, and in objects (``id``, ``_id``, ``case_id``); in an object that says
what it is (``{"object": "case", "id": …}``) or that an event says it of (``{"event": "case.updated", "data": {"id":
…}}``); in JSON that stands inside a text, in base64 or in lines; and in forms of both kinds.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from dossier.http import Number, decode
from dossier.texts import STATUS, identifier, line

DEEPEST = 6
"""Most levels of nesting that are searched."""
MOST_NODES = 2_000
"""Most objects and lists that are searched, over all levels."""
MOST_IDS = 50
"""Most ids of one kind that are read from one delivery."""
MOST_TEXTS = 20
"""Most texts that are parsed as JSON."""
LONGEST_TEXT = 256 << 10
"""Longest text, in characters, that is parsed as JSON."""
MOST_FIELDS = 200
"""Fields of a form that are read."""
MOST_LINES = 50
"""Lines of a body that are read as JSON, each by itself."""
_LABELS = ("event", "event_type", "event_name", "type", "action")
_EVENTS = ("event", "eventtype", "eventname", "type", "action")
"""The same, folded."""
_OWN_IDS = ("id", "_id", "uuid")
_SAYS = frozenset(
    {"object", "objecttype", "resource", "resourcetype", "entity", "entitytype", "type", "kind", "model", "table"}
)
"""Names, folded, under which an object says what it is; with ``id`` behind them, what its id is called."""
_INSIDE = frozenset({"data", "object", "payload", "resource", "entity", "record", "attributes"})
"""Names, folded, of the object that an event, or an object that says what it is, wraps."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_JSON_IN_BASE64 = ("eyJ", "eyAi", "ewog", "ewoJ", "ew0K", "W3si", "W3sg", "WyJ7")
"""How the base64 of ``{"``, ``{ "``, a brace and a line end, and ``[{`` begins."""


class Delivery:
    """A delivery's content, level by level from the top."""

    def __init__(self, body: bytes) -> None:
        self._texts = MOST_TEXTS
        self._payload = self._parsed(body)
        self.levels = list(self._walk())
        self._folded = [[_named(node) for node in level] for level in self.levels]

    def event(self, otherwise: str) -> str:
        """Return the event that the delivery names, or ``otherwise``."""
        top = self._payload if isinstance(self._payload, dict) else {}
        label = next((top[key] for key in _LABELS if isinstance(top.get(key), str) and top[key].strip()), "")
        return line(label, STATUS) or otherwise

    def ids(self, *kinds: str, nearest: bool = False) -> tuple[str, ...]:
        """Return the ids of things of these kinds; with ``nearest`` only those of the uppermost level that has any."""
        found: dict[str, None] = {}
        for level in self._folded:
            for named in level:
                found |= dict.fromkeys(each for kind in kinds for each in _ids(named, kind))
                if len(found) >= MOST_IDS:
                    return tuple(found)[:MOST_IDS]
            if nearest and found:
                break
        return tuple(found)

    def under(self, *names: str) -> tuple[str, ...]:
        """Return the ids under exactly these names."""
        values = (node.get(name) for level in self.levels for node in level for name in names)
        return tuple(dict.fromkeys(found for each in values if (found := identifier(each))))[:MOST_IDS]

    def text(self, name: str) -> str | None:
        """Return the first text under a name, as one line, or None."""
        texts = (node.get(name) for level in self.levels for node in level)
        return next((found for each in texts if isinstance(each, str) and (found := line(each))), None)

    def _parsed(self, body: bytes) -> Any:
        """Return the content of a body: JSON, JSON inside a text, JSON in lines, or a form; None if it is neither."""
        for form in _recoded(body):
            try:
                value = decode(form)
            except (ValueError, RecursionError):
                continue
            for _ in range(2):
                value = self._inside(value)
            return value
        return self._lines(body) or self._form(body)

    def _lines(self, body: bytes) -> Any:
        """Return the JSON objects of a body that has one in each line; None for any other body."""
        lines = [each for each in body.splitlines() if each.strip()] if body.lstrip()[:1] == b"{" else []
        if not 1 < len(lines) <= MOST_LINES:
            return None
        try:
            return [decode(each) for each in lines]
        except (ValueError, RecursionError):
            return None

    def _form(self, body: bytes) -> Any:
        try:
            if len(body) > LONGEST_TEXT:
                return None
            fields = _parts(body) if body.startswith(b"--") else parse_qsl(body.decode(), max_num_fields=MOST_FIELDS)
        except ValueError:  # not UTF-8, or too many fields
            return None
        return _nested(fields) if all(each.isprintable() for name, _ in fields for each in name) else None

    def _inside(self, value: Any) -> Any:
        """Return the JSON in a text, or the value itself if it is not JSON."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or self._texts <= 0:
            return value
        packed = value.startswith(_JSON_IN_BASE64) and _BASE64.fullmatch(value) is not None
        if not packed and not value.lstrip().startswith(("{", "[", '"')):
            return value
        self._texts -= 1
        try:
            return decode(_unpacked(value) if packed else value.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return value

    def _walk(self) -> Iterator[list[Mapping[str, Any]]]:
        """Yield the objects of the payload level by level, top first; a list adds no level of its own."""
        level, budget = [self._payload], MOST_NODES
        for _ in range(DEEPEST):
            nodes: list[Mapping[str, Any]] = []
            waiting = list(level)
            while waiting and budget > 0:
                node = waiting.pop(0)
                budget -= 1
                if isinstance(node, dict):
                    nodes.append({key: self._inside(each) for key, each in list(node.items())[:budget]})
                elif isinstance(node, list):
                    waiting += node[:budget]
            yield nodes
            level = [inner for node in nodes for inner in node.values() if isinstance(inner, dict | list)]


def _named(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object by its folded names; the first of two equal names wins."""
    return {_folded(key): each for key, each in reversed([*node.items()])}


def _ids(named: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield the ids of things of a kind that an object names, or that it is itself."""
    found = [named.get(f"{kind}{each}") for each in ("id", "uuid", "")]
    found += [each for name in ("details", "info") if isinstance(each := named.get(f"{kind}{name}"), dict)]
    for key in (f"{kind}ids", f"{kind}s"):
        listed = named.get(key)
        if isinstance(listed, str):
            listed = listed.split(",")
        found += listed[:MOST_IDS] if isinstance(listed, list) else [listed]
    own: list[Any] = []
    says = any(_says(named.get(key), kind) for key in _SAYS)
    if says:
        own = [named.get(key) for key in (*_OWN_IDS, "objectid", "resourceid", "entityid", "recordid")]
    if (says and not any(map(identifier, own))) or any(_is_event_of(named.get(key), kind) for key in _EVENTS):
        own += [each for key, each in named.items() if key in _INSIDE and isinstance(each, dict)]
    found += own
    for value in found:
        if isinstance(value, str) and value != value.strip():
            continue
        if (id_ := _id_of(value, kind)) is not None:
            yield id_


def _id_of(value: Any, kind: str) -> str | None:
    """Return an id: a text, a whole number, or an object's own id; None for anything else."""
    if isinstance(value, dict):
        own = _named(value)
        keys = (f"{kind}id", *_OWN_IDS, "$oid", "$numberlong")
        texts = (_id_of(own.get(key), "") for key in keys)
        return next((each for each in texts if each is not None), None)
    if isinstance(value, Number) and value.is_integer() and re.fullmatch(r"-?\d+\.0+", value.text):
        return identifier(value.text.partition(".")[0])
    return identifier(value)


def _folded(key: str) -> str:
    """Return a name folded, so that all spellings are equal: ``case_id``, ``caseId``, ``Case-ID``."""
    plain = re.sub(r"[\s_-]", "", key[:100]).lower()
    return "_id" if key == "_id" else plain


def _says(word: Any, kind: str) -> bool:
    """Whether an object names its kind; an event such as ``case.updated`` is not a kind."""
    return isinstance(word, str) and word.strip().lower() in {kind, f"{kind}s"}


def _is_event_of(word: Any, kind: str) -> bool:
    """Whether an event is about a kind of object: ``case.updated``, ``case_updated``, ``CaseUpdated``."""
    return isinstance(word, str) and re.match(rf"(?i:{kind})s?(?:[^A-Za-z]|[A-Z])", word.strip()[:STATUS]) is not None


def _recoded(body: bytes) -> Iterator[bytes]:
    """Yield a body, and its text as UTF-8 if it is in another encoding."""
    yield body
    try:
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield body.decode("utf-16").encode()
        else:
            body.decode()
    except ValueError:
        yield body.decode("latin-1").encode()


def _unpacked(text: str) -> bytes:
    """Return the bytes of a base64 text.

    Raises:
        ValueError: it is not base64.

    """
    try:
        return base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _parts(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a multipart form (RFC 7578), whose boundary is its first line."""
    boundary = body.partition(b"\r\n")[0]
    found = []
    for part in body.split(boundary, MOST_FIELDS)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"\r\n]{1,100})"', head)
        if name is not None:
            found.append((name[1].decode(), content.removesuffix(b"\r\n").decode("utf-8", "replace")))
    return found


def _nested(fields: Sequence[tuple[str, str]]) -> Any:
    """Return a form's fields as an object: ``case[id]`` and ``documents[0][id]`` are what PHP and Rails make of one.

    A name that is there again begins another object, so that none of its values is lost.
    """
    objects: list[dict[str, Any]] = [{}]
    for name, value in fields:
        path = [each.removesuffix("]") for each in name.split("[", DEEPEST)]
        wanted = next((each for each in objects if _is_free(each, path)), None)
        if wanted is None:
            objects.append(wanted := {})
        _put(wanted, path, value)
    found = [_listed(each) for each in objects if each]
    return found[0] if len(found) == 1 else found or None


def _is_free(there: Any, path: Sequence[str]) -> bool:
    """Whether a form's field has a place in the object built from the fields before it."""
    for key in path[:-1]:
        there = there.get(key, {})
        if not isinstance(there, dict):
            return False
    return path[-1] == "" or path[-1] not in there


def _put(there: dict[str, Any], path: Sequence[str], value: str) -> None:
    for key in path[:-1]:
        there = there.setdefault(key, {})
    there[path[-1] or str(len(there))] = value


def _listed(value: Any) -> Any:
    """Return an object whose keys are numbers as a list, inside others too."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    return [*inner.values()] if inner and all(key.isdigit() for key in inner) else inner
