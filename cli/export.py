"""``dossier export``: the fields of finished cases, for a spreadsheet, a database, or SQL in the stage's own bucket."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from cli.deliveries import moment_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.status import newest_of
from cli.target import Target
from dossier.result import Result, read_stored
from dossier.steps.rows import COLUMNS, rows_of
from dossier.steps.views import result_key
from dossier.stores.cases import CaseRecord
from dossier.texts import counted

Format = Literal["csv", "parquet", "tables"]
AT_ONCE = 8
"""Results read at once."""
AHEAD = 64
"""Results that are held in memory."""


@dataclass(slots=True)
class Exported:
    """The counts of the export so far. ``missing`` results are no longer in the bucket."""

    cases: int = 0
    rows: int = 0
    missing: int = 0

    def line(self) -> str:
        """Return it for people."""
        lost = f"; {counted(self.missing, 'result')} no longer in the bucket" if self.missing else ""
        return f"{counted(self.rows, 'row')} of {counted(self.cases, 'case')}{lost}"


def export(
    out: Output, where: Target, *, connection: str | None, since: str | None, form: Format, file: Path | None
) -> None:
    """Export one row for each field of each finished case, latest submitted first; one row for a case without fields.

    Memory does not grow with the number of cases, except with ``--json``, which prints one list.

    Args:
        out: prints the rows: CSV by RFC 4180, or with ``--json`` a list of objects with the same names.
        where: the deployment.
        connection: only its cases.
        since: only cases submitted since then: ``30m``, ``2h``, ``3d`` or a time.
        form: what to write. ``tables`` writes into the bucket, where the stage's tables for SQL read it.
        file: where to write instead of standard output; ``--json`` then prints what was written.

    Raises:
        BadUsageError: an unknown connection, an invalid time, or options that exclude each other.

    """
    names = where.with_cases(connection)
    begin = None if since is None else moment_of(since)
    done = Exported()
    if form == "tables":
        from cli.export_tables import write_tables  # noqa: PLC0415 -- only this form writes to the bucket

        if file is not None:
            raise BadUsageError("--format tables writes into the bucket: leave out --output")
        keys = write_tables(where, names, begin, done)
        out.document({"cases": done.cases, "rows": done.rows, "missing": done.missing, "keys": keys})
        for key in keys:
            out.line(f"s3://{where.bucket}/{key}")
        out.progress(done.line())
        return
    rows = _rows(where, newest_of(where, names, begin, None), done)
    if form == "parquet":
        from cli.export_parquet import to_stdout, write_parquet  # noqa: PLC0415 -- needs an optional package

        if file is None and (out.as_json or sys.stdout.isatty()):
            raise BadUsageError("Parquet is a binary format", fix="name a file with --output FILE")
        write_parquet(rows, file) if file else to_stdout(rows)
    elif file is not None:
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(stack.enter_context(file.open("w", encoding="utf-8", newline=""))))
            Output(as_json=False).csv([*COLUMNS], (row.values() for row in rows))
    elif out.as_json:
        out.document([*rows])
    else:
        out.csv([*COLUMNS], (row.values() for row in rows))
    if file is not None:
        out.document({"cases": done.cases, "rows": done.rows, "missing": done.missing, "file": str(file)})
    out.progress(done.line())


def results_of(where: Target, records: Iterable[CaseRecord], done: Exported) -> Iterator[tuple[CaseRecord, Result]]:
    """Yield the finished ones of cases with their results, and count them; a few are read at once."""
    finished = (each for each in records if each.status.final)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while some := list(islice(finished, AHEAD)):
            for record, result in zip(some, pool.map(lambda each: _result(where, each), some), strict=True):
                if result is None:
                    done.missing += 1
                else:
                    done.cases += 1
                    yield record, result


def months_since(begin: datetime | None) -> datetime | None:
    """Return the beginning of a time's month."""
    return None if begin is None else begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _rows(where: Target, records: Iterable[CaseRecord], done: Exported) -> Iterator[dict[str, Any]]:
    for record, result in results_of(where, records, done):
        for row in rows_of(record, result):
            done.rows += 1
            yield row


def _result(where: Target, record: CaseRecord) -> Result | None:
    key = result_key(record)
    body = where.app.objects.read(key) if key else None
    return None if body is None else read_stored(body)
