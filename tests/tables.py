"""Tables in the documentation, read row by row; each is checked where it belongs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def sections(text: str) -> dict[str, list[str]]:
    """Return the rows of the tables in each second-level section, by its heading."""
    parts = re.split(r"^## (\S.*?)\s*$", text, flags=re.MULTILINE)
    return {name.lower(): rows(part) for name, part in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> list[str]:
    """Return the rows of a section's tables, without heads and rules."""
    lines = text.splitlines()
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"\|(\s*-+\s*\|)+", line)}
    heads = {number - 1 for number in rules}
    return [line for number, line in enumerate(lines) if line.startswith("|") and number not in rules | heads]
