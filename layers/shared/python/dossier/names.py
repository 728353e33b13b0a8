"""File names that others chose, made safe to store: never a path, never two of one name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

LONGEST = 150
"""Longest stored name, in bytes of UTF-8 (an S3 key has at most 1,024)."""
_SEPARATORS = frozenset('/\\:*?"<>|\u2044\u2215\u29f8\u29f9')
"""Characters of paths and shells, and the slashes that look like them."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return a name without path, control characters and surprises; letters of every script stay.

    What could be taken for a path separator becomes ``_`` (look-alikes such as U+2215 included, by NFKC); leading dots
    go; reserved names of Windows get a ``_`` before them; an over-long name keeps its ending. Never empty.
    """
    text = unicodedata.normalize("NFC", name)
    kept = "".join(_one(each) for each in text)
    kept = re.sub(r"_{2,}", "_", kept).strip(" .") if kept.strip(" ._") else ""
    if not kept:
        return "unnamed"
    if _RESERVED.fullmatch(kept):
        kept = f"_{kept}"
    return _shorten(kept)


def unique_names(names: Iterable[str]) -> list[str]:
    """Return safe names in the same order, a repeated one with ``-2``, ``-3``… before its ending.

    Names that differ in case alone count as the same, so that they can be fetched to any file system.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        safe = candidate = safe_name(name)
        number = 1
        while candidate.casefold() in taken:
            number += 1
            path = PurePosixPath(safe)
            candidate = f"{path.stem}-{number}{path.suffix}"
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


def _one(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return ""
    plain = unicodedata.normalize("NFKC", character)
    return "_" if any(each in _SEPARATORS for each in plain + character) else character


def _shorten(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) <= 20 else ""
    stem = name.removesuffix(suffix).encode()[: LONGEST - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix
