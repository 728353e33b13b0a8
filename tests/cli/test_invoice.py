"""``dossier invoice``: every page that the vendor should bill, with its case, and unexplained entries."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.invoice import month_of
from dossier.models import CaseId, Document, iso, now
from tests.cli.conftest import Dossier
from tests.records import record

LONG_AGO = now() - timedelta(hours=2)
MONTH = f"{LONG_AGO:%Y-%m}"


def stored(dossier: Dossier, reference: str, *pages: int | None, at: str = iso(LONG_AGO), **documents: Any) -> None:
    """Store a case whose documents the vendor has."""
    cases = dossier.cloud.app.cases
    case = {"connection": "invoices", "reference": reference, "submitted_at": at, "updated_at": at}
    cases.claim(record(status="completed", **case))
    given = {"key": "cases/x", "document_id": f"doc_{reference}", "status": "completed", **documents}
    found = [Document(index=index, name=f"{index}.pdf", pages=number, **given) for index, number in enumerate(pages)]
    cases.put_documents(CaseId("invoices", reference), found, fresh=True)
    if given["document_id"] and given["key"]:
        dossier.cloud.app.intents.own(CaseId("invoices", reference), [f"doc_{reference}"])


@pytest.fixture
def priced(asking: Dossier, tmp_path: Path) -> Dossier:
    """A deployment whose connection ``invoices`` has a price."""
    file = tmp_path / "connections.toml"
    text = file.read_text().replace("[invoices]\n", "[invoices]\nbudget = { price_per_page = 0.25 }\n")
    file.write_text(text)
    return asking


def test_pages_are_those_of_uploaded_documents_in_the_month(priced: Dossier) -> None:
    """Unknown numbers count as one; what was collected, never sent, or sent in another month does not count."""
    stored(priced, "R-1", 3, 4)
    stored(priced, "R-2", None)
    stored(priced, "collected", 9, key="")
    stored(priced, "not-sent", 9, document_id=None)
    stored(priced, "earlier", 9, at="2024-01-31T23:59:59.999Z")
    stored(priced, "lost", 5, document_id=None)
    priced.cloud.app.intents.begin(CaseId("invoices", "lost"), "upload-0", names=["0.pdf"], known=[])
    document = priced.json("invoice", "invoices", "--month", MONTH)
    assert (document["pages"], document["vendor_usd"], document["unknown_pages"]) == (8, 2.0, 1)
    assert document["unread"] is None
    rows = [(each["kind"], each["reference"], each["pages"], each["counted"], each["usd"]) for each in document["rows"]]
    assert rows == [
        ("document", "R-1", 3, 3, 0.75), ("document", "R-1", 4, 4, 1.0), ("document", "R-2", None, 1, 0.25),
        ("in doubt", "lost", 5, 0, None),
    ]  # fmt: skip
    assert priced.json("invoice", "invoices", "--month", "2024-01")["pages"] == 9
    assert priced.json("invoice", "invoices", "--month", "2024-02")["pages"] == 0
    people = priced("invoice", "invoices", "--month", MONTH)
    assert "8 pages of 4 documents at $0.25 a page: $2.00" in people.stderr
    assert "1 document in doubt" in people.stderr
    sheet = list(csv.DictReader(io.StringIO(priced("invoice", "invoices", "--month", MONTH, "--csv").stdout)))
    assert [each["counted"] for each in sheet] == ["3", "4", "1", "0"]


def test_an_account_without_a_list_says_so(priced: Dossier) -> None:
    """The Ombudsman has none; so does one whose list cannot be read now."""
    document = priced.json("invoice", "disputes", "--month", MONTH)
    assert document["unread"] == "ombudsman has no list, so what nobody submitted here cannot be seen"
    assert (document["price_per_page"], document["vendor_usd"]) == (None, None)


def test_a_month_is_a_month() -> None:
    """December ends with the year; anything else is bad usage."""
    begin, end = month_of("2025-12")
    assert (iso(begin), iso(end)) == ("2025-12-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("month", ["2025-13", "december", "2025", "0001-01"])
def test_invalid_month_is_bad_usage(dossier: Dossier, month: str) -> None:
    """The line says how to write a month."""
    result = dossier("invoice", "invoices", "--month", month)
    assert result.exit_code == 2
    assert "is not a month" in result.stderr
