"""The sandbox's DocuStack keeps to its developer documentation."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.sandbox.strictly import LARGEST_FILE
from tests.local.sandbox.sandboxes import ACCOUNTS, PDF, SAMPLES, LiveSandbox, Receiver, until

DOCUMENTS = "/api/v1/documents"


def _batch(sandbox: LiveSandbox, *documents: object) -> httpx.Response:
    body = {"schema_id": "sch_xyz789", "organization_id": "org_abc123", "documents": list(documents)}
    return sandbox.docustack.post(f"{DOCUMENTS}/batch", json=body)


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "ds_live_4711"}, {"Authorization": "Bearer x"}])
def test_rejects_a_wrong_key_as_the_guide_says(sandbox: LiveSandbox, headers: dict[str, str]) -> None:
    """A missing key, a live key on this test account, or a key elsewhere is the guide's 401."""
    answer = sandbox.plain.get(f"/docustack{DOCUMENTS}", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid or missing API key"})


def test_a_key_of_another_vendor_is_a_leak(sandbox: LiveSandbox) -> None:
    """Another vendor's key is a 401 and noted as a leak."""
    sandbox.plain.get(f"/docustack{DOCUMENTS}", headers={"X-API-Key": ACCOUNTS.docsumo.api_key})
    assert len(sandbox.journal(leak="true", vendor="docustack")) == 1


def test_upload_answers_with_two_ids(sandbox: LiveSandbox) -> None:
    """An upload answers with document_id and job_id, of twenty letters and digits each."""
    answer = sandbox.docustack_upload().json()
    assert set(answer) == {"document_id", "job_id"}
    assert all(re.fullmatch("[a-z0-9]{20}", each) for each in answer.values())


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"schema_id": ""}, 422),
        ({"schema_id": "sch_none"}, 404),
        ({"organization_id": "org_none"}, 404),
        ({"extra": "1"}, 422),
    ],
)
def test_rejects_wrong_form_fields(sandbox: LiveSandbox, fields: dict[str, Any], status: int) -> None:
    """Missing and unknown fields are a 422, unknown ids a 404."""
    assert sandbox.docustack_upload(**fields).status_code == status


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (SAMPLES["receipt.png"], 415),
        (SAMPLES["complaint.docx"], 415),
        (b"%PDF-" + bytes(LARGEST_FILE), 413),
    ],
    ids=["empty", "png", "docx", "too large"],
)
def test_rejects_files_by_their_bytes(sandbox: LiveSandbox, content: bytes, status: int) -> None:
    """Only PDF, JPEG and TIFF are accepted, not empty and of at most 25 MB."""
    assert sandbox.docustack_upload(content=content).status_code == status


@pytest.mark.parametrize("name", ["invoice.pdf", "photo.jpg", "scan.tiff"])
def test_accepts_the_documented_types(sandbox: LiveSandbox, name: str) -> None:
    """PDF, JPEG and TIFF are accepted."""
    assert sandbox.docustack_upload(name, SAMPLES[name]).status_code == 200


def test_rejects_anything_but_one_file(sandbox: LiveSandbox) -> None:
    """A request without a file, with two files, or with text instead of a file is rejected."""
    data = {"schema_id": "sch_xyz789", "organization_id": "org_abc123"}
    for files in (
        [("other", ("a.pdf", PDF))],
        [("file", ("a.pdf", PDF)), ("file", ("b.pdf", PDF))],
        [("file", "text")],
    ):
        parts = [*((name, (None, value)) for name, value in data.items()), *files]
        if files == [("file", "text")]:
            parts[-1] = ("file", (None, "text"))
        answer = sandbox.docustack.post(f"{DOCUMENTS}/upload", files=parts)
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], list)


def test_status_shows_progress(sandbox: LiveSandbox) -> None:
    """The status goes from queued through processing to completed, with its progress and count of fields."""
    sandbox.set(seconds=0.3)
    document_id = sandbox.docustack_upload().json()["document_id"]
    seen: dict[object, int] = {}
    until(lambda: seen.setdefault(_status(sandbox, document_id)["status"], 1) and "completed" in seen)
    assert list(seen) == ["queued", "processing", "completed"]
    assert _status(sandbox, document_id) == {
        "document_id": document_id,
        "status": "completed",
        "extraction_progress": 100,
        "fields_extracted": 4,
    }


def _status(sandbox: LiveSandbox, document_id: str) -> dict[str, object]:
    status: dict[str, object] = sandbox.docustack.get(f"{DOCUMENTS}/{document_id}/status").json()
    return status


def test_document_has_field_values_once_completed(sandbox: LiveSandbox) -> None:
    """A completed document's fields have key, name, text value, confidence and how the value came about."""
    document_id = sandbox.docustack_upload("my invoice.pdf").json()["document_id"]
    document = sandbox.docustack.get(f"{DOCUMENTS}/{document_id}").json()
    assert (document["id"], document["name"], document["status"]) == (document_id, "my invoice.pdf", "completed")
    assert all(isinstance(each["value"], str) for each in document["field_values"])
    assert set(document["field_values"][0]) == {
        "field_key",
        "field_name",
        "value",
        "confidence",
        "was_inferred",
        "manually_edited",
    }
    again = sandbox.docustack_upload("other.pdf").json()["document_id"]
    assert sandbox.docustack.get(f"{DOCUMENTS}/{again}").json()["field_values"] == document["field_values"]


def test_an_unreadable_document_fails(sandbox: LiveSandbox) -> None:
    """A file whose name contains unreadable ends as failed, without fields."""
    document_id = sandbox.docustack_upload("unreadable.pdf").json()["document_id"]
    assert _status(sandbox, document_id)["status"] == "failed"
    assert sandbox.docustack.get(f"{DOCUMENTS}/{document_id}").json()["field_values"] == []


def test_lists_documents_newest_first(sandbox: LiveSandbox) -> None:
    """The list has the newest document first, with its id, name, status and time."""
    ids = [sandbox.docustack_upload(name).json()["document_id"] for name in ("a.pdf", "b.pdf")]
    listed = sandbox.docustack.get(DOCUMENTS).json()["documents"]
    assert [each["id"] for each in listed] == ids[::-1]
    assert [each["name"] for each in listed] == ["b.pdf", "a.pdf"]
    assert listed[0]["created_at"].endswith("Z")
    assert sandbox.docustack.get(f"{DOCUMENTS}?status=failed").status_code == 422


@pytest.mark.parametrize("path", ["none", "none/status", "none/fields"])
def test_unknown_documents_are_404(sandbox: LiveSandbox, path: str) -> None:
    """An unknown document or path is a 404 with a detail."""
    answer = sandbox.docustack.get(f"{DOCUMENTS}/{path}")
    assert answer.status_code == 404
    assert "detail" in answer.json()


def test_batch_accepts_the_readable_references(sandbox: LiveSandbox) -> None:
    """A batch accepts https and s3 references into one job, and names those that it rejects."""
    answer = _batch(
        sandbox,
        {"ref": "https://example.com/invoice-001.pdf", "name": "Invoice 001"},
        {"ref": "s3://my-bucket/invoices/003.pdf", "name": "Invoice 003"},
        {"ref": "http://example.com/invoice-002.pdf", "name": "plain http"},
        {"name": "no ref"},
    )
    assert answer.status_code == 202
    assert [each["name"] for each in answer.json()["documents"]] == ["Invoice 001", "Invoice 003"]
    assert [each["index"] for each in answer.json()["errors"]] == [2, 3]
    assert len(sandbox.effects("document_uploaded")) == 2
    assert len(sandbox.docustack.get(DOCUMENTS).json()["documents"]) == 2


@pytest.mark.parametrize("documents", [[], [{"ref": "ftp://example.com/a.pdf"}]])
def test_batch_without_readable_references_is_rejected(sandbox: LiveSandbox, documents: list[object]) -> None:
    """An empty batch, or one without a single good reference, is a 422."""
    assert _batch(sandbox, *documents).status_code == 422


def test_batch_reads_references_on_this_machine(sandbox: LiveSandbox, receiver: Callable[..., Receiver]) -> None:
    """A reference to this machine is really read: its document completes, or fails when it isn't there."""
    source = receiver()
    refs = [{"ref": f"{source.url}/invoice.pdf"}, {"ref": f"{source.url}/missing.pdf"}]
    ids = [each["document_id"] for each in _batch(sandbox, *refs).json()["documents"]]
    until(lambda: [_status(sandbox, each)["status"] for each in ids] == ["completed", "failed"])
    uploaded = sandbox.docustack_upload().json()["document_id"]
    fields = [sandbox.docustack.get(f"{DOCUMENTS}/{each}").json()["field_values"] for each in (ids[0], uploaded)]
    assert fields[0] == fields[1]


def test_the_rate_limit_is_a_sliding_window(sandbox: LiveSandbox) -> None:
    """One call too many is a 429 with Retry-After, a call in that pause is noted, and after it calls are welcome."""
    sandbox.set(rate_limits={"docustack": {"requests": 2, "seconds": 2.9}}, pause_grace=0)
    answers = [sandbox.docustack.get(DOCUMENTS) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 429, 429]
    assert (answers[2].headers["retry-after"], answers[2].json()) == ("3", {"detail": "Rate limit exceeded"})
    assert [entry["violation"] for entry in sandbox.journal(status=429)] == [False, True]
    assert sandbox.ombudsman.get("/nothing").status_code == 404
    time.sleep(3.01)
    assert sandbox.docustack.get(DOCUMENTS).status_code == 200
