"""``dossier timeline`` and ``dossier logs``: a case's records from the stores, Step Functions and the logs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from dossier.calls import CALL
from dossier.models import CaseId, Document
from tests.cli.conftest import Dossier


@pytest.fixture
def logged(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a case, log lines and deliveries, of which some are about the case."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    app = dossier.cloud.app
    document = Document(index=0, name="invoice.pdf", key="k", document_id="doc-1", job_id="job-1")
    app.cases.put_documents(CaseId("invoices", "INV-1"), [document], fresh=False)
    for ids in ({"document_id": "doc-1"}, {"document_id": "other"}):
        app.evidence.keep("invoices", "accepted", json.dumps({"event": "document_completed", **ids}).encode(), {})
    logs = dossier.cloud.session.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/dossier-dev-poll")
    logs.create_log_stream(logGroupName="/aws/lambda/dossier-dev-poll", logStreamName="s")
    mine: dict[str, Any] = {"connection": "invoices", "reference": "INV-1", "level": "INFO"}
    lines = [
        {**mine, "message": CALL, "call": "GET /api/v1/documents/doc-1/status", "status": 200, "error": None, "ms": 87},
        {**mine, "reference": "INV-10", "message": "of another case"},
        {**mine, "_aws": {}, "message": "a metric of INV-1"},
        {**mine, "level": "WARNING", "message": "something is odd"},
    ]
    at = int(time.time() * 1000)
    events = [{"timestamp": at + number, "message": json.dumps(each)} for number, each in enumerate(lines)]
    events.append({"timestamp": at + 9, "message": "REPORT RequestId: INV-1"})
    logs.put_log_events(logGroupName="/aws/lambda/dossier-dev-poll", logStreamName="s", logEvents=events)
    return dossier


def test_timeline_has_records_deliveries_and_calls(logged: Dossier) -> None:
    """Only entries about the case, in the order of time."""
    found = logged.json("timeline", "INV-1")
    entries = found["entries"]
    assert [each["at"] for each in entries] == sorted(each["at"] for each in entries)
    by_source: dict[str, list[str]] = {}
    for each in entries:
        by_source.setdefault(each["source"], []).append(each["what"])
    assert by_source["call"] == ["GET /api/v1/documents/doc-1/status: 200"]
    assert by_source["log"] == ["poll: something is odd"]
    assert by_source["delivery"] == ["delivery document_completed accepted about doc-1"]
    assert by_source["record"][0] == "submitted to invoices with 1 document"
    call = next(each for each in entries if each["source"] == "call")
    assert (call["seconds"], call["status"]) == (0.087, 200)
    shown = logged("timeline", "INV-1", "--connection", "invoices")
    assert shown.exit_code == 0, shown.stderr
    assert "87 ms" in shown.stdout


def test_logs_are_the_lines_of_the_case(logged: Dossier) -> None:
    """A line of another case with the reference as its beginning is left out, and so are metrics."""
    found = logged.json("logs", "INV-1")
    assert [each["message"] for each in found] == [CALL, "something is odd"]
    assert {each["function"] for each in found} == {"poll"}
    assert "GET /api/v1/documents/doc-1/status: 200 in 87 ms" in logged("logs", "INV-1").stdout


def test_case_without_logs_says_so(dossier: Dossier, invoice: Path) -> None:
    """Functions that never ran have no log group."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    result = dossier("logs", "INV-1")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no function has logged anything" in result.stderr
    assert dossier("timeline", "nothing").exit_code == 1
