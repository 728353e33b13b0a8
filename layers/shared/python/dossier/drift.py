"""Schema drift: how an answer differs from the fields that its vendor's guide documents. It never breaks anything.

A documented field is a path of keys: ``data.cases[].case_id`` stands for each item's; one that the guide, or practice,
leaves out at times ends in ``?``. Where a value of another type stands in place of an object or of a list, ``{}`` or
``[]`` is missing.
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
    """Paths of fields that an answer has and the guide has not (``new``), and the reverse (``missing``)."""

    new: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Node:
    optional: bool = False
    inner: dict[str, _Node] = field(default_factory=dict)


def drift_of(body: bytes, documented: tuple[str, ...]) -> Drift:
    """Compare an answer with its documented fields; one that is no JSON, or is a refusal, has no drift."""
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
    """Return the documented fields of the answer that is kept as ``what``: those of the longest name it begins with."""
    names = [name for name in documented if what.startswith(name)]
    return documented[max(names, key=len)] if names else ()


def _refuses(answer: Any) -> bool:
    """Whether an answer says, with a 200, that the request failed (``dossier.replies.read``)."""
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
