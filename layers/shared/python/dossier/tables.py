"""Read a TOML file: its tables, the line of each key, and all syntax errors.

``tomllib`` reports no lines of keys and stops at the first error. So the file is read one statement (a key with its
value, or a table's header) at a time, and ``tomllib`` parses each by itself. A duplicate key or a malformed value does
not hide errors elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
_POSITION = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_END = "(at end of document)"


@dataclass
class Tables:
    """The content of a TOML file: ``data`` leaves out the statements with ``problems``."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    """The line of each key and each table, by its full path."""
    headers: dict[Path, int] = field(default_factory=dict)
    """The line of each table's header."""
    problems: list[tuple[int, str]] = field(default_factory=list)
    """Syntax errors: line and text."""
    torn: set[Path] = field(default_factory=set)
    """Tables with statements that were left out, so that keys may be missing."""

    def line(self, path: Iterable[object]) -> int | None:
        """Return the line of a key, or of the innermost table in its path that is in the file."""
        parts = tuple(str(each) for each in path)
        for size in range(len(parts), 0, -1):
            if parts[:size] in self.lines:
                return self.lines[parts[:size]]
        return None


def read(text: str) -> Tables:
    """Read the text of a TOML file."""
    found = Tables()
    table: Path = ()
    skipped = False
    for first, statement in _statements(text, found):
        try:
            data = tomllib.loads(statement)
        except (ValueError, RecursionError) as error:
            found.problems.append(_problem(error, first))
            found.torn.add(table[:1])
            continue
        header = statement.lstrip().startswith("[")
        if header:
            table = _header(data)
            skipped = not _declare(found, table, first, many=statement.lstrip().startswith("[["))
        elif not skipped:
            _merge(found, table, data, first)
    if not found.problems:
        try:  # the whole file, by all rules of TOML
            found.data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            found.problems.append(_problem(error, 1))
            found.torn.add(())
    found.problems.sort()
    return found


def _statements(text: str, found: Tables) -> Iterator[tuple[int, str]]:
    """Yield each statement with the number of its first line, malformed ones too.

    A statement continues on the next line if ``tomllib`` reports a missing end.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    start = 0
    for number in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:number]) + "\n"
        if number == start + 1 and (not statement.strip() or statement.lstrip().startswith("#")):
            start = number
            continue
        try:
            tomllib.loads(statement)
        except (ValueError, RecursionError) as error:
            if str(error).endswith(_END):
                continue
            yield start + 1, statement
            if number > start + 1:  # the end of a value of several lines is unknown
                found.torn.add(())
                return
        else:
            yield start + 1, statement
        start = number
    if start < len(lines):
        found.problems.append((start + 1, "the value here has no end: close its quotation marks or brackets"))
        found.torn.add(())


def _problem(error: Exception, first: int) -> tuple[int, str]:
    """Return the line of an error, and a message for the author of the file."""
    matched = _POSITION.fullmatch(str(error))
    if matched is None or matched["line"] is None:
        return first, "it is not valid TOML: a number is invalid, or the nesting is too deep"
    what, line = matched["what"], first + int(matched["line"]) - 1
    if what == "Invalid value":
        what = "invalid value: write text in quotation marks, a list in brackets, true and false in lower case"
    elif what == "Illegal character '\\n'":
        what = "the text has no end: close its quotation marks"
    elif re.match(r"Cannot|Duplicate", what):
        what = "duplicate key or table: leave out one of the two"
    if line != first:
        return (
            first,
            f"the value here has no end, or an error in line {line}: check its quotation marks and brackets",
        )
    return line, f"column {matched['column']}: {what}"


def _header(data: dict[str, Any]) -> Path:
    path: list[str] = []
    value: Any = data
    while value:
        if isinstance(value, list):
            value = value[0]
            continue
        (name, value) = next(iter(value.items()))
        path.append(name)
    return tuple(path)


def _declare(found: Tables, path: Path, line: int, *, many: bool) -> bool:
    """Begin a table; return False if its name is taken, so that its keys are ignored."""
    shown = f"[{'.'.join(path)}]"
    first = line if many else found.headers.setdefault(path, line)
    if first != line:
        what = f"duplicate table {shown}, first in line {first}: put all its keys into one table, or rename one"
        found.problems.append((line, what))
        found.torn.add(path[:1])
        return False
    place, key = _inner(found.data, path[:-1]), path[-1]
    if place is None or (key in place and not isinstance(place[key], list if many else dict)):
        there = found.line(path)
        found.problems.append((line, f"{shown} is already a key in line {there}: rename one"))
        found.torn.add(path[:1])
        return False
    for size in range(1, len(path) + 1):
        found.lines.setdefault(path[:size], line)
    if many:
        place.setdefault(key, []).append({})
    else:
        place.setdefault(key, {})
    return True


def _merge(found: Tables, table: Path, data: dict[str, Any], line: int) -> None:
    """Add the keys of a statement to its table."""
    for path, value in _leaves(data):
        full = (*table, *path)
        place = _inner(found.data, full[:-1])
        if place is None or full[-1] in place:
            shown = ".".join(full[1:] if table else full)
            inside = f"[{table[0]}] {shown}" if table else shown
            found.problems.append(
                (line, f"{inside}: duplicate key, first in line {found.line(full)}: leave out one of the two")
            )
            continue
        place[full[-1]] = value
        for size in range(1, len(full) + 1):
            found.lines.setdefault(full[:size], line)
        for inner in _paths(value):
            found.lines.setdefault((*full, *inner), line)


def _leaves(data: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield the key of a statement with its value: a dotted key is a path, an inline table is a value."""
    path: list[str] = []
    value: Any = data
    while isinstance(value, dict) and len(value) == 1 and len(path) < _LONGEST:
        name, value = next(iter(value.items()))
        path.append(name)
    if path:
        yield tuple(path), value


_LONGEST = 20


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield (name,)
            yield from ((name, *rest) for rest in _paths(each))


def _inner(data: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """Return the table at a path, created if missing; None if something else is there."""
    for name in path:
        inner = data.setdefault(name, {})
        inner = inner[-1] if isinstance(inner, list) and inner and isinstance(inner[-1], dict) else inner
        if not isinstance(inner, dict):
            return None
        data = inner
    return data
