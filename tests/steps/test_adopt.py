"""An operator's answer is looked up at the vendor; a wrong one opens the question again, and nothing fails."""

from __future__ import annotations

import json
import uuid

import pytest

from dossier.errors import NeedsAttentionError
from dossier.models import CaseId, CaseStatus, now
from dossier.ports import Intent
from dossier.steps.adopt import adopt
from dossier.steps.ask import ask
from dossier.steps.upload import VendorWrite, open_case, upload
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.steps.lost import CONNECTIONS, Lost

ELSEWHERE = {"invoices": "doc_nowhere", "claims": "case__nowhere", "disputes": str(uuid.uuid4())}
"""Ids of which no vendor has anything."""


def other_document(lost: Lost, name: str) -> str:
    """Upload a document to the vendor outside of Dossier, or for another case; return the id that an operator gives."""
    world, connection = lost.world, lost.connection
    world.submit(connection, "R-2", {name: samples("invoice.pdf")["invoice.pdf"] + b" "})
    case = world.context.cases.get(CaseId(connection, "R-2"))
    for item in (*(each.document_id for each in case.documents), case.record.case_id):
        if item:
            world.cloud.app.table.delete(f"ID#{connection}#{item}", "ID")  # Dossier knows no owner of it
    return str(case.record.case_id if connection == "claims" else case.documents[0].document_id)


def killed(cloud: Cloud, connection: str) -> Lost:
    """Return a case whose upload was lost."""
    found = Lost(cloud, connection)
    found.killed()
    return found


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_id_that_the_vendor_does_not_have_reopens_the_question(cloud: Cloud, connection: str) -> None:
    """The step says so at once, uploads nothing, and takes the right answer after that."""
    lost = killed(cloud, connection)
    intents = lost.world.context.intents
    intents.adopt(lost.names, "upload-0", ELSEWHERE[connection])
    for _ in range(2):  # the case's next try asks again
        with pytest.raises(NeedsAttentionError, match=ELSEWHERE[connection]):
            lost.upload()
    assert lost.uploads == 0
    made = lost.work_of_the_first_try()
    right = made.case_id if connection == "claims" else made.document_ids[0]
    intents.adopt(lost.names, "upload-0", str(right))
    lost.upload()
    assert lost.uploads == 1
    case = lost.world.context.cases.get(lost.names)
    assert (case.named, bool(case.documents[0].document_id)) == ({"upload-0": right}, True)
    assert lost.world.context.intents.find(lost.names, "upload-0") is None


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_id_with_a_path_in_it_is_not_an_id(cloud: Cloud, connection: str) -> None:
    """Nothing is requested for it."""
    lost = killed(cloud, connection)
    job, before = lost.world.context.load(lost.names), lost.asked
    for named in ("../../secrets", "", "a\nb"):
        with pytest.raises(NeedsAttentionError, match="cannot be a vendor id"):
            adopt(job, "upload-0", named)
    assert lost.asked == before


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_id_listed_before_the_upload_is_not_adopted(cloud: Cloud, connection: str) -> None:
    """A case or document that the vendor had before cannot be the answer, whatever it is called."""
    lost = killed(cloud, connection)
    made = lost.work_of_the_first_try()
    right = str(made.case_id if connection == "claims" else made.document_ids[0])
    key = (f"INTENTS#{connection}", "R-1#upload-0")
    assert lost.world.cloud.app.table.update(*key, {"known": json.dumps([right])})
    with pytest.raises(NeedsAttentionError, match="before the request began"):
        adopt(lost.world.context.load(lost.names), "upload-0", right)


def test_different_name_is_rejected_unless_forced(cloud: Cloud) -> None:
    """If the vendor has names, they must be like the sent ones; ``--force`` skips that check."""
    lost = killed(cloud, "invoices")
    other = other_document(lost, "holiday-snapshot.pdf")
    job = lost.world.context.load(lost.names)
    with pytest.raises(NeedsAttentionError, match=r"is called holiday-snapshot\.pdf at the vendor, but invoice\.pdf"):
        adopt(job, "upload-0", other, thorough=True)
    assert adopt(job, "upload-0", other).document_ids


def test_evidence_of_another_case_is_rejected(cloud: Cloud) -> None:
    """The Ombudsman has evidence below its case alone."""
    lost = killed(cloud, "disputes")
    other = other_document(lost, "invoice.pdf")
    with pytest.raises(NeedsAttentionError, match="does not know"):
        adopt(lost.world.context.load(lost.names), "upload-0", other)


def test_id_created_by_another_case_is_rejected(cloud: Cloud) -> None:
    """The error names the owner; an id that was only collected meanwhile may be the answer."""
    lost = killed(cloud, "invoices")
    right = str(lost.work_of_the_first_try().document_ids[0])
    intents, job = lost.world.context.intents, lost.world.context.load(lost.names)
    intents.own(CaseId("invoices", "R-0"), [right], collected=True)
    assert adopt(job, "upload-0", right).document_ids == {0: right}
    intents.own(CaseId("invoices", "R-9"), [right])
    with pytest.raises(NeedsAttentionError, match="already belongs to case R-9"):
        adopt(job, "upload-0", right)


def test_case_that_already_has_another_id_is_rejected(cloud: Cloud) -> None:
    """The Ombudsman repeats the caller's own id of a case, which shows its owner."""
    lost = Lost(cloud, "disputes")
    lost.world.submit("disputes", "R-2", samples("invoice.pdf"))
    other = lost.world.effects("case_created")[-1]["case_id"]
    cloud.app.table.delete(f"ID#disputes#{other}", "ID")
    with pytest.raises(NeedsAttentionError, match="has external_case_id R-2, but this case's is R-1"):
        adopt(lost.world.context.load(lost.names), "open", other)


def test_batch_is_identified_by_its_job_id(cloud: Cloud) -> None:
    """One id names all documents of a batch: each gets its own; another number of them is not the batch."""
    world = World(cloud)
    vendor = world.context.vendor_of(world.connection("invoices"))
    names = {"a.pdf": b"%PDF-1.4 a", "b.pdf": b"%PDF-1.4 b"}
    links = [{"uri": f"https://files.example.com/{name}", "name": name} for name in names]
    world.execute({"connection": "invoices", "reference": "R-1", "documents": links}, "arn:R-1")
    case = world.context.cases.get(CaseId("invoices", "R-1"))
    ids = {each.index: each.document_id for each in case.documents}
    [job_id] = {each.job_id for each in case.documents}
    fresh = [each.model_copy(update={"document_id": None, "job_id": None}) for each in case.documents]
    world.context.cases.put_documents(CaseId("invoices", "R-1"), fresh, fresh=False)
    job = world.context.load(CaseId("invoices", "R-1"))
    assert list(map(list, vendor.batches(job.view))) == [[0, 1]]
    assert adopt(job, "upload-0", str(job_id)).document_ids == ids
    with pytest.raises(NeedsAttentionError, match="is not the batch's"):
        adopt(job, "upload-0", str(ids[0]))


def test_deleted_id_reopens_the_question_on_redrive(cloud: Cloud) -> None:
    """A case that continued with an operator's id and failed asks again when `dossier redrive` would repeat it."""
    lost = killed(cloud, "invoices")
    right = str(lost.work_of_the_first_try().document_ids[0])
    lost.world.context.intents.adopt(lost.names, "upload-0", right)
    lost.upload()
    uploads = lost.uploads
    context = lost.world.context
    [document] = context.cases.get(lost.names).documents
    gone = {"document_id": "doc_gone", "failed": True, "finished": True, "error": "404"}
    context.cases.name(lost.names, "upload-0", "doc_gone")
    context.cases.put_documents(lost.names, [document.model_copy(update=gone)], fresh=False)
    with pytest.raises(NeedsAttentionError, match="doc_gone"):
        lost.upload()
    case = context.cases.get(lost.names)
    [document] = case.documents
    assert (document.document_id, document.failed, document.finished, case.named) == (None, False, False, {})
    context.intents.adopt(lost.names, "upload-0", right)
    lost.upload()
    assert context.cases.get(lost.names).documents[0].document_id == right
    assert lost.uploads == uploads


def test_deleted_vendor_case_reopens_the_question(cloud: Cloud) -> None:
    """So is the case that an operator named, as long as no document has reached it."""
    lost = Lost(cloud, "disputes")
    context = lost.world.context
    gone = str(uuid.uuid4())
    case_id = context.cases.get(lost.names).record.case_id
    context.cases.change(lost.names, case_id=gone)
    context.cases.name(lost.names, "open", gone)
    with pytest.raises(NeedsAttentionError, match=gone):
        open_case(lost.names, context=context)
    assert context.cases.get(lost.names).record.case_id is None
    context.intents.adopt(lost.names, "open", str(case_id))
    open_case(lost.names, context=context)
    case = context.cases.get(lost.names)
    assert (case.record.case_id, case.named) == (case_id, {"open": case_id})
    upload(lost.names, 0, context=context)
    assert lost.uploads == 1


def test_question_lists_the_vendors_candidates(cloud: Cloud) -> None:
    """Question and event have each candidate's id, name and time, and the commands; the text is whole."""
    lost = killed(cloud, "invoices")
    world, names = lost.world, lost.names
    for number, name in enumerate(("invoice.pdf", "invoice (1).pdf")):
        world.submit("invoices", f"R-{number + 2}", {name: samples("invoice.pdf")["invoice.pdf"] + bytes(number)})
    job = world.context.load(names)
    with pytest.raises(NeedsAttentionError) as caught, VendorWrite(job, "upload-0", (0,)).asking():
        job.run(job.vendor.find_uploaded(job.view, [0], Intent(at=now())))
    assert len(caught.value.choices) == 2
    cut = json.dumps({"errorMessage": str(caught.value)})[:40]
    ask(names, "upload-0", "token", cut, context=world.context)
    case = world.context.cases.get(names)
    [question] = case.questions
    assert case.record.status is CaseStatus.NEEDS_ATTENTION
    assert question.text == case.record.reason == str(caught.value)
    assert {each.name for each in question.choices} == {"invoice.pdf", "invoice (1).pdf"}
    assert all(each.id and each.created.startswith("20") for each in question.choices)
    kind, detail = world.sent_events[-1]
    assert kind == "Case Needs Attention"
    assert [each["id"] for each in detail["candidates"]] == [each.id for each in question.choices]
    begin = "dossier resolve R-1 --connection invoices --question upload-0"
    uses = [f"{begin} --use {each.id}" for each in question.choices]
    assert detail["answers"] == [*uses, f"{begin} --retry", f"{begin} --give-up"]
