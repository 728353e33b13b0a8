"""Fields as Parquet, written by DuckDB (``dossier[export]``)."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from dossier.steps.rows import COLUMNS

_TYPES = {str: "VARCHAR", int: "INTEGER", float: "DOUBLE", bool: "BOOLEAN"}
_TIMES = ("collected_at", "submitted_at")
READ = {
    "number": "CASE WHEN type IN ('number', 'currency') THEN TRY_CAST(typed AS DECIMAL(38, 9)) END",
    "date": "CASE WHEN type = 'date' THEN TRY_CAST(typed AS DATE) END",
    "boolean": "CASE WHEN type = 'boolean' THEN TRY_CAST(typed AS BOOLEAN) END",
}
"""Columns beside those of the CSV: ``typed`` by its type. A value that a column cannot hold is null there."""
_SETTINGS = (
    "SET threads = 1",
    "SET memory_limit = '256MB'",
    "SET autoinstall_known_extensions = false",
    "SET enable_progress_bar = false",
)


def write_parquet(rows: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write rows to a Parquet file. They pass through a file on disk, so any number takes the same memory.

    Raises:
        CommandError: the package is not installed.

    """
    try:
        import duckdb  # noqa: PLC0415 -- an optional package
    except ImportError:
        raise CommandError("Parquet needs the package duckdb", fix="run `pip install duckdb`") from None
    columns = {name: _TYPES[kind] for name, kind in COLUMNS.items()}
    shown = [f"TRY_CAST({name} AS TIMESTAMPTZ) AS {name}" if name in _TIMES else name for name in COLUMNS]
    shown += [f'{expression} AS "{name}"' for name, expression in READ.items()]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("w", encoding="utf-8") as into:
            into.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        with duckdb.connect() as database:
            for each in _SETTINGS:
                database.execute(each)
            database.execute("SET temp_directory = ?", [folder])
            database.execute(
                f"COPY (SELECT {', '.join(shown)} FROM read_json($lines, format = 'newline_delimited', "  # noqa: S608 -- our own names
                "columns = $columns)) TO $file (FORMAT parquet, COMPRESSION zstd)",
                {"lines": str(lines), "columns": columns, "file": str(file)},
            )


def to_stdout(rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to standard output as Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fields.parquet"
        write_parquet(rows, file)
        with file.open("rb") as read:
            shutil.copyfileobj(read, sys.stdout.buffer)
