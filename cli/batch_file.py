"""The file of a batch: JSONL or CSV, one case a line. A line that cannot be read is a problem of that line alone."""

from __future__ import annotations

import codecs
import csv
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, cast

from cli.errors import BadUsageError
from cli.files import is_uri
from dossier import written
from dossier.stores.executions import INPUT_LIMIT
from dossier.suggestions import closest

STDIN = "-"
COLUMNS = ("connection", "reference", "documents", "case_id", "deadline", "priority")
"""Columns of a CSV file; besides, ``options.<name>`` is an option of the vendor's."""
_ALSO = {"document": "documents", "file": "documents", "files": "documents", "uri": "documents", "uris": "documents"}
OPTION = "options."
SEPARATOR = "|"
"""Between several documents in one cell: no URL contains it, and hardly any file name."""
_DELIMITERS = (",", ";", "\t")
_HEAD = 65_536
_NOT_UTF8 = "the line is not UTF-8: save the file as UTF-8"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: its number, and its case or the reason why it cannot be read."""

    number: int
    data: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    texts: bool = False
    """Whether options are texts that the vendor's declaration gives a type (CSV)."""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A batch's file and the folder that its local documents are relative to."""

    name: str
    folder: Path

    @classmethod
    def of(cls, given: str) -> BatchFile:
        """Return the file, or standard input for ``-``.

        Raises:
            BadUsageError: there is no such file.

        """
        if given == STDIN:
            return cls(STDIN, Path())
        if is_uri(given):
            raise BadUsageError(f"{given} is not on this machine: download it, or pipe it into `dossier batch -`")
        path = Path(given)
        if not path.exists():
            raise BadUsageError(f"there is no file {path}", fix="see `dossier batch --help`")
        if path.is_dir():
            raise BadUsageError(f"{path} is a folder: give a JSONL or CSV file with one case a line")
        return cls(given, path.parent if path.is_file() else Path())  # a pipe, such as `<(…)`, has no folder

    def lines(self) -> Iterator[Line]:
        """Yield the lines that are not blank.

        Raises:
            BadUsageError: the file is UTF-16, or CSV and its first line names no columns of a case.

        """
        with self._opened() as file:
            head = file.peek(_HEAD)[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise BadUsageError(f"{self.name} is UTF-16: save the file as UTF-8")
            named = self.name.lower()
            is_csv = named.endswith(".csv") or not (named.endswith((".jsonl", ".ndjson")) or head.startswith(b"{"))
            yield from _csv(file) if is_csv else _jsonl(file)

    @contextmanager
    def _opened(self) -> Iterator[BufferedReader[Any]]:
        if self.name == STDIN:
            stdin = BufferedReader(cast("RawIOBase", sys.stdin.buffer))
            try:
                yield stdin
            finally:
                stdin.detach()
            return
        with Path(self.name).open("rb") as file:
            yield file


def _jsonl(file: Iterable[bytes]) -> Iterator[Line]:
    for number, raw in enumerate(file, 1):
        if not raw.removeprefix(b"\xef\xbb\xbf").strip():
            continue
        if len(raw) > INPUT_LIMIT:
            yield Line(number, problem=f"the line has {len(raw):,} bytes: a case has at most {INPUT_LIMIT:,}")
            continue
        try:
            data = written.read(raw.rstrip(b"\r\n"), one_line=True)
        except written.NotUtf8Error:
            yield Line(number, problem=_NOT_UTF8)
            continue
        except ValueError as error:
            yield Line(number, problem=f"the line is not JSON: {error}")
            continue
        if isinstance(data, dict):
            yield Line(number, data)
        else:
            yield Line(number, problem="the line is not a JSON object: write a case as {…}")


def _csv(file: BufferedReader[Any]) -> Iterator[Line]:
    text = TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        header = text.readline()
        delimiter = max(_DELIMITERS, key=header.count)
        columns = [_column(each.strip()) for each in next(csv.reader([header], delimiter=delimiter), [])]
        _check_columns(columns)
        lines, number = _Lines(text), 2
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.record.clear()
            try:
                row = next(rows, None)
            except csv.Error as error:
                why = "a quote is not closed" if len(lines.record) > 1 else str(error)
                yield Line(number, problem=f"the line is not CSV: {why}")
                lines.repeat()
                number, rows = number + 1, csv.reader(lines, delimiter=delimiter, strict=True)
                continue
            if row is None:
                return
            if any(cell.strip() for cell in row):
                yield _row(number, columns, row)
            number += len(lines.record)
    finally:
        text.detach()


class _Lines:
    """The lines of a CSV file; a cell in quotes may have several.

    If the quotes do not end, the lines after the first are read again, as their own lines.
    """

    def __init__(self, text: Iterable[str]) -> None:
        self._left = iter(text)
        self._again = deque[str]()
        self.record: list[str] = []
        """The lines of the current row."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.record.append(self._again.popleft() if self._again else next(self._left))
        return self.record[-1]

    def repeat(self) -> None:
        """Yield the lines of the row again, without its first."""
        self._again.extendleft(reversed(self.record[1:]))


def _column(given: str) -> str:
    """Return a column's name; case matters only in an option's name."""
    return given if given.startswith(OPTION) else _ALSO.get(given.lower(), given.lower())


def _check_columns(columns: list[str]) -> None:
    """Check the first line of a CSV file, which names the columns of all others."""
    wrong = [each for each in columns if each not in COLUMNS and not each.startswith(OPTION)]
    if wrong:
        near = closest(wrong[0], COLUMNS)
        hint = f'did you mean "{near}"?' if near else f"use {', '.join(COLUMNS)}, {OPTION}<name>"
        raise BadUsageError(f'line 1: unknown column "{wrong[0]}"', fix=hint)
    twice = next((each for each in columns if columns.count(each) > 1), None)
    if twice is not None:
        raise BadUsageError(f'line 1: column "{twice}" is given twice')


def _row(number: int, columns: list[str], row: list[str]) -> Line:
    if len(row) > len(columns):
        return Line(number, problem=f"the line has {len(row)} cells, and the file {len(columns)} columns: quote commas")
    cells: Mapping[str, str] = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if cell.strip()}
    if not all(map(written.is_text, cells.values())):
        return Line(number, problem=_NOT_UTF8)
    data: dict[str, Any] = {name: cell for name, cell in cells.items() if name in COLUMNS}
    if "documents" in data:
        data["documents"] = [each.strip() for each in data["documents"].split(SEPARATOR) if each.strip()]
    options = {name.removeprefix(OPTION): cell for name, cell in cells.items() if name.startswith(OPTION)}
    if options:
        data["options"] = options
    return Line(number, data, texts=True)
