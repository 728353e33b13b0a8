"""``dossier export``: fields of finished cases as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Dossier
from tests.conftest import BUCKET


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
    """Nothing is left out of the sheet because nothing was found in it."""
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
    """What a vendor read in a document is shown by a spreadsheet, never computed; a number stays one."""
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
