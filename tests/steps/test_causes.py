"""The reason of a failed case is its cause, with the same error type for the same cause at every vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dossier.errors import ReferenceConflictError, VendorRejectedError
from dossier.models import CaseId, CaseStatus
from dossier.steps.accept import accept
from dossier.steps.reasons import reason_of
from tests.conftest import Cloud
from tests.machine import World


@pytest.mark.rule("security: put escape sequences into a reason, a note or the table")
@pytest.mark.parametrize(
    "cause",
    [
        json.dumps({"errorMessage": "a\x1b[2J\u202eb\nc"}),
        json.dumps({"errorMessage": ["a\x9b31m", {"b": "c"}]}),
        "a\x1b]0;owned\x07\u2028b",
        "[" * 30_000,
        '{"a":' * 30_000,
        "x" * 100_000,
        "\ud800",
    ],
)
def test_any_cause_is_one_printable_line(cause: str) -> None:
    """Texts that a caller wrote into an input, or a person into an execution's cause, are stored as harmless text."""
    reason = reason_of(cause)
    assert reason.isprintable()
    assert len(reason) <= 1000


LARGE = b"%PDF-1.7\n" + bytes(26 << 20)
SMALL = b"%PDF-1.7\nsmall\n"


@pytest.mark.parametrize("connection", ["claims", "invoices", "disputes"])
def test_a_file_that_the_vendor_finds_too_large_is_the_cause(cloud: Cloud, connection: str) -> None:
    """A 413 for its only document fails a case the same way everywhere, and names the document."""
    world = World(cloud)
    changes = {"max_document_bytes": 100 << 20}
    world.connections[connection] = world.connections[connection].model_copy(update=changes)
    result = world.submit(connection, "R-1", {"large.pdf": LARGE})
    record = cloud.app.cases.get(CaseId(connection, "R-1")).record
    assert (record.status, record.error) == (CaseStatus.FAILED, "VendorRejectedError")
    assert result["status"] == "failed"
    reason = record.reason or ""
    assert reason.startswith("large.pdf: ")
    assert "(413" in reason
    assert "no documents" not in reason
    assert world.sent_events[-1][0] == "Case Failed"


@pytest.mark.parametrize("connection", ["invoices", "disputes"])
def test_one_of_two_documents_is_too_large(cloud: Cloud, connection: str) -> None:
    """The other one is processed: that is a completed case with a failure."""
    world = World(cloud)
    result = world.submit(connection, "R-1", {"large.pdf": LARGE, "small.pdf": SMALL})
    assert result["status"] == "completed_with_failures"
    assert "large.pdf: " in result["reason"]


def test_what_the_vendor_says_last_comes_after_the_cause(cloud: Cloud) -> None:
    """If the vendor rejects an assessment because a document failed, the reason names the document first."""
    world = World(cloud)

    uris = [cloud.put(f"uploads/{name}", body) for name, body in (("large.pdf", LARGE), ("small.pdf", SMALL))]
    flow = world.context.vendor_of

    class Refusing:
        """The Ombudsman API, which rejects every assessment."""

        def __init__(self) -> None:
            self._real = flow(world.connection("disputes"))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def process(self, case: Any) -> Any:
            yield from self._real.before_upload(case, [])
            raise VendorRejectedError("POST /process: the vendor refused it (400: no documents)", status=400)

    world.context = world.context.replacing(vendor_of=lambda _: Refusing())
    case = {"connection": "disputes", "reference": "R-1", "documents": [{"uri": each} for each in uris]}
    world.execute(case, "arn:fails")
    record = cloud.app.cases.get(CaseId("disputes", "R-1")).record
    assert record.error == "VendorRejectedError"
    assert (record.reason or "").startswith("large.pdf: POST /api/partner/v1/cases/")
    assert (record.reason or "").endswith("; after that, POST /process: the vendor refused it (400: no documents)")


def test_all_bad_documents_of_an_execution_are_one_reason(cloud: Cloud) -> None:
    """Objects that are missing, empty, too large or of another type are named together; nothing is uploaded."""
    world = World(cloud)
    world.connections["claims"] = world.connections["claims"].model_copy(update={"max_document_bytes": 1 << 20})
    uris = [
        "s3://nobodys-bucket/a.pdf",
        "s3://artifacts/uploads/none.pdf",
        cloud.put("uploads/empty.pdf", b""),
        cloud.put("uploads/large.pdf", LARGE),
        cloud.put("uploads/notes.txt", b"notes"),
        cloud.put("uploads/good.pdf", SMALL),
    ]
    case = {"connection": "claims", "reference": "R-1", "documents": [{"uri": each} for each in uris]}
    world.execute(case, "arn:bad")
    record = cloud.app.cases.get(CaseId("claims", "R-1")).record
    assert (record.status, record.refused, record.error) == (CaseStatus.FAILED, True, "InvalidCaseError")
    for part in (
        "s3://nobodys-bucket/a.pdf does not exist, because its bucket does not exist",
        "Dossier's own is artifacts, any other needs a deployment with -c document_buckets",
        "s3://artifacts/uploads/none.pdf does not exist: upload it first",
        "empty.pdf is empty",
        "large.pdf has 26 MiB: docsumo takes at most 1 MiB a file",
        "notes.txt is of an unknown type",
    ):
        assert part in (record.reason or ""), record.reason
    assert not world.effects("document_uploaded")


def test_a_great_many_bad_documents_are_counted(cloud: Cloud) -> None:
    """No document's problem is cut in the middle."""
    world = World(cloud)
    uris = [cloud.put(f"uploads/{number:03}.pdf", b"") for number in range(60)]
    world.execute(
        {"connection": "claims", "reference": "R-1", "documents": [{"uri": each} for each in uris]}, "arn:bad"
    )
    reason = cloud.app.cases.get(CaseId("claims", "R-1")).record.reason or ""
    assert len(reason) <= 1000
    named = reason.count("submit a file with content")
    assert reason.endswith(f"submit a file with content; and {60 - named} more of the documents")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://YOUR-ARTIFACT-BUCKET/uploads/invoice.pdf", "check the bucket's name; Dossier's own is artifacts"),
        ("s3://Artifacts/uploads/a.pdf", "there is no such bucket: write artifacts"),
        ("https://files.example.com/a.pdf", "docsumo reads no URLs"),
        ("file:///tmp/a.pdf", "the uri must be s3://bucket/key"),
        ("s3://artifacts", "the uri must be s3://bucket/key"),
        ("s3://a b/c", "the uri must be s3://bucket/key"),
    ],
)
def test_wrong_prefixes_are_one_rejection(cloud: Cloud, uri: str, said: str) -> None:
    """A permanent error of S3 is reported once: the step is not tried again."""
    world = World(cloud)
    world.execute({"connection": "claims", "reference": "R-1", "documents": [{"uri": uri}]}, "arn:bad")
    record = cloud.app.cases.get(CaseId("claims", "R-1")).record
    assert (record.status, record.error) == (CaseStatus.FAILED, "InvalidCaseError")
    assert said in (record.reason or "")
    assert world.retried == []


def test_other_content_of_an_execution_says_what_differs(cloud: Cloud) -> None:
    """However it was submitted, the second case's reason names the difference; the first case stays."""
    world = World(cloud)
    assert world.submit("invoices", "R-1", {"a.pdf": SMALL})["status"] == "completed"
    uri = cloud.put("uploads/b.pdf", SMALL)
    case = {"connection": "invoices", "reference": "R-1", "documents": [{"uri": uri, "name": "b.pdf"}]}
    with pytest.raises(ReferenceConflictError, match=r'the same bytes are called "b\.pdf", but were called "a\.pdf"'):
        accept(case, "arn:other", context=world.context)
