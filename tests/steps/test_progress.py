"""How far the vendor has got is shown while a case waits."""

from __future__ import annotations

from cli.status import describe, standing
from dossier.models import Document, iso, now
from dossier.ports import DocumentState, Progress
from dossier.steps.work import Job
from dossier.stores.cases import Case, CaseRecord
from tests.conftest import Cloud
from tests.machine import World, samples


def test_a_documents_progress_is_stored_and_shown(cloud: Cloud) -> None:
    """DocuStack's extraction_progress of a document that is still running stands in `dossier status`."""
    world, at = World(cloud), iso(now())
    record = CaseRecord(
        connection="invoices",
        reference="R-1",
        vendor="docustack",
        status="waiting",
        execution_arn="arn:1",
        submitted_at=at,
        updated_at=at,
    )
    document = Document(index=0, name="invoice.pdf", key="k", document_id="d1")
    cloud.app.cases.claim(record)
    cloud.app.cases.put_documents("invoices", "R-1", [document], fresh=True)
    job: Job = world.desk.load("invoices", "R-1")
    running = DocumentState(status="processing", finished=False, progress=40)
    world.poller()._note(job, Progress(finished=False, documents={"d1": running}))
    case: Case = cloud.app.cases.get("invoices", "R-1")
    assert standing(case.documents[0]) == "processing (40 %)"
    assert describe(case)["documents"][0]["progress"] == 40


def test_what_a_poll_learns_of_one_document_is_kept_when_another_cannot_be_asked_for(cloud: Cloud) -> None:
    """The next poll asks for that one alone: with ten documents and a bad vendor, all of them never answer at once."""
    failing = {"name": "error_before", "rate": 1, "operation": "status", "times": 1, "status": 503}
    world = World(cloud, faults=[failing])
    result = world.submit("invoices", "R-2", samples("invoice.pdf", "scan.tiff", "photo.jpg"))
    assert result["status"] == "completed"
    asked = [(entry["path"], entry["status"]) for entry in world.journal() if entry["operation"] == "status"]
    assert [status for _, status in asked] == [503, 200, 200, 200]
    assert len(asked) == 4
    assert asked[3][0] == asked[0][0]
