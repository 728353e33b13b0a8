"""Results for SQL: the files that the stage's tables ``results`` and ``fields`` read (``infra.results_tables``)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from cli.export import Exported, months_since, results_of
from cli.status import newest_of
from cli.target import Target
from dossier.layout import table_folder, table_key
from dossier.result import Result
from dossier.steps.rows import FIELDS, RESULTS, rows_of, text_of, whole
from dossier.stores.cases import CaseRecord

_TYPE = "application/x-ndjson"
_CHUNK = 1 << 20


def write_tables(where: Target, names: list[str], begin: datetime | None, done: Exported) -> list[str]:
    """Write a file for each connection, month and table, and return their keys. Months are written whole.

    Files of cases that are gone meanwhile are written again without them; an empty file has no rows.
    """
    since, written = months_since(begin), list[str]()
    for name in names:
        records = newest_of(where, [name], since, None)
        for month, found in groupby(results_of(where, records, done), key=lambda each: f"{each[0].submitted_at:%Y-%m}"):
            written += _write_month(where, name, month, found, done)
    return [*written, *_emptied(where, names, since, set(written))]


def _write_month(
    where: Target, name: str, month: str, found: Iterator[tuple[CaseRecord, Result]], done: Exported
) -> list[str]:
    """Write the two files of a month, whose rows are kept on disk until both are complete."""
    with tempfile.TemporaryDirectory() as folder:
        files = {table: (Path(folder) / table).open("w+b") for table in (RESULTS, FIELDS)}
        try:
            for record, result in found:
                files[RESULTS].write(_line(whole(record, result)))
                for row in rows_of(record, result):
                    done.rows += 1
                    files[FIELDS].write(_line({**row, "typed": text_of(row["typed"])}))
            for table, file in files.items():
                file.seek(0)
                where.app.objects.stream(table_key(table, month, name), _chunks(file), _TYPE)
        finally:
            for file in files.values():
                file.close()
    return [table_key(table, month, name) for table in files]


def _emptied(where: Target, names: list[str], since: datetime | None, written: set[str]) -> list[str]:
    """Empty the files of months that have no results any more."""
    first, emptied = "" if since is None else f"{since:%Y-%m}", []
    for table in (RESULTS, FIELDS):
        for key, size in where.app.objects.list(table_folder(table)):
            month, _, file = key.removeprefix(f"{table_folder(table)}month=").partition("/")
            if size and key not in written and month >= first and file.removesuffix(".jsonl") in names:
                where.app.objects.write(key, b"", _TYPE)
                emptied.append(key)
    return emptied


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
