"""``dossier export --format tables`` and the tables over its files: DuckDB runs the queries of docs/queries.md."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dossier.models import CaseId
from dossier.steps.forget import forget
from dossier.steps.rows import COLUMNS
from infra.results_tables import result_columns
from tests.cli.conftest import Dossier
from tests.conftest import BUCKET
from tests.machine import ROOT

PAGE = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(SELECT.*?)```", PAGE, re.DOTALL)
FIELDS = {str: "string", int: "int", float: "double", bool: "boolean"}
CASES = (("invoices", "INV-1"), ("invoices", "INV-2"), ("claims", "C-1"), ("disputes", "D-1"))


@pytest.fixture
def completed(dossier: Dossier, invoice: Path) -> Dossier:
    """Return the deployment with finished cases of every vendor, exported."""
    for connection, reference in CASES:
        done = dossier("submit", connection, invoice, "--reference", reference, "--allow-duplicates")
        assert done.exit_code == 0, done.stderr
    result = json.loads(dossier.cloud.app.objects.read("cases/invoices/INV-2/result.json") or b"")
    total = result["documents"][0]["fields"][2]
    total |= {"type": "currency", "typed": {"amount": "1234.50", "currency": "EUR", "symbol": "€"}, "review": True}
    result["fields"] = result["documents"][0]["fields"]
    dossier.cloud.app.objects.write_json("cases/invoices/INV-2/result.json", result)
    assert dossier("export", "--format", "tables").exit_code == 0
    return dossier


def stored(dossier: Dossier) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every file of the tables by its key."""
    app = dossier.cloud.app
    return {key: [json.loads(line) for line in app.objects.lines(key)] for key, _ in app.objects.list("tables/")}


def duck_type(kind: str) -> str:
    """Return DuckDB's name of a type of Glue's."""
    if kind.startswith("array<"):
        return f"{duck_type(kind[6:-1])}[]"
    if kind.startswith("struct<"):
        parts, depth, start = [], 0, 7
        for at in range(7, len(kind)):
            depth += {"<": 1, ">": -1}.get(kind[at], 0)
            if (kind[at] == "," and depth == 0) or at == len(kind) - 1:
                parts.append(kind[start:at].partition(":"))
                start = at + 1
        inside = (f'"{name}" {duck_type(inner)}' for name, _, inner in parts)
        return f"STRUCT({', '.join(inside)})"
    return {"string": "VARCHAR", "int": "INTEGER"}.get(kind, kind.upper())


def database(dossier: Dossier, folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a database with the two tables, as the stack describes them, over the bucket's files."""
    app = dossier.cloud.app
    for key, _ in app.objects.list("tables/"):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(app.objects.read(key) or b"")
    found = duckdb.connect()
    for table, columns in (("results", result_columns()), ("fields", {k: FIELDS[v] for k, v in COLUMNS.items()})):
        typed = {name: duck_type(kind) for name, kind in columns.items()}
        found.execute(
            f"CREATE TABLE {table} AS SELECT * FROM read_json('{folder}/tables/{table}/*/*.jsonl', columns = $columns, "
            "format = 'newline_delimited', hive_partitioning = true, hive_types = {'month': 'VARCHAR'})",
            {"columns": typed},
        )
    return found


def test_each_line_has_the_columns_of_its_table(completed: Dossier) -> None:
    """A file for each connection and month; no line has anything that its table does not know."""
    files = stored(completed)
    month = completed.case(*CASES[0]).record.submitted_at
    assert sorted(files) == sorted(
        f"tables/{table}/month={month:%Y-%m}/{connection}.jsonl"
        for table in ("fields", "results")
        for connection in ("claims", "disputes", "invoices")
    )
    wanted = {"results": [*result_columns()], "fields": [*COLUMNS]}
    for key, rows in files.items():
        assert rows, key
        assert all([*row] == wanted[key.split("/")[1]] for row in rows), key


def test_the_tables_have_every_part_of_the_results(completed: Dossier, tmp_path: Path) -> None:
    """What SQL reads of ``results`` is ``result.json``; only ``typed`` is text."""

    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                name: (json.dumps(each, ensure_ascii=False) if isinstance(each, dict | bool) else each)
                if name == "typed"
                else plain(each)
                for name, each in part.items()
            }
        return [plain(each) for each in part] if isinstance(part, list) else part

    found = database(completed, tmp_path).execute("SELECT * EXCLUDE (month) FROM results")
    names = [each[0] for each in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for connection, reference in CASES:
        result = json.loads(completed.cloud.app.objects.read(f"cases/{connection}/{reference}/result.json") or b"")
        (row,) = (each for each in rows if each["reference"] == reference)
        assert {name: row[name] for name in result} == plain(result)


@pytest.mark.parametrize("query", QUERIES, ids=["cases", "amounts", "review"])
def test_a_query_of_the_page_runs(completed: Dossier, tmp_path: Path, query: str) -> None:
    """DuckDB answers, on the bucket's files, with what the cases have."""
    found = database(completed, tmp_path).execute(query).fetchall()
    month = f"{completed.case(*CASES[0]).record.submitted_at:%Y-%m}"
    if "AS cases" in query:
        wanted = Counter(connection for connection, _ in CASES)
        assert found == [(month, name, "completed", number) for name, number in sorted(wanted.items())]
    elif "AS total" in query:
        fields = completed.cloud.app.objects.read("cases/invoices/INV-1/result.json") or b""
        total = next(each["typed"] for each in json.loads(fields)["fields"] if each["key"] == "total_amount")
        assert found == [("EUR", 1, Decimal("1234.50")), (None, 1, Decimal(total))]
    else:
        assert found == [("invoices", "total_amount", 2, 0.95, 1)]


def test_there_are_three_queries() -> None:
    """The page has what the tests run."""
    assert len(QUERIES) == 3


def test_a_case_that_is_gone_is_in_no_file(completed: Dossier) -> None:
    """An erasure takes its lines out of every version; a result that retention deleted is not exported again."""
    forget(CaseId("invoices", "INV-1"), context=completed.cloud.app)
    s3 = completed.cloud.session.client("s3")
    for each in s3.list_object_versions(Bucket=BUCKET, Prefix="tables/")["Versions"]:
        body = s3.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        assert b'"INV-1"' not in body
    left = {row["reference"] for key, rows in stored(completed).items() for row in rows}
    assert left == {"INV-2", "C-1", "D-1"}
    s3.delete_object(Bucket=BUCKET, Key="cases/claims/C-1/result.json")
    document = completed.json("export", "--format", "tables")
    assert (document["cases"], document["missing"]) == (2, 1)
    assert {row["reference"] for rows in stored(completed).values() for row in rows} == {"INV-2", "D-1"}


def test_only_the_months_since_then_are_written(completed: Dossier) -> None:
    """Others keep their files."""
    completed.cloud.app.objects.write("tables/fields/month=2026-01/invoices.jsonl", b'{"reference": "OLD"}\n')
    keys = completed.json("export", "--format", "tables", "--since", "1h", "--connection", "invoices")["keys"]
    assert {each.rpartition("/")[2] for each in keys} == {"invoices.jsonl"}
    assert completed.cloud.app.objects.read("tables/fields/month=2026-01/invoices.jsonl")
    completed("export", "--format", "tables")
    assert completed.cloud.app.objects.read("tables/fields/month=2026-01/invoices.jsonl") == b""
