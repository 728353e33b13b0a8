"""A gateway once answers with a status that says nothing about the case: it continues, and is not uploaded twice."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from local.sandbox.calls import Operation
from local.sandbox.faults import STRAY
from tests.conftest import Cloud
from tests.machine import World, samples

FILES = {"invoices": "invoice.pdf", "claims": "invoice.pdf", "disputes": "complaint.docx"}
VENDORS = {"invoices": "docustack", "claims": "docsumo", "disputes": "ombudsman"}
READS = {
    "invoices": ("status", "document"),
    "claims": ("list", "files", "artifact_url"),
    "disputes": ("case", "evidence"),
}
"""Operations that only read: polls, reads before an upload, and collections."""
WRITES = {"invoices": ("upload",), "claims": ("upload", "update"), "disputes": ("create", "upload", "process")}
"""Operations that change something."""
PHRASES = {404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 421: "Misdirected Request", 423: "Locked"}


def operations(table: dict[str, tuple[str, ...]]) -> list[Any]:
    """Return (connection, operation, status): two statuses for each operation, and each status at some."""
    places = [(name, each) for name, listed in table.items() for each in listed]
    statuses = itertools.cycle(STRAY)
    return [
        pytest.param(name, each, status, id=f"{name}-{each}-{status}")
        for name, each in places
        for status in itertools.islice(statuses, 2)
    ]


def submitted(world: World, connection: str) -> dict[str, Any]:
    """Submit a case that makes every kind of request, and return its result."""
    options = {"claims": {"case_title": "Invoice of May"}}.get(connection, {})
    return world.submit(connection, "R-1", samples(FILES[connection]), options=options)


@pytest.mark.parametrize(("connection", "operation", "status"), operations(READS))
def test_one_stray_status_to_a_read_fails_no_case(cloud: Cloud, connection: str, operation: str, status: int) -> None:
    """Polls, look-ups, listings and downloads are asked again."""
    fault = {"name": "stray_status", "rate": 1, "times": 1, "operation": operation, "status": status}
    world = World(cloud, faults=[fault])
    assert submitted(world, connection)["status"] == "completed"
    struck = [entry for entry in world.journal() if entry["fault"] == "stray_status"]
    assert [entry["status"] for entry in struck] == [status]
    assert len(world.effects("document_uploaded")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("connection", "operation", "status"), operations(WRITES))
def test_one_stray_status_to_a_write_does_nothing_twice(
    cloud: Cloud, connection: str, operation: str, status: int, when: str
) -> None:
    """It does not say whether the work was done: that is looked up (or, of an Ombudsman's create, asked)."""
    fault = {"name": "stray_status", "rate": 1, "times": 1, "operation": operation, "status": status, "when": when}
    world = World(cloud, faults=[fault])
    assert submitted(world, connection)["status"] == "completed"
    for name in ("document_uploaded", "case_created", "assessment_started"):
        assert len(world.effects(name)) <= 1, name
    assert len(world.effects("document_uploaded")) == 1
    assert world.asked == (["open"] if operation == "create" else [])


class Instead:
    """Replaces the answers of one operation of the sandbox for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operation: str, answer: Response, *, times: int) -> None:
        self.left, whole = times, Operation._answer

        async def answered(this: Operation, call: Any) -> tuple[Response, float]:
            if call.entry.operation != operation or not self.left:
                return await whole(this, call)
            self.left -= 1
            return answer, 0.0

        monkeypatch.setattr(Operation, "_answer", answered)


@pytest.mark.parametrize(
    ("connection", "status"), [*zip(itertools.cycle(FILES), PHRASES), ("claims", 404), ("disputes", 404)]
)
def test_status_phrase_in_json_is_not_a_rejection(
    cloud: Cloud, connection: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework's own 404 has the vendor's keys: while a case waits, it counts as trouble on the way."""
    body = {"detail": PHRASES[status], "message": PHRASES[status], "statusCode": status, "status_code": status}
    world = World(cloud)
    for operation in ("status", "list", "evidence"):
        Instead(monkeypatch, operation, JSONResponse(body, status), times=2)
    assert submitted(world, connection)["status"] == "completed"


@pytest.mark.parametrize("status", [400, 404])
def test_no_answer_to_docsumos_list_ends_a_waiting_case(
    cloud: Cloud, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is about every case of the connection: a rejection of it is no rejection of one case."""
    world = World(cloud)
    body = {"status": "fail", "status_code": status, "message": "The index is being rebuilt", "error_code": "GONE"}
    Instead(monkeypatch, "list", JSONResponse(body, status), times=2)
    assert submitted(world, "claims")["status"] == "completed"


@pytest.mark.parametrize("connection", FILES)
def test_html_page_is_not_a_rejection(cloud: Cloud, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway's 401 or 403 says nothing about the key."""
    world = World(cloud)
    for operation in ("status", "list", "evidence", "document", "files"):
        Instead(monkeypatch, operation, HTMLResponse("<h1>Just a moment</h1>", 403), times=1)
    assert submitted(world, connection)["status"] == "completed"


@pytest.mark.parametrize(("connection", "status"), [*zip(FILES, (400, 422, 400), strict=True)])
def test_rejected_upload_fails_the_case_at_once(
    cloud: Cloud, connection: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rejection in the vendor's form is final: nothing is retried, and the reason is the vendor's."""
    text = "This page is upside down"
    body = {"detail": text, "message": text, "statusCode": status, "status_code": status}
    world = World(cloud)
    Instead(monkeypatch, "upload", JSONResponse(body, status), times=10)
    result = submitted(world, connection)
    assert result["status"] == "failed"
    assert text in str(result)
    assert len([entry for entry in world.journal() if entry["operation"] == "upload"]) == 1
    assert world.retried == []
