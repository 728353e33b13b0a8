"""Output of commands: results to stdout, progress and errors to stderr; with ``--json`` one document."""

from __future__ import annotations

import csv
import logging
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from cli.errors import CommandError
from cli.text import LONGEST_QUESTION, clean, local, to_json

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, including blanks and full-width signs, which some spreadsheets accept."""
_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d%?")


class Output:
    """Prints a command's output, for people or (``as_json``) for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def progress(self, line: str) -> None:
        """Print a line of progress, which is never part of the result."""
        print(local(clean(line)), file=sys.stderr, flush=True)

    def document(self, value: Any) -> None:
        """Print the result for programs, if ``--json`` is set."""
        if self.as_json:
            self.json(value)

    def json(self, value: Any) -> None:
        """Print a result that is JSON even for people."""
        print(to_json(value))

    def at_once(self, value: Any, text: str) -> None:
        """Print a result that a program reads while the command runs: one line, a document's or the text, at once."""
        print(
            " ".join(each.strip() for each in to_json(value).splitlines()) if self.as_json else clean(text), flush=True
        )

    def line(self, text: str = "") -> None:
        """Print a line of the result for people."""
        if not self.as_json:
            print(clean(text))

    def pairs(self, rows: Iterable[tuple[str, object]]) -> None:
        """Print names and values for people, one pair a line; empty values are left out."""
        if self.as_json:
            return
        kept = [(clean(name), clean(value)) for name, value in rows if value not in (None, "")]
        width = max((len(name) for name, _ in kept), default=0)
        for name, value in kept:
            print(f"{name:<{width}}  {value}")

    def csv(self, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
        """Print rows as CSV (RFC 4180), a line each; nothing is cut."""
        if self.as_json:
            return
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_cell, row) for row in rows)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        long: Collection[str] = (),
        one_line: bool = False,
    ) -> None:
        """Print a table for people (``cli.table``); only on a terminal are cells cut."""
        if self.as_json:
            return
        from rich.console import Console  # noqa: PLC0415 -- keeps `dossier --help` fast

        from cli import table  # noqa: PLC0415

        console = Console(file=sys.stdout, highlight=False)
        terminal = sys.stdout.isatty()
        width = console.width if terminal else None
        cells = [[clean("" if cell is None else cell) for cell in row] for row in rows]
        for line in table.lines([*map(clean, columns)], cells, width=width, long=long, one_line=one_line):
            if terminal:
                console.print(line, soft_wrap=True)
            else:
                print(line.plain)


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet evaluates: an apostrophe precedes a text that begins like a formula.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else clean(value, sys.maxsize)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text.strip()) else text


def confirmed(question: str, about: str) -> bool:
    """Ask yes or no on the terminal; ``about`` is foreign text, which is cut so that the question stays in sight."""
    import typer  # noqa: PLC0415 -- keeps `dossier --help` fast

    return typer.confirm(f"{clean(question)} ({clean(about, LONGEST_QUESTION)})?", err=True)


def asked(question: str) -> str:
    """Ask for a value without echoing it; return an empty text if none is given."""
    import typer  # noqa: PLC0415

    return str(typer.prompt(clean(question), default="", hide_input=True, show_default=False, err=True))


def clean_logs() -> None:
    """Print the warnings and logs of libraries as clean lines, because they may quote foreign text."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Clean())
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)


class _Clean(logging.Formatter):
    """A log record as one clean line, without the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return clean(f"{record.name}: {record.getMessage()}")


def report(problem: CommandError, *, as_json: bool) -> None:
    """Report why a command failed: a line on stderr, and with ``as_json`` a document on stdout.

    Indented details are another program's output and come before the line. Other details are further errors and come
    after it. People read times in their own zone; programs read them as stored.
    """
    if as_json:
        print(to_json(problem.as_json()))
    before = [each for each in problem.details if each.startswith(" ")]
    after = [each for each in problem.details if not each.startswith(" ")]
    for line in (*before, f"dossier: {problem.line}", *after):
        print(local(clean(line)), file=sys.stderr)
