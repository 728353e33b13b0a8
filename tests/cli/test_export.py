"""``dossier export``: fields of finished cases as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from cli.export import AHEAD, Exported, results_of
from dossier.models import CaseId, CaseStatus
from dossier.steps.rows import COLUMNS
from tests.cli.conftest import Dossier
from tests.conftest import BUCKET
from tests.machine import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'shared' / 'python'}"}


@pytest.fixture
def completed(dossier: Dossier, invoice: Path) -> Dossier:
    """Return the deployment with a case that has completed."""
    assert dossier("submit", "invoices", invoice, "--reference", "INV-1").exit_code == 0
    return dossier


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column name."""
    return list(csv.DictReader(io.StringIO(text)))


def replaced(dossier: Dossier, reference: str, **changes: Any) -> None:
    """Replace parts of a stored result."""
    s3, key = dossier.cloud.session.client("s3"), f"cases/invoices/{reference}/result.json"
    result = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(result | changes).encode())


def field(value: str | None, **more: Any) -> dict[str, Any]:
    """Return a field of a result."""
    return {"key": "total", "name": "Total", "value": value, **more}


def test_each_field_is_a_row(completed: Dossier) -> None:
    """The fields of result.json, with the case's names in each row.

    DocuStack's only document has its fields twice in there, as its own and as the case's: they are exported once.
    """
    result = json.loads(completed.cloud.app.objects.read("cases/invoices/INV-1/result.json") or b"")
    (document,) = result["documents"]
    wanted = document["fields"]
    assert wanted
    assert wanted == result["fields"]
    found = rows(completed("export").stdout)
    assert [each["key"] for each in found] == [each["key"] for each in wanted]
    assert [each["value"] for each in found] == [each["value"] or "" for each in wanted]
    assert {(each["connection"], each["reference"], each["case_id"]) for each in found} == {
        ("invoices", "INV-1", result["case_id"] or "")
    }
    assert {(each["document"], each["document_id"]) for each in found} == {("invoice.pdf", document["document_id"])}
    assert [list(each) for each in completed.json("export")] == [list(found[0])] * len(found)


def test_money_has_its_currency(completed: Dossier) -> None:
    """An amount is a plain number beside its ISO 4217 code."""
    typed = {"amount": "1234.50", "currency": "EUR", "symbol": "€"}
    replaced(completed, "INV-1", fields=[field("€ 1.234,50", type="currency", typed=typed, review=True)], documents=[])
    (row,) = rows(completed("export").stdout)
    assert (row["value"], row["typed"], row["currency"], row["review"]) == ("€ 1.234,50", "1234.50", "EUR", "true")


def test_a_case_without_fields_is_a_row(completed: Dossier) -> None:
    """A case without fields still has a row."""
    replaced(completed, "INV-1", fields=[], documents=[])
    (row,) = rows(completed("export").stdout)
    assert (row["reference"], row["status"], row["key"]) == ("INV-1", "completed", "")


@pytest.mark.rule("security: put a formula into a spreadsheet of dossier export")
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        (" =1+1", "' =1+1"),
        ("\t=1+1", "' =1+1"),
        ("\uff1dHYPERLINK(1)", "'\uff1dHYPERLINK(1)"),
        (" -12.50", " -12.50"),
        ("-12.50", "-12.50"),
        ("+1,234.5", "+1,234.5"),
        ("-5%", "-5%"),
        ('two, "three"', 'two, "three"'),
        ("two\nlines", "two lines"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_no_cell_is_a_formula(completed: Dossier, value: str, cell: str) -> None:
    """A spreadsheet shows a vendor's values and never computes them; a number stays a number."""
    replaced(completed, "INV-1", fields=[field(value)], documents=[])
    (row,) = rows(completed("export").stdout)
    assert row["value"] == cell


def test_cases_are_filtered(completed: Dossier, invoice: Path) -> None:
    """By connection and time; a case that has not ended has no rows yet."""
    assert completed("submit", "claims", invoice, "--reference", "C-1").exit_code == 0
    assert {each["reference"] for each in completed.json("export")} == {"INV-1", "C-1"}
    assert {each["reference"] for each in completed.json("export", "--connection", "claims")} == {"C-1"}
    assert completed.json("export", "--since", "2100-01-01") == []
    completed.whole = False
    assert completed("submit", "claims", invoice, "--reference", "C-2", "--allow-duplicates").exit_code == 0
    assert "C-2" not in completed("export").stdout


def test_missing_result_is_reported(completed: Dossier) -> None:
    """Retention may have deleted it."""
    completed.cloud.session.client("s3").delete_object(Bucket=BUCKET, Key="cases/invoices/INV-1/result.json")
    result = completed("export")
    assert rows(result.stdout) == []
    assert "1 result no longer in the bucket" in result.stderr


def test_parquet_has_types(completed: Dossier, tmp_path: Path) -> None:
    """The rows of the CSV; times, numbers, dates and booleans can be computed with."""
    replaced(
        completed,
        "INV-1",
        documents=[],
        fields=[
            field("€ 1.234,50", type="currency", typed={"amount": "1234.50", "currency": "EUR"}, confidence=0.5),
            field("31 Jan 2026", type="date", typed="2026-01-31"),
            field("yes", type="boolean", typed=True, review=True),
            field("=1+1", type="text"),
        ],
    )
    file = tmp_path / "fields.parquet"
    document = completed.json("export", "--format", "parquet", "--output", file)
    assert document == {"cases": 1, "rows": 4, "missing": 0, "file": str(file)}
    found = duckdb.sql(f"SELECT * FROM '{file}'")
    assert found.columns == [*COLUMNS, "number", "date", "boolean"]
    assert dict(zip(found.columns, map(str, found.types), strict=True)) == {
        **dict.fromkeys(COLUMNS, "VARCHAR"),
        **dict.fromkeys(("collected_at", "submitted_at"), "TIMESTAMP WITH TIME ZONE"),
        **dict.fromkeys(("edited", "inferred", "review", "boolean"), "BOOLEAN"),
        "revision": "INTEGER",
        "confidence": "DOUBLE",
        "number": "DECIMAL(38,9)",
        "date": "DATE",
    }
    read = duckdb.sql(f"SELECT number, currency, date, boolean, value, confidence FROM '{file}'").fetchall()
    assert read == [
        (Decimal("1234.5"), "EUR", None, None, "€ 1.234,50", 0.5),
        (None, None, date(2026, 1, 31), None, "31 Jan 2026", None),
        (None, None, None, True, "yes", None),
        (None, None, None, None, "=1+1", None),  # no spreadsheet: nothing is escaped
    ]
    [(at,)] = duckdb.sql(f"SELECT DISTINCT submitted_at FROM '{file}'").fetchall()
    assert at.astimezone(UTC) == completed.case("invoices", "INV-1").record.submitted_at


def test_a_file_has_what_is_printed(completed: Dossier, tmp_path: Path) -> None:
    """``--output`` changes where it goes, and Parquet on standard output is a file."""
    printed = completed("export")
    assert completed.json("export", "--output", tmp_path / "fields.csv")["rows"] == 4
    assert (tmp_path / "fields.csv").read_text() == printed.stdout
    written = completed("export", "--format", "parquet")
    (tmp_path / "fields.parquet").write_bytes(written.stdout_bytes)
    assert len(duckdb.sql(f"SELECT * FROM '{tmp_path / 'fields.parquet'}'").fetchall()) == 4
    assert completed("export", "--format", "parquet", "--json").exit_code == 2
    assert completed("export", "--format", "tables", "--output", tmp_path / "x").exit_code == 2


def test_parquet_without_its_package(completed: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = completed("export", "--format", "parquet", "--output", tmp_path / "x.parquet")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["dossier: Parquet needs the package duckdb: run `pip install duckdb`"]
    assert completed("export").exit_code == 0


WRITES = """
import resource, sys
from pathlib import Path
from cli.export_parquet import write_parquet
from dossier.steps.rows import COLUMNS
row = dict.fromkeys(COLUMNS) | {"connection": "invoices", "value": "x" * 100, "revision": 1}
cases = int(sys.argv[2])
write_parquet(({**row, "reference": f"R-{n // 20}"} for n in range(cases * 20)), Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_cases(tmp_path: Path) -> None:
    """A process that writes ten thousand cases of twenty fields takes as much memory as one with a thousand."""

    def peak(cases: int) -> int:
        words = [sys.executable, "-c", WRITES, str(tmp_path / f"{cases}.parquet"), str(cases)]
        done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak(10_000) <= 1.25 * peak(1000)
    file = tmp_path / "10000.parquet"
    [found] = duckdb.sql(f"SELECT count(*), count(DISTINCT reference) FROM '{file}'").fetchall()
    assert found == (200_000, 10_000)


def test_a_few_results_are_held_at_once() -> None:
    """However many cases there are, the command reads only those that it writes."""
    read: list[str] = []

    class Objects:
        def read(self, key: str) -> bytes:
            read.append(key)
            return b'{"schema_version": "2"}'

    where: Any = SimpleNamespace(app=SimpleNamespace(objects=Objects()))
    records: Any = (
        SimpleNamespace(status=CaseStatus.COMPLETED, id=CaseId("invoices", str(number)), revision=1)
        for number in range(10_000)
    )
    found = results_of(where, records, done := Exported())
    for number in range(1, 500):
        next(found)
        assert len(read) < number + 2 * AHEAD
    assert done.cases == 499
