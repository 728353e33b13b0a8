"""A TOML file that a person wrote: its tables, the line of each key, and everything that is wrong with its form.

``tomllib`` gives no lines and stops at the first error. Here the file is read one statement (a key with its value, or a
table's header) after the other. Each is parsed by ``tomllib`` alone, so that a key or a table that is there twice, or a
value that cannot be read, does not hide what is wrong elsewhere.
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
    """What a TOML file says: ``data`` without the statements that ``problems`` are about."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    """The line of each key and each table, by its full path."""
    headers: dict[Path, int] = field(default_factory=dict)
    """The line of each table's own header."""
    problems: list[tuple[int, str]] = field(default_factory=list)
    """What is wrong with the form of the file: line and text."""
    torn: set[Path] = field(default_factory=set)
    """Tables of which statements were left out: what they lack may be among these."""

    def line(self, path: Iterable[object]) -> int | None:
        """Return the line of a key, or of the innermost table on the way to it that is in the file."""
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
            said = tomllib.loads(statement)
        except (ValueError, RecursionError) as error:
            found.problems.append(_problem(error, first))
            found.torn.add(table[:1])
            continue
        header = statement.lstrip().startswith("[")
        if header:
            table = _header(said)
            skipped = not _declare(found, table, first, many=statement.lstrip().startswith("[["))
        elif not skipped:
            _merge(found, table, said, first)
    if not found.problems:
        try:  # the last word: it knows all rules
            found.data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            found.problems.append(_problem(error, 1))
            found.torn.add(())
    found.problems.sort()
    return found


def _statements(text: str, found: Tables) -> Iterator[tuple[int, str]]:
    """Yield each statement with the number of its first line; what is wrong in itself is yielded as it is.

    A statement goes on over several lines for as long as ``tomllib`` says that its end is missing.
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
            if number > start + 1:  # where a value of several lines ends cannot be told
                found.torn.add(())
                return
        else:
            yield start + 1, statement
        start = number
    if start < len(lines):
        found.problems.append((start + 1, "what begins here has no end: close its quotation marks or brackets"))
        found.torn.add(())


def _problem(error: Exception, first: int) -> tuple[int, str]:
    """Return the line of an error, and what is wrong in words for the person who wrote the file."""
    matched = _POSITION.fullmatch(str(error))
    if matched is None or matched["line"] is None:
        return first, "it cannot be read: a number or a depth that no TOML has"
    what, line = matched["what"], first + int(matched["line"]) - 1
    if what == "Invalid value":
        what = "the value cannot be read: a text needs quotation marks, a list brackets; true and false are small"
    elif what == "Illegal character '\\n'":
        what = "the text has no end: close its quotation marks"
    elif re.match(r"Cannot|Duplicate", what):
        what = "a key or table is there twice: leave one of the two out"
    if line != first:
        return (
            first,
            f"what begins here has no end, or a mistake in line {line}: check its quotation marks and brackets",
        )
    return line, f"column {matched['column']}: {what}"


def _header(said: dict[str, Any]) -> Path:
    path: list[str] = []
    value: Any = said
    while value:
        if isinstance(value, list):
            value = value[0]
            continue
        (name, value) = next(iter(value.items()))
        path.append(name)
    return tuple(path)


def _declare(found: Tables, path: Path, line: int, *, many: bool) -> bool:
    """Begin a table; return False if its name is taken: its keys belong nowhere."""
    shown = f"[{'.'.join(path)}]"
    first = line if many else found.headers.setdefault(path, line)
    if first != line:
        what = f"{shown} is there twice, first in line {first}: put all its keys into one table, or rename one"
        found.problems.append((line, what))
        found.torn.add(path[:1])
        return False
    place, key = _inner(found.data, path[:-1]), path[-1]
    if place is None or (key in place and not isinstance(place[key], list if many else dict)):
        there = found.line(path)
        found.problems.append((line, f"{shown} is a key in line {there} already: rename one"))
        found.torn.add(path[:1])
        return False
    for size in range(1, len(path) + 1):
        found.lines.setdefault(path[:size], line)
    if many:
        place.setdefault(key, []).append({})
    else:
        place.setdefault(key, {})
    return True


def _merge(found: Tables, table: Path, said: dict[str, Any], line: int) -> None:
    """Add the keys of a statement to the table that it stands in."""
    for path, value in _leaves(said):
        full = (*table, *path)
        place = _inner(found.data, full[:-1])
        if place is None or full[-1] in place:
            shown = ".".join(full[1:] if table else full)
            inside = f"[{table[0]}] {shown}" if table else shown
            found.problems.append(
                (line, f"{inside}: given twice, first in line {found.line(full)}: leave one of the two out")
            )
            continue
        place[full[-1]] = value
        for size in range(1, len(full) + 1):
            found.lines.setdefault(full[:size], line)
        for inner in _paths(value):
            found.lines.setdefault((*full, *inner), line)


def _leaves(said: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield the one key of a statement: a dotted key is a path, and an inline table is a value."""
    path: list[str] = []
    value: Any = said
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
    """Return the table at a path, made where it is missing; None where something else is there."""
    for name in path:
        inner = data.setdefault(name, {})
        inner = inner[-1] if isinstance(inner, list) and inner and isinstance(inner[-1], dict) else inner
        if not isinstance(inner, dict):
            return None
        data = inner
    return data
