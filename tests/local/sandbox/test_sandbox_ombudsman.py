"""The sandbox's Ombudsman partner API keeps to its integration guide."""

import time

import pytest

from local.sandbox.strictly import LARGEST_FILE
from tests.local.sandbox.sandboxes import SAMPLES, LiveSandbox, until

CASE_TYPE = "2b5b8bcd-3a0d-4a22-a5b9-53d4a58c1496"
OTHER = "00000000-0000-4000-8000-000000000000"
NOT_A_UUID = {"statusCode": 400, "message": "Validation failed (uuid is expected)"}


def _open(sandbox: LiveSandbox, *names: str) -> tuple[str, list[str]]:
    case_id = sandbox.ombudsman_case(case_type_id=CASE_TYPE).json()["case_id"]
    return case_id, [sandbox.evidence(case_id, name).json()["document_id"] for name in names]


def test_rejects_a_wrong_key_in_the_vendors_form(sandbox: LiveSandbox) -> None:
    """A missing or wrong key is a 401 with statusCode and message."""
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = sandbox.plain.post("/ombudsman/api/partner/v1/cases", json={}, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"statusCode": 401, "message": "Unauthorized"})


def test_create_answers_201_in_the_guides_shape(sandbox: LiveSandbox) -> None:
    """A new case comes with 201 and every key of the guide, those of the AI being null."""
    answer = sandbox.ombudsman_case(case_type_id=CASE_TYPE, case_title="Dispute", case_initiated_date="2025-01-15")
    case = answer.json()
    assert answer.status_code == 201
    assert {name: case.pop(name) for name in ("external_case_id", "ombudsman", "status", "case_title")} == {
        "external_case_id": "REF-1",
        "ombudsman": "your_tenant_id",
        "status": "created",
        "case_title": "Dispute",
    }
    assert case.pop("case_type_name") == "Default"
    assert case.pop("chronology") == case.pop("evidence") == []
    assert [name for name, value in case.items() if value is None] == [
        "case_summary",
        "case_specific_fields",
        "processing_started_at",
        "processing_completed_at",
    ]


def test_case_type_is_only_recommended(sandbox: LiveSandbox) -> None:
    """A case without case_type_id is opened."""
    assert sandbox.ombudsman_case().json()["case_type_id"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"external_case_id": ""},
        {"external_case_id": 7},
        {"ombudsman": None},
        {"case_initiated_date": "yesterday"},
        {"colour": "blue"},
    ],
)
def test_create_rejects_wrong_fields(sandbox: LiveSandbox, fields: dict[str, object]) -> None:
    """Missing, mistyped and unknown fields are a 400 whose message is a list."""
    answer = sandbox.ombudsman_case(**fields)
    assert answer.status_code == answer.json()["statusCode"] == 400
    assert isinstance(answer.json()["message"], list)


def test_create_rejects_wrong_ids(sandbox: LiveSandbox) -> None:
    """A case type that is not a UUID, or unknown, and an unknown tenant are a 400."""
    assert sandbox.ombudsman_case(case_type_id="x").json() == NOT_A_UUID
    assert sandbox.ombudsman_case(case_type_id=OTHER).status_code == 400
    assert sandbox.ombudsman_case(ombudsman="somebody").status_code == 400


def test_create_requires_json(sandbox: LiveSandbox) -> None:
    """A form is a 415, broken JSON a 400."""
    assert sandbox.ombudsman.post("/cases", data={"external_case_id": "a"}).status_code == 415
    headers = {"content-type": "application/json"}
    assert sandbox.ombudsman.post("/cases", content=b"{", headers=headers).status_code == 400


def test_ids_must_be_uuids(sandbox: LiveSandbox) -> None:
    """Ids that are not UUIDs are the guide's 400; unknown ones are a 404."""
    case_id, _ = _open(sandbox)
    for path in ("/cases/x", f"/cases/{case_id}/evidence/x"):
        answer = sandbox.ombudsman.get(path)
        assert (answer.status_code, answer.json()) == (400, NOT_A_UUID)
    for path in (f"/cases/{OTHER}", f"/cases/{case_id}/evidence/{OTHER}", "/nothing"):
        assert sandbox.ombudsman.get(path).status_code == 404
    assert sandbox.ombudsman.post("/cases/x/process").json() == NOT_A_UUID
    assert sandbox.evidence(OTHER).status_code == 404


def test_new_evidence_is_pending(sandbox: LiveSandbox) -> None:
    """Uploaded evidence is a 201, pending, with every key of the guide and without its file's name."""
    sandbox.set(seconds=5)
    case_id, _ = _open(sandbox)
    answer = sandbox.evidence(case_id, external_document_id="MINE-1")
    document = answer.json()
    assert answer.status_code == 201
    assert (document["status"], document["external_document_id"]) == ("pending_processing", "MINE-1")
    assert document["title"] is None
    assert document["claimant_support_score"] is None
    assert "invoice.pdf" not in answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"plain text", 400), (b"PK\x03\x04 not a document", 400), (b"%PDF-" + bytes(LARGEST_FILE), 413)],
    ids=["empty", "text", "zip", "too large"],
)
def test_evidence_rejects_files_by_their_bytes(sandbox: LiveSandbox, content: bytes, status: int) -> None:
    """Empty, too large and unsupported files are rejected."""
    case_id, _ = _open(sandbox)
    assert sandbox.evidence(case_id, content=content).status_code == status


@pytest.mark.parametrize("name", list(SAMPLES))
def test_evidence_accepts_the_documented_types(sandbox: LiveSandbox, name: str) -> None:
    """PDF, DOCX and images are accepted."""
    case_id, _ = _open(sandbox)
    assert sandbox.evidence(case_id, name, SAMPLES[name]).status_code == 201


def test_evidence_rejects_unknown_fields(sandbox: LiveSandbox) -> None:
    """A form field that the guide does not name is a 400."""
    case_id, _ = _open(sandbox)
    assert sandbox.evidence(case_id, title="Mine").status_code == 400


def test_documents_go_through_the_guides_statuses(sandbox: LiveSandbox) -> None:
    """A document is pending, then processing, then complete with what the AI found."""
    sandbox.set(seconds=0.3)
    case_id, (document_id,) = _open(sandbox, "a.pdf")
    path = f"/cases/{case_id}/evidence/{document_id}"
    seen: dict[str, int] = {}
    until(lambda: seen.setdefault(sandbox.ombudsman.get(path).json()["status"], 1) and len(seen) == 3)
    assert list(seen) == ["pending_processing", "processing", "processing_complete"]
    document = sandbox.ombudsman.get(path).json()
    assert document["event_date"].endswith("T00:00:00.000Z")
    assert document["summary"].startswith("# ")
    assert document["claimant_support_score"] in (None, *range(11))


def test_process_waits_for_documents(sandbox: LiveSandbox) -> None:
    """/process is the guide's 400 while a document is being processed, and begins nothing."""
    sandbox.set(seconds=2)
    case_id, _ = _open(sandbox, "a.pdf")
    answer = sandbox.ombudsman.post(f"/cases/{case_id}/process")
    message = "Cannot process case: documents are still being processed"
    assert (answer.status_code, answer.json()) == (400, {"statusCode": 400, "message": message})
    time.sleep(2.01)
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").json() == {"case_id": case_id, "status": "processing"}
    assert sandbox.ombudsman.get(f"/cases/{case_id}").json()["status"] == "processing"
    assert len(sandbox.effects("assessment_started")) == 1


def test_process_rejects_a_case_without_evidence(sandbox: LiveSandbox) -> None:
    """A case without documents can't be assessed."""
    case_id, _ = _open(sandbox)
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").status_code == 400


def test_process_does_not_run_twice(sandbox: LiveSandbox) -> None:
    """A second /process without new evidence is a 400; new evidence may come once the first has ended."""
    case_id, _ = _open(sandbox, "a.pdf")
    sandbox.set(assessment_seconds=2)
    sandbox.ombudsman.post(f"/cases/{case_id}/process")
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").status_code == 400
    assert sandbox.evidence(case_id).status_code == 400
    time.sleep(2.01)
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").status_code == 400
    assert sandbox.evidence(case_id).status_code == 201
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").status_code == 200


def test_a_processed_case_has_its_assessment(sandbox: LiveSandbox) -> None:
    """A processed case has title, summary, fields in markdown, a sorted chronology and its evidence."""
    case_id, ids = _open(sandbox, "a.pdf", "unreadable.pdf")
    sandbox.evidence(case_id, "b.docx", SAMPLES["complaint.docx"])
    sandbox.ombudsman.post(f"/cases/{case_id}/process")
    case = sandbox.ombudsman.get(f"/cases/{case_id}").json()
    assert case["status"] == "processed"
    assert case["processing_started_at"] is None
    assert case["processing_completed_at"].endswith("Z")
    assert case["case_specific_fields"].startswith("- Claimant: ")
    assert "- ABTA Case Reference: Not found" in case["case_specific_fields"]
    dates = [each["timeline_date"] for each in case["chronology"]]
    assert dates == sorted(dates)
    assert len(dates) == 2
    assert set(case["chronology"][0]["documents"][0]) == {"document_id", "external_document_id"}
    assert [each["status"] for each in case["evidence"]] == [
        "processing_complete",
        "processing_failed",
        "processing_complete",
    ]
    assert case["evidence"][1]["title"] is None
    assert case["evidence"][0]["document_id"] == ids[0]


def test_a_case_of_failed_documents_ends_in_error(sandbox: LiveSandbox) -> None:
    """When every document failed, the assessment ends in error."""
    case_id, _ = _open(sandbox, "unreadable.pdf")
    assert sandbox.ombudsman.post(f"/cases/{case_id}/process").status_code == 200
    assert sandbox.ombudsman.get(f"/cases/{case_id}").json()["status"] == "error"
