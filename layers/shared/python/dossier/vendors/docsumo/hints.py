"""What a Docsumo delivery is about: its payload is documented by words alone, so the ids are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dossier.http import decode
from dossier.ports import Hint
from dossier.replies import identifier, line

DEEPEST = 6
"""Levels of nesting that are looked through."""
MOST_NODES = 2_000
"""Objects and lists that are looked through, over all levels."""
MOST_IDS = 20

_LABELS = ("event", "event_type", "event_name", "type", "action")


def read_hint(body: bytes) -> Hint | None:
    """Return the case (and document) ids that a delivery names; None if it names none. Never raises.

    The ids of the level nearest to the top count: ``case_id`` itself, before one under ``data`` or ``case``, before
    one deeper down. Source: guide 3, "JSON payload containing the updated metadata, case ID, state changes, and
    related documents".
    """
    try:
        payload = decode(body)
    except (ValueError, RecursionError):
        return None
    cases: list[str] = []
    documents: list[str] = []
    for level in _levels(payload):
        found = [each for node in level for each in _case_ids(node)]
        cases = cases or list(dict.fromkeys(found))[:MOST_IDS]
        documents += [each for node in level if (each := _id(node.get("doc_id")))]
    documents = list(dict.fromkeys(documents))[:MOST_IDS]
    if not cases and not documents:
        return None
    return Hint(event=_label(payload), case_ids=tuple(cases), document_ids=tuple(documents))


def _levels(payload: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects of a payload level by level, top first; a list adds no level of its own."""
    level, budget = [payload], MOST_NODES
    for _ in range(DEEPEST):
        nodes: list[dict[str, Any]] = []
        waiting = list(level)
        while waiting and budget > 0:
            node = waiting.pop(0)
            budget -= 1
            if isinstance(node, dict):
                nodes.append(node)
            elif isinstance(node, list):
                waiting += node[:budget]
        yield nodes
        level = [inner for node in nodes for inner in node.values() if isinstance(inner, (dict, list))]


def _case_ids(node: dict[str, Any]) -> list[str]:
    case = node.get("case")
    nested = case.get("id") if isinstance(case, dict) and "case_id" not in case else None
    return [found for each in (node.get("case_id"), node.get("caseId"), nested) if (found := _id(each))]


def _id(value: Any) -> str | None:
    return identifier(value) if isinstance(value, str) and value == value.strip() else None


def _label(payload: Any) -> str:
    said = next((payload[key] for key in _LABELS if payload.get(key)), None) if isinstance(payload, dict) else None
    if not isinstance(said, str):
        return "case changed"
    return line(said, 64) or "case changed"
