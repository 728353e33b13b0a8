"""Reading the markdown that the vendor's AI writes: bullet lists of fields and of insights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, count
from textwrap import dedent

from dossier.result import FieldValue

_BULLET = re.compile(r"[-*•]\s+(?=\S)")
_BOLD = re.compile(r"^(\*\*|__)(.+?)\1(:?)")
ABSENT = "not found"
"""The value by which the vendor says that a document does not give a field."""


def read_fields(markdown: str) -> list[FieldValue]:
    """Read ``- Label: value`` lines (guide, "Case Specific Fields").

    A line is split at its first ``: ``; "Not found" and an empty value are None; lines below a field that are no
    bullets of the same level belong to its value; a bullet without a label is left out, with what is below it. A
    key is a slug of the label, with ``_2`` and so on where labels repeat.
    """
    fields: list[FieldValue] = []
    taken: set[str] = set()
    for lines in _blocks(markdown):
        line = _BOLD.sub(r"\2\3", lines[0])
        label, separator, value = f"{line} ".partition(": ")
        name = label.strip()
        if not separator or not name:
            continue
        slug = re.sub(r"\W+", "_", name.lower()).strip("_") or "field"
        key = next(each for each in chain([slug], (f"{slug}_{number}" for number in count(2))) if each not in taken)
        taken.add(key)
        whole = "\n".join([value.strip(), *lines[1:]]).strip()
        fields.append(FieldValue(key=key, name=name, value=None if whole.lower() in {"", ABSENT} else whole))
    return fields


def read_bullets(markdown: str) -> list[str]:
    """Return the points of a bullet list; lines that are no bullets belong to the point above them."""
    return [point for lines in _blocks(markdown, keep_lead=True) if (point := "\n".join(lines).strip())]


def _blocks(markdown: str, *, keep_lead: bool = False) -> Iterator[list[str]]:
    """Yield each top-level bullet's lines, without its mark; with ``keep_lead`` also the lines before the first."""
    block: list[str] | None = [] if keep_lead else None
    for line in dedent(markdown).splitlines():
        bullet = _BULLET.match(line)
        if bullet:
            if block:
                yield block
            block = [line[bullet.end() :].rstrip()]
        elif line.strip() and block is not None:
            block.append(line.strip())
    if block:
        yield block
