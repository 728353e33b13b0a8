"""Late or failed parts do not fail the rest: results that exist are collected, and missing parts are named."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from dossier.models import CaseId, CaseInput, CaseStatus, seconds_of
from dossier.result import UNFINISHED
from dossier.settings import Poll
from dossier.vendors.docsumo.settings import Done
from tests.conftest import Cloud
from tests.contract.connections import connection
from tests.machine import World, samples
from tests.steps.answering import answering, json_answer
from tests.steps.updates import case_id, deliver, docs, read, short

PREFIX = "cases/claims/R-1/"


# --- the deadline -----------------------------------------------------------------------------------------------------


def test_a_review_that_takes_longer_than_the_deadline_ends_later(cloud: Cloud) -> None:
    """Nothing is finished at the deadline, so the case fails with a reason; a later delivery brings the result."""
    world = World(cloud, seconds=3600)
    short(world, "claims")
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert (result["status"], result["revision"]) == ("failed", 1)
    assert "did not finish within" in result["reason"]
    assert docs(result) == {"invoice.pdf": UNFINISHED}
    assert world.context.cases.get(CaseId("claims", "R-1")).record.error == "DeadlinePassedError"
    world.ahead = 7200
    deliver(world, {"case_id": case_id(world)})
    result = read(cloud, f"{PREFIX}result.json")
    assert (result["status"], result["revision"], result["reason"]) == ("completed", 2, None)
    assert result["artifacts"]
    record = world.context.cases.get(CaseId("claims", "R-1")).record
    assert (record.status, record.late, record.unfinished) == (CaseStatus.COMPLETED, None, False)


def test_a_case_in_review_at_the_deadline_is_collected_in_its_current_state(cloud: Cloud) -> None:
    """The documents are read and the reviewer is not done: completed with failures, with the files that are there."""
    world = World(cloud)
    settings = world.connections["claims"].model_copy(update={"done": Done(stage_id=("stage__approved",))})
    world.connections["claims"] = settings
    short(world, "claims")
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert (result["status"], result["stage_id"]) == ("completed_with_failures", "stage__review")
    assert UNFINISHED in result["reason"]
    assert docs(result) == {"invoice.pdf": None}
    assert {each["name"] for each in result["artifacts"]} >= {"invoice.pdf", "extraction.json"}
    move = {"stage_id": "stage__approved"}
    world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id(world)}/stage", json=move)
    deliver(world, {"case_id": case_id(world)})
    result = read(cloud, f"{PREFIX}result.json")
    assert (result["status"], result["stage_id"], result["revision"]) == ("completed", "stage__approved", 2)


@pytest.mark.parametrize("connection", ["invoices", "disputes"])
def test_unfinished_document_does_not_block_others(cloud: Cloud, connection: str) -> None:
    """Finished documents are collected at the deadline; the other one is marked as unfinished, and follows later."""
    world = World(cloud)
    short(world, connection, deadline=1)
    stuck = {"on": True}

    def still(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        if not stuck["on"] or response.status_code != 200 or request.method != "GET":
            return None
        value = response.json()
        slow = world.context.cases.get(CaseId(connection, "R-1")).documents[1].document_id
        word = "processing"
        if value.get("document_id", value.get("id")) == slow:
            value["status"] = word
        for each in value.get("evidence", ()):
            each["status"] = word if each["document_id"] == slow else each["status"]
        return json_answer(request, value)

    answering(world, "/api/", still)
    result = world.submit(
        connection, "R-1", samples("invoice.pdf", "scan.tiff" if connection == "invoices" else "receipt.png")
    )
    assert result["status"] == "completed_with_failures"
    first, second = result["documents"]
    assert (first["error"], second["error"]) == (None, UNFINISHED)
    assert result["artifacts"]
    stuck["on"] = False
    for _ in range(3):  # the documents, then the assessment that they were too late for
        world.refresh(connection, "R-1")
    result = read(cloud, f"cases/{connection}/R-1/result.json")
    assert (result["status"], result["reason"]) == ("completed", None)
    assert {each["error"] for each in result["documents"]} == {None}


def test_a_late_document_completed_brings_the_result(cloud: Cloud) -> None:
    """DocuStack's delivery about a document comes after the deadline: the case is completed by it."""
    world = World(cloud, seconds=3600)
    short(world, "invoices")
    assert world.submit("invoices", "R-1", samples("invoice.pdf"))["status"] == "failed"
    world.ahead = 7200
    document = world.context.cases.get(CaseId("invoices", "R-1")).documents[0]
    deliver(world, {"event": "document_completed", "document_id": document.document_id}, "invoices")
    result = read(cloud, "cases/invoices/R-1/result.json")
    assert (result["status"], result["revision"]) == ("completed", 2)
    assert result["fields"]


def test_a_deadline_can_be_given_for_one_case(cloud: Cloud) -> None:
    """As an option or a key, in seconds or with a unit; it is not part of the case's fingerprint."""
    world = World(cloud, seconds=3600)
    result = world.submit("claims", "R-1", samples("invoice.pdf"), options={"deadline": 1})
    assert (result["status"], result["revision"]) == ("failed", 1)
    assert "within 1 s" in result["reason"]
    base = {"connection": "claims", "reference": "R-1", "case_id": "c"}
    for given in ({"deadline": "3d"}, {"options": {"deadline": "3d"}}, {"options": {"deadline": 259200}}):
        case = CaseInput.parse({**base, **given})
        assert (case.deadline, case.options) == (3 * 86400, {})
    assert [seconds_of(each) for each in ("90", "1.5m", "2h", 7.2)] == [90, 90, 7200, 8]


@pytest.mark.parametrize("wrong", ["soon", "3 weeks", "-1", "0", "1e9", "91d", ""])
def test_invalid_deadline_is_rejected_in_one_line(wrong: str) -> None:
    """The line names the key."""
    with pytest.raises(Exception, match="deadline") as caught:
        CaseInput.parse({"connection": "claims", "reference": "R-1", "case_id": "c", "deadline": wrong})
    assert "\n" not in str(caught.value)


def test_docsumos_deadline_is_days() -> None:
    """People review its cases; the other vendors' machines have an hour."""
    assert connection().poll.deadline >= 3 * 86400
    assert connection(poll={"first": 1}).poll.deadline >= 3 * 86400
    assert Poll().deadline == 3600


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_file_that_storage_does_not_have_is_that_files_failure(cloud: Cloud) -> None:
    """A URL answers 404 again and again: every document's status is there, and the reason is in result and manifest."""
    world = World(cloud)

    def gone(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        missing = "summary.pdf" in str(request.url)
        return httpx.Response(404, text="No such object", request=request) if missing else None

    answering(world, "/storage/", gone)
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert result["status"] == "completed_with_failures"
    assert docs(result) == {"invoice.pdf": None}
    [lost] = result["failed_artifacts"]
    assert lost["name"] == "summary.pdf"
    assert "404" in lost["error"]
    assert "summary.pdf" in result["reason"]
    assert {each["name"] for each in result["artifacts"]} == {"invoice.pdf", "extraction.json"}
    [failed] = read(cloud, f"{PREFIX}manifest.json")["failed"]
    assert (failed["name"], "404" in failed["error"]) == ("summary.pdf", True)
    assert world.context.refreshes.find(CaseId("claims", "R-1")).look_at is not None


def test_an_evidence_document_that_is_gone_is_its_own_failure(cloud: Cloud) -> None:
    """A 404 in the vendor's form for one of several documents: the others and the assessment are collected."""
    world = World(cloud)
    collecting = {"on": False}
    world.before_collect = lambda: collecting.update(on=True)

    def gone(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        slow = world.context.cases.get(CaseId("disputes", "R-1")).documents[1].document_id
        if collecting["on"] and request.method == "GET" and str(request.url).endswith(str(slow)):
            return json_answer(request, {"statusCode": 404, "message": "Evidence not found"}, 404)
        return None

    answering(world, "/evidence/", gone)
    result = world.submit("disputes", "R-1", samples("invoice.pdf", "receipt.png"))
    assert result["status"] == "completed_with_failures"
    assert result["documents"][0]["error"] is None
    assert "404" in str(result["documents"][1]["error"])
    assert "404" in result["failed_artifacts"][0]["error"]
    assert result["summary"]


def test_an_empty_search_asks_for_each_files_name(cloud: Cloud) -> None:
    """Docsumo's empty query finds nothing: the names do. If these find nothing either, the result says so."""
    world = World(cloud)
    nothing = {"for": {""}}

    def empty(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        return json_answer(request, []) if request.url.params.get("q") in nothing["for"] else None

    answering(world, "/files", empty)
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert [each["name"] for each in result["artifacts"]] == ["invoice.pdf"]
    assert result["warnings"] == []
    nothing["for"] = {"", "receipt.png"}
    result = world.submit("claims", "R-2", samples("receipt.png"))
    assert (result["status"], result["artifacts"]) == ("completed", [])
    [warning] = result["warnings"]
    assert "finds nothing" in warning
    assert world.context.cases.get(CaseId("claims", "R-2")).record.warnings == (warning,)


def test_a_file_still_in_processing_is_waited_for(cloud: Cloud) -> None:
    """The case counts as processed, one of its files does not yet: nothing is collected before."""
    world = World(cloud)
    seen = {"polls": 0}

    def processing(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        seen["polls"] += 1
        if seen["polls"] > 3:
            return None
        return json_answer(request, [{**each, "status": "processing"} for each in response.json()])

    answering(world, "/files", processing)
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert (result["status"], seen["polls"] > 3) == ("completed", True)
    assert {each["status"] for each in result["documents"]} == {"processed"}


def test_a_file_that_is_processed_beyond_the_deadline_is_left_out(cloud: Cloud) -> None:
    """It is named as not finished, and the rest is there."""
    world = World(cloud)
    short(world, "claims")

    def processing(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        listed = response.json()
        for each in listed:
            each["status"] = "processing" if each["filename"] == "summary.pdf" else each["status"]
        return json_answer(request, listed)

    answering(world, "/files", processing)
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert result["status"] == "completed_with_failures"
    assert [each["name"] for each in result["failed_artifacts"]] == ["summary.pdf"]
    assert UNFINISHED in result["failed_artifacts"][0]["error"]
    assert {each["name"] for each in result["artifacts"]} == {"invoice.pdf", "extraction.json"}


def test_rejected_after_step_is_a_warning(cloud: Cloud) -> None:
    """The case is completed, and names the rejected change."""
    world = World(cloud)
    refused = {"status": "fail", "status_code": 400, "message": "Unknown stage", "error_code": "BAD_REQUEST"}
    answering(
        world, "/case/", lambda request, _: json_answer(request, refused, 400) if request.method == "PATCH" else None
    )
    result = world.submit("claims", "R-1", samples("invoice.pdf"), options={"after_stage_id": "stage__nowhere"})
    assert result["status"] == "completed"
    [warning] = result["warnings"]
    assert "Unknown stage" in warning


# --- which documents, and when they are done --------------------------------------------------------------------------


def append(world: World, files: dict[str, bytes], **rest: Any) -> dict[str, Any]:
    """Append documents to the vendor's case of ``R-1``, as the case ``R-2``."""
    return world.submit("claims", "R-2", files, case_id=case_id(world), **rest)


def test_documents_that_are_appended_are_waited_for(cloud: Cloud) -> None:
    """The vendor's case stays processed for a while: nothing is collected before the new document is read."""
    world = World(cloud)
    world.submit("claims", "R-1", samples("invoice.pdf"))
    polls = {"lists": 0}

    def before(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        listed = response.json()
        if "/cases?" in str(request.url) and polls["lists"] < 4:
            polls["lists"] += 1
            for each in listed["data"]["cases"]:
                each.update(status="processed", stage_id="stage__review")
            return json_answer(request, listed)
        if "/files" in str(request.url) and polls["lists"] < 4:
            return json_answer(
                request,
                [{**each, "status": "uploaded"} if each["filename"] == "scan.tiff" else each for each in listed],
            )
        return None

    answering(world, "/cases", before)
    result = append(world, samples("scan.tiff"))
    assert polls["lists"] == 4
    assert (result["status"], [each["status"] for each in result["documents"]]) == ("completed", ["processed"])
    assert "scan.tiff" in {each["name"] for each in result["artifacts"]}


@pytest.mark.rule("docsumo 1.C a new version of a document stands beside it or replaces it")
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("erred", "processed", "completed"), ("processed", "erred", "failed")],
)
def test_new_version_of_a_file_is_distinguished_from_the_old_one(cloud: Cloud, old: str, new: str, status: str) -> None:
    """Two files of one name: the one from before the append is not the case's document, whatever its state."""
    world = World(cloud)
    world.submit("claims", "R-1", samples("invoice.pdf"))
    first = {each["id"] for each in found(world)}

    def versions(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        listed = response.json()
        for each in listed:
            if each["filename"] == "invoice.pdf":
                each["status"] = old if each["id"] in first else new
        return json_answer(request, listed)

    answering(world, "/files", versions)
    result = append(world, {"invoice.pdf": samples("invoice.pdf")["invoice.pdf"] + b"\n% version 2"})
    assert [each["status"] for each in result["documents"]] == [new]
    assert result["status"] == status


def found(world: World) -> list[dict[str, Any]]:
    """Return the files of the case as the vendor's search finds them."""
    headers = {"x-api-key": world.keys.known.docsumo.api_key}
    answer = world.sandbox.get(f"/docsumo/api/v1/chatot/cases/{case_id(world)}/files?q=", headers=headers)
    return list(json.loads(answer.content))


@pytest.mark.rule("docsumo 1.C a new version of a document stands beside it or replaces it")
def test_version_added_beside_a_document_is_a_separate_document(cloud: Cloud) -> None:
    """The reviewer replaces a file that erred: the case's own document still says so, and the version is there too."""
    world = World(cloud)
    result = world.submit(
        "claims", "R-1", {"unreadable.pdf": samples("invoice.pdf")["invoice.pdf"], **samples("scan.tiff")}
    )
    assert result["status"] == "completed_with_failures"
    first = {each["id"] for each in found(world)}

    def versions(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        newer = {"id": "f0f0", "filename": "unreadable.pdf", "status": "erred", "created_at": "2099-01-01T00:00:00Z"}
        assert "f0f0" not in first
        return json_answer(request, [*response.json(), newer])

    answering(world, "/files", versions)
    world.refresh("claims", "R-1")
    answer = [(each["name"], each["status"]) for each in read(cloud, f"{PREFIX}result.json")["documents"]]
    assert answer == [("unreadable.pdf", "erred"), ("scan.tiff", "processed"), ("unreadable.pdf", "erred")]


def test_a_list_from_before_the_upload_ends_nothing(cloud: Cloud) -> None:
    """By the vendor's own clock the entry is older than the upload: the case is asked for again."""
    world = World(cloud)
    lists = {"old": 3}

    def stale(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        listed = response.json()
        if lists["old"] == 0 or "cases" not in listed.get("data", {}):
            return None
        lists["old"] -= 1
        for each in listed["data"]["cases"]:
            each["modified_date"] = "2020-01-01T00:00:00Z"
        return json_answer(request, listed)

    dated(world)
    answering(world, "/external/agents/", stale)
    assert world.submit("claims", "R-1", samples("invoice.pdf"))["status"] == "completed"
    assert lists["old"] == 0


def dated(world: World) -> None:
    """Let the vendor send its time with each answer, as every server does."""

    def date(_: httpx.Request, response: httpx.Response) -> None:
        response.headers.setdefault("date", "Fri, 01 Jan 2021 00:00:00 GMT")

    answering(world, "/docsumo/", date)


@pytest.mark.parametrize("written", ["PROCESSED", "Processed"])
def test_a_status_is_the_same_in_capital_letters(cloud: Cloud, written: str) -> None:
    """Of a case and of what the settings call done."""
    world = World(cloud)
    world.connections["claims"] = world.connections["claims"].model_copy(update={"done": Done(status=(written,))})
    assert world.submit("claims", "R-1", samples("invoice.pdf"))["status"] == "completed"


def test_a_case_without_its_workflow_ends_as_uploaded(cloud: Cloud) -> None:
    """The case does not wait; if an operator runs the workflow later, the next revision has the result."""
    world = World(cloud)
    result = world.submit("claims", "R-1", samples("invoice.pdf"), options={"trigger_workflow": False})
    assert (result["status"], result["vendor_status"], result["artifacts"]) == ("uploaded", "new", [])
    assert docs(result) == {"invoice.pdf": None}
    assert world.context.cases.get(CaseId("claims", "R-1")).record.status is CaseStatus.UPLOADED
    headers = {"x-api-key": world.keys.known.docsumo.api_key}
    form = {"casetype_id": world.connections["claims"].casetype_id, "case_id": case_id(world)}  # type: ignore[attr-defined]
    files = {"files": ("more.pdf", samples("invoice.pdf")["invoice.pdf"], "application/pdf")}
    path = "/docsumo/api/v1/upload-service/agents/casetype/case"
    assert world.sandbox.post(path, data=form, files=files, headers=headers).is_success
    deliver(world, {"case_id": case_id(world)})
    result = read(cloud, f"{PREFIX}result.json")
    assert (result["status"], result["revision"], result["vendor_status"]) == ("completed", 2, "processed")


@pytest.mark.parametrize("stage", ["stage__approved", "stage__review"])
def test_result_and_event_say_which_stage_it_is(cloud: Cloud, stage: str) -> None:
    """Of several that count as done."""
    world = World(cloud)
    done = Done(stage_id=("stage__approved", "stage__review"))
    world.connections["claims"] = world.connections["claims"].model_copy(update={"done": done})
    world.submit("claims", "R-1", samples("invoice.pdf"))
    if stage != "stage__review":
        world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id(world)}/stage", json={"stage_id": stage})
        world.refresh("claims", "R-1")
    assert read(cloud, f"{PREFIX}result.json")["stage_id"] == stage
    assert world.sent_events[-1][1]["stage_id"] == stage
