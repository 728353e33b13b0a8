"""Schema drift: compare an answer with the fields in its vendor's guide. Differences are only counted.

A documented field is a path of keys; ``data.cases[].case_id`` is that of each item. An optional field ends in ``?``. If
a value of another type replaces an object or a list, ``{}`` or ``[]`` is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dossier.http import decode

_ITEM = "[]"


@dataclass(frozen=True, slots=True)
class Drift:
    """Paths of fields that only the answer has (``new``), and that only the guide has (``missing``)."""

    new: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Node:
    optional: bool = False
    inner: dict[str, _Node] = field(default_factory=dict)


def drift_of(body: bytes, documented: tuple[str, ...]) -> Drift:
    """Compare an answer with its documented fields; a rejection, or an answer that is not JSON, has no drift."""
    if not documented:
        return Drift()
    try:
        answer = decode(body)
    except (ValueError, RecursionError):
        return Drift()
    if _refuses(answer):
        return Drift()
    new: set[str] = set()
    missing: set[str] = set()
    _compare(answer, _tree(documented), "", new, missing)
    return Drift(frozenset(new), frozenset(missing))


def documented_for(what: str, documented: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the documented fields of the answer stored as ``what``, by the longest matching prefix."""
    names = [name for name in documented if what.startswith(name)]
    return documented[max(names, key=len)] if names else ()


def _refuses(answer: Any) -> bool:
    """Whether the body of a 200 rejects the request (``dossier.replies.read``)."""
    if not isinstance(answer, dict):
        return False
    inner = answer.get("status_code", answer.get("statusCode"))
    return answer.get("status") == "fail" or (isinstance(inner, int) and inner >= 400)


@cache
def _tree(documented: tuple[str, ...]) -> _Node:
    root = _Node()
    for path in documented:
        node = root
        for part in path.removesuffix("?").replace(_ITEM, f".{_ITEM}").strip(".").split("."):
            node = node.inner.setdefault(part, _Node())
        node.optional = path.endswith("?")
    return root


def _compare(value: Any, node: _Node, path: str, new: set[str], missing: set[str]) -> None:
    if not node.inner or value is None:
        return
    wanted = list if _ITEM in node.inner else dict
    if not isinstance(value, wanted):
        missing.add(f"{path}{_ITEM}" if wanted is list else f"{path}{{}}")
    elif isinstance(value, list):
        for item in value:
            _compare(item, node.inner[_ITEM], f"{path}{_ITEM}", new, missing)
    else:
        prefix = f"{path}." if path else ""
        new.update(f"{prefix}{key}" for key in value if key not in node.inner)
        missing.update(f"{prefix}{key}" for key, each in node.inner.items() if key not in value and not each.optional)
        for key, each in node.inner.items():
            _compare(value.get(key), each, f"{prefix}{key}", new, missing)
