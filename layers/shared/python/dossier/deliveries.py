"""What a delivery is about, in the shapes that vendors and relays give it; it never raises, and it ends.

Ids are looked for under the names that a kind of thing has (``case_id``, ``caseId``, ``case``, ``case_ids``,
``cases``), as text, as numbers, and in objects (``id``, ``_id``, ``case_id``); in an object that says what it is
(``{"object": "case", "id": …}``); in JSON that stands inside a text; and in forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from dossier.http import decode
from dossier.texts import STATUS, identifier, line

DEEPEST = 6
"""Levels of nesting that are looked through."""
MOST_NODES = 2_000
"""Objects and lists that are looked through, over all levels."""
MOST_IDS = 50
"""Ids of one kind that are taken from one delivery."""
MOST_TEXTS = 20
"""Texts that are looked into for JSON."""
LONGEST_TEXT = 256 << 10
"""Longest text, in characters, that is looked into for JSON."""
MOST_FIELDS = 200
"""Fields of a form that are read."""
_LABELS = ("event", "event_type", "event_name", "type", "action")
_OWN_IDS = ("id", "_id")


class Delivery:
    """A delivery's content, level by level: what is nearest to the top was said first."""

    def __init__(self, body: bytes) -> None:
        self._texts = MOST_TEXTS
        self._payload = self._parsed(body)
        self.levels = list(self._walk())

    def event(self, otherwise: str) -> str:
        """Return the event that the delivery names."""
        top = self._payload if isinstance(self._payload, dict) else {}
        said = next((top[key] for key in _LABELS if isinstance(top.get(key), str) and top[key].strip()), "")
        return line(said, STATUS) or otherwise

    def ids(self, *kinds: str, nearest: bool = False) -> tuple[str, ...]:
        """Return the ids of things of a kind, called by any of these names; with ``nearest`` of one level alone."""
        found: dict[str, None] = {}
        for level in self.levels:
            for node in level:
                found |= dict.fromkeys(each for kind in kinds for each in _ids(node, kind))
                if len(found) >= MOST_IDS:
                    return tuple(found)[:MOST_IDS]
            if nearest and found:
                break
        return tuple(found)

    def under(self, *names: str) -> tuple[str, ...]:
        """Return the ids that stand under exactly these names."""
        values = (node.get(name) for level in self.levels for node in level for name in names)
        return tuple(dict.fromkeys(found for each in values if (found := identifier(each))))[:MOST_IDS]

    def text(self, name: str) -> str | None:
        """Return the first text under a name, as one line."""
        texts = (node.get(name) for level in self.levels for node in level)
        return next((found for each in texts if isinstance(each, str) and (found := line(each))), None)

    def _parsed(self, body: bytes) -> Any:
        """Return what a body says: JSON, JSON inside a text of it, or a form; None if it is neither."""
        try:
            value = decode(body)
        except (ValueError, RecursionError):
            return self._form(body)
        for _ in range(2):
            value = self._inside(value)
        return value

    def _form(self, body: bytes) -> Any:
        try:
            text = body.decode("utf-8")
            fields = parse_qsl(text, max_num_fields=MOST_FIELDS) if len(text) <= LONGEST_TEXT and "=" in text else []
        except ValueError:  # not UTF-8, or more fields than anybody reads
            return None
        return dict(fields) if all(each.isprintable() for name, _ in fields for each in name) else None

    def _inside(self, value: Any) -> Any:
        """Return the JSON in a text, or the value itself if that is none."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.lstrip().startswith(("{", "[", '"')):
            return value
        if self._texts <= 0:
            return value
        self._texts -= 1
        try:
            return decode(value.encode("utf-8", "replace"))
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


def _ids(node: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield the ids of things of a kind that an object names, or that it is itself."""
    one = [node.get(f"{kind}_id"), node.get(f"{kind}Id"), node.get(f"{kind}ID"), node.get(kind)]
    for key in (f"{kind}_ids", f"{kind}Ids", f"{kind}s"):
        listed = node.get(key)
        one += listed[:MOST_IDS] if isinstance(listed, list) else [listed]
    if any(_says(node.get(key), kind) for key in ("object", "object_type", "resource", "resource_type", "type")):
        one += [node.get(key) for key in _OWN_IDS]
    for value in one:
        if isinstance(value, dict):
            own = (value.get(key) for key in (f"{kind}_id", f"{kind}Id", *_OWN_IDS))
            value = next((each for each in own if identifier(each)), None)  # noqa: PLW2901 -- what it stands for
        if isinstance(value, str) and value != value.strip():
            continue
        if (found := identifier(value)) is not None:
            yield found


def _says(word: Any, kind: str) -> bool:
    """Whether an object says that it is of a kind; an event such as ``case.updated`` is no kind."""
    return isinstance(word, str) and word.strip().lower() == kind
