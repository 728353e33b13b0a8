"""No value in an address or a form makes a page fail: it is refused with a reason, or means nothing."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from console.app import ACTIONS, PAGES
from dossier.models import CaseId, CaseStatus, Document
from tests.console.conftest import Visitor, put

VALUES = (
    "-1", "9" * 30, "1e400", "\0", "a\0b", "\x1b[31m", "\u202egnp", "\U0001f600", "\u0663", "../..", "%2e%2e",
    "a%2fb", "'\"><script>", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "99999d", "0000-01",
    "a" * 3000, "a\r\nx: y", "-", "all", ",", "CASE#invoices", "poll-nope",
)  # fmt: skip
QUERIES = {
    "/cases": ("connection", "status", "since", "text", "after", "review", "count", "done"),
    "/cases/views": ("connection", "status", "since", "text", "after"),
    "/deliveries": ("connection", "verdict", "since", "before"),
    "/failures": ("connection", "since", "log"),
    "/cost": ("month",),
    "/connections/claims": ("drift",),
    "/cases/invoices/R-1/results": ("document", "page"),
    "/cases/invoices/R-1/revisions": ("from", "to"),
    "/cases/invoices/R-1/files": ("show",),
    "/cases/invoices/R-1/preview/0": ("page",),
    "/cases/invoices/R-1/file": ("name",),
}
FIELDS = {
    "/bulk": ("action", "all", "case", "filter"),
    "/bulk/run": ("action", "case"),
    "/cost": ("month",),
    "/deliveries/replay": ("delivery", "from"),
    "/failures/plan": ("cause", "action", "since", "connection"),
    "/failures/dead-letters": ("queue", "action"),
    "/connections/{connection}/check": ("csrf2",),
    "/connections/{connection}/pause": ("reason", "from"),
    "/connections/{connection}/resume": ("from",),
    "/cases/{connection}/{reference}/redrive": ("csrf2",),
    "/cases/{connection}/{reference}/refresh": ("csrf2",),
    "/cases/{connection}/{reference}/cancel": ("csrf2",),
    "/cases/{connection}/{reference}/stop": ("csrf2",),
    "/cases/{connection}/{reference}/resolve": ("answer", "id", "force", "question"),
}
SENSIBLE = {"action": "redrive", "answer": "use", "id": "x", "case": "invoices/R-1", "queue": "wake"}


@pytest.fixture
def failed(visitor: Visitor) -> Visitor:
    """Yield somebody who sees a case that has failed, with a document that is not a document."""
    put(visitor, "R-1", CaseStatus.FAILED, reason="the vendor refused it", error="VendorRejectedError")
    document = Document(index=0, name="a.pdf", key="cases/invoices/R-1/documents/a.pdf", size=8)
    visitor.dossier.cloud.app.objects.write(document.key, b"%PDF-1.7")
    visitor.dossier.cloud.app.cases.put_documents(CaseId("invoices", "R-1"), [document], fresh=True)
    return visitor


def filled(path: str, connection: str, rest: str) -> str:
    """Return the path of a route with these parts."""
    return re.sub(r"\{\w+(:int)?\}", rest, path.replace("{connection}", connection))


@pytest.mark.parametrize("path", QUERIES)
def test_no_query_makes_a_page_fail(failed: Visitor, path: str) -> None:
    """Times beyond the calendar, numbers beyond every limit, bytes that are not text."""
    for name in QUERIES[path]:
        for value in [*(quote(each, safe="") for each in VALUES), "%ff%fe"]:
            answer = failed.http.get(f"{path}?{name}={value}")
            assert answer.status_code < 500, (path, name, value[:60], answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_no_address_makes_a_page_fail(failed: Visitor, path: str) -> None:
    """Other connections, other references, and what is not a name at all."""
    for value in VALUES:
        rest = quote(value, safe="")
        for connection in (rest, "invoices"):
            answer = failed.http.get(filled(path, connection, rest))
            assert answer.status_code < 500, (path, value[:60], answer.text)


def test_every_action_is_tried() -> None:
    """A new action needs its fields here."""
    assert set(FIELDS) == set(ACTIONS)


@pytest.mark.parametrize("path", FIELDS)
def test_no_field_makes_an_action_fail(failed: Visitor, path: str) -> None:
    """Each field alone, and among sensible ones."""
    address = filled(path, "invoices", "R-1")
    for name in FIELDS[path]:
        for value in VALUES:
            for base in ({}, {each: SENSIBLE[each] for each in FIELDS[path] if each in SENSIBLE}):
                form = {"csrf": failed.session.csrf, **base, name: value}
                answer = failed.http.post(address, data=form, headers={"origin": str(failed.http.base_url)})
                assert answer.status_code < 500, (path, name, value[:60], answer.text)
