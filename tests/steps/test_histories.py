"""Changes to cases that have ended, by vendors and operators: each is published once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseInput, CaseStatus, moment, now
from dossier.result import UNFINISHED
from dossier.steps.cancel import cancel
from dossier.steps.compare import compare
from dossier.steps.publish import publish, stopped
from dossier.steps.redrive import resume
from dossier.steps.refresh import MOST_LOOKS, heal
from dossier.steps.refresh import ask as ask_again
from dossier.stores.executions import Execution
from dossier.stores.table import case_key
from dossier.vendors.docsumo.settings import Done
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples
from tests.records import record
from tests.steps.answering import answering, json_answer
from tests.steps.updates import case_id, completed, deliver, docs, move, read, resumed, short, whole

PREFIX = "cases/claims/R-1/"
CASE = CaseId("claims", "R-1")
REFUSED = {"status": "fail", "status_code": 400, "message": "Unknown stage", "error_code": "BAD_REQUEST"}


def result_of(world: World, connection: str = "claims") -> dict[str, Any]:
    """Return the current result of ``R-1``."""
    return read(world.cloud, f"cases/{connection}/R-1/result.json")


def in_review(cloud: Cloud) -> World:
    """Return a world whose Docsumo cases are done once a reviewer has approved them, and wait for a moment alone."""
    world = World(cloud)
    done = Done(stage_id=("stage__approved",))
    world.connections["claims"] = world.connections["claims"].model_copy(update={"done": done})
    short(world, "claims")
    return world


def edit(world: World, **changes: Any) -> None:
    """Change the Docsumo case as its operator does."""
    world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id(world)}/edit", json=changes).raise_for_status()


def put_file(world: World, name: str, text: str) -> None:
    """Put a file into the Docsumo case as its operator does."""
    body = {"filename": name, "text": text}
    world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id(world)}/files", json=body).raise_for_status()


def documents(world: World, change: Callable[[dict[str, Any]], dict[str, Any] | bytes]) -> None:
    """Replace DocuStack's answers about documents."""

    def answer(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        if request.method != "GET" or not response.is_success:
            return None
        body = change(response.json())
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(200, content=content, request=request, headers={"content-type": "application/json"})

    answering(world, "/api/v1/documents/", answer)


def assessments(world: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace the Ombudsman's answers about cases."""

    def answer(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        asked = request.method == "GET" and response.is_success and "/evidence" not in str(request.url)
        return json_answer(request, change(response.json())) if asked else None

    answering(world, "/cases/", answer)


# --- late, and still not done -----------------------------------------------------------------------------------------


def test_collecting_again_does_not_complete_a_case_in_review(cloud: Cloud) -> None:
    """A look an hour later finds it unchanged: no revision, and the case still waits for the reviewer."""
    world = in_review(cloud)
    first = world.submit(*CASE, samples("invoice.pdf"))
    assert (first["status"], UNFINISHED in first["reason"]) == ("completed_with_failures", True)
    for _ in range(2):
        world.refresh(*CASE)
        assert result_of(world) == first
    assert world.context.refreshes.find(CASE).look_at
    move(world, "stage__approved")
    world.refresh(*CASE)
    assert (result_of(world)["status"], result_of(world)["reason"]) == ("completed", None)
    move(world, "stage__review")  # a completed case stays completed, wherever it is moved
    world.refresh(*CASE)
    assert (result_of(world)["status"], result_of(world)["stage_id"]) == ("completed", "stage__review")


def test_collecting_again_does_not_complete_a_late_assessment(cloud: Cloud) -> None:
    """The Ombudsman's assessment continues beyond the deadline: it is collected once it ends, and triggered once."""
    world = World(cloud)
    short(world, "disputes")
    late = {"on": True}

    def still(case: dict[str, Any]) -> dict[str, Any]:
        running = {"status": "processing", "case_summary": None, "chronology": []}
        return {**case, **running} if late["on"] and case["status"] == "processed" else case

    assessments(world, still)
    first = world.submit("disputes", "R-1", samples("complaint.docx"))
    assert (first["status"], UNFINISHED in first["reason"]) == ("completed_with_failures", True)
    world.refresh("disputes", "R-1")
    assert result_of(world, "disputes") == first
    late["on"] = False
    world.refresh("disputes", "R-1")
    assert (result_of(world, "disputes")["status"], result_of(world, "disputes")["reason"]) == ("completed", None)
    assert result_of(world, "disputes")["summary"]
    assert len(world.effects("assessment_started")) == 1


def test_documents_that_are_late_are_assessed_once_they_are_done(cloud: Cloud) -> None:
    """The deadline passed before the assessment was triggered: a later collection triggers it, and only one does."""
    world = World(cloud)
    short(world, "disputes", deadline=1)
    late = {"on": True}

    def still(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        if not late["on"] or request.method != "GET" or not response.is_success:
            return None
        value = response.json()
        slow = world.context.cases.get(CaseId("disputes", "R-1")).documents[1].document_id
        for each in (value, *value.get("evidence", ())):
            each["status"] = "processing" if each.get("document_id") == slow else each["status"]
        return json_answer(request, value)

    answering(world, "/api/", still)
    first = world.submit("disputes", "R-1", samples("invoice.pdf", "receipt.png"))
    assert first["status"] == "completed_with_failures"
    late["on"] = False
    for _ in range(3):
        world.refresh("disputes", "R-1")
    assert result_of(world, "disputes")["status"] == "completed"
    assert result_of(world, "disputes")["summary"]
    assert len(world.effects("assessment_started")) == 1


def test_collecting_again_does_not_trigger_a_failed_assessment(cloud: Cloud) -> None:
    """An assessment is billed: only `dossier redrive` triggers it again."""
    world = World(cloud)
    assessments(world, lambda case: {**case, "status": "error"} if case["status"] == "processed" else case)
    assert world.submit("disputes", "R-1", samples("complaint.docx"))["status"] == "failed"
    before = [each for each in world.journal() if each["operation"] == "process"]
    world.refresh("disputes", "R-1")
    assert [each for each in world.journal() if each["operation"] == "process"] == before


def test_after_step_runs_once_the_vendor_is_done(cloud: Cloud) -> None:
    """At the deadline the reviewer still has the case, so nothing is set; once the case is done, it is set once."""
    world = in_review(cloud)
    world.submit(*CASE, samples("invoice.pdf"), options={"after_assigned_to": "user__archive"})
    world.refresh(*CASE)
    assert not world.effects("case_updated")
    move(world, "stage__approved")
    for _ in range(3):
        world.refresh(*CASE)
    assert (result_of(world)["status"], result_of(world)["assigned_to"]) == ("completed", "user__archive")
    assert len(world.effects("case_updated")) == 1


def test_warning_about_an_after_step_stays(cloud: Cloud) -> None:
    """A later collection does not set it again, and finds nothing new because of it."""
    world = World(cloud)
    refuse: Any = lambda request, _: json_answer(request, REFUSED, 400) if request.method == "PATCH" else None  # noqa: E731
    answering(world, "/case/", refuse)
    first = world.submit(*CASE, samples("invoice.pdf"), options={"after_stage_id": "stage__nowhere"})
    assert "Unknown stage" in str(first["warnings"])
    world.refresh(*CASE)
    assert result_of(world) == first
    move(world, "stage__approved")
    world.refresh(*CASE)
    assert (result_of(world)["revision"], result_of(world)["warnings"]) == (2, first["warnings"])


def test_many_late_deliveries_do_not_use_up_the_looks(cloud: Cloud) -> None:
    """An unfinished case is collected again after an hour, however many refreshes are requested before that."""
    world = World(cloud, seconds=3600)
    short(world, "invoices")
    world.submit("invoices", "R-1", samples("invoice.pdf"))
    first = world.context.refreshes.find(CaseId("invoices", "R-1")).look_at
    for _ in range(MOST_LOOKS + 1):
        world.refresh("invoices", "R-1")
    refresh = world.context.refreshes.find(CaseId("invoices", "R-1"))
    assert (refresh.look_at, refresh.looks, first is not None) == (first, 1, True)


# --- what the vendor does to a completed case -------------------------------------------------------------------------


def test_a_document_that_erred_is_corrected(cloud: Cloud) -> None:
    """Docsumo reads it after all: result and table show it."""
    world = World(cloud)
    files = {"unreadable.pdf": samples("invoice.pdf")["invoice.pdf"], **samples("scan.tiff")}
    assert world.submit(*CASE, files)["status"] == "completed_with_failures"
    read_by_now: Any = lambda request, response: json_answer(  # noqa: E731
        request, [{**each, "status": "processed"} for each in response.json()]
    )
    answering(world, "/files", read_by_now)
    world.refresh(*CASE)
    assert (result_of(world)["status"], docs(result_of(world))) == (
        "completed",
        {"unreadable.pdf": None, "scan.tiff": None},
    )
    stored = [(each.status, each.error, each.failed) for each in world.context.cases.get(CASE).documents]
    assert stored == [("processed", None, False)] * 2


def test_docustack_reprocessing_is_collected_when_done(cloud: Cloud) -> None:
    """No revision without its fields is published in between; without a delivery the case is checked later."""
    world = completed(cloud, "invoices")
    first, again = result_of(world, "invoices"), {"on": True}

    def answer(document: dict[str, Any]) -> dict[str, Any]:
        if again["on"]:
            return {**document, "status": "processing", **({"field_values": []} if "id" in document else {})}
        for each in document.get("field_values", ()):
            each["value"] = "read again"
        return document

    documents(world, answer)
    world.refresh("invoices", "R-1")
    assert result_of(world, "invoices") == first
    assert world.context.refreshes.find(CaseId("invoices", "R-1")).look_at
    again["on"] = False
    world.refresh("invoices", "R-1")
    assert result_of(world, "invoices")["revision"] == 2
    assert {each["value"] for each in result_of(world, "invoices")["fields"]} == {"read again"}
    assert world.context.refreshes.find(CaseId("invoices", "R-1")).look_at is None


def test_a_document_that_is_processed_again_during_the_first_collection_is_not_finished(cloud: Cloud) -> None:
    """It is not a document without fields: the result names the reason, and the document comes later."""
    world, again = World(cloud), {"on": False}
    world.before_collect = lambda: again.update(on=True)
    documents(world, lambda told: {**told, "status": "processing", "field_values": []} if again["on"] else told)
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    assert result["status"] == "failed"
    assert UNFINISHED in str(docs(result)["invoice.pdf"])
    world.before_collect = None
    again["on"] = False
    world.refresh("invoices", "R-1")
    assert (result_of(world, "invoices")["status"], bool(result_of(world, "invoices")["fields"])) == ("completed", True)


def test_repeated_assessment_is_collected_when_done(cloud: Cloud) -> None:
    """No revision without a summary comes in between."""
    world = completed(cloud, "disputes")
    first = result_of(world, "disputes")
    assessments(world, lambda case: {**case, "status": "processing", "case_summary": None, "chronology": []})
    world.refresh("disputes", "R-1")
    assert result_of(world, "disputes") == first
    assert world.context.refreshes.find(CaseId("disputes", "R-1")).look_at


def test_empty_search_is_repeated_later(cloud: Cloud) -> None:
    """Docsumo's search fails for a while: the result says so, and a later collection fixes it without a request."""
    world, nothing = completed(cloud), {"on": True}
    first = result_of(world)
    answering(world, "/files", lambda request, _: json_answer(request, []) if nothing["on"] else None)
    world.refresh(*CASE)
    assert (result_of(world)["artifacts"], len(result_of(world)["warnings"])) == ([], 1)
    assert world.context.refreshes.find(CASE).look_at
    nothing["on"] = False
    world.refresh(*CASE)
    assert result_of(world)["artifacts"] == first["artifacts"]
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))


def test_file_that_changes_back_is_a_revision(cloud: Cloud) -> None:
    """Three revisions, each with its own bytes, though the first and the last are the same."""
    world = completed(cloud)
    for text in ("A", "B", "A"):
        put_file(world, "note.txt", text)
        world.refresh(*CASE)
    assert result_of(world)["revision"] == 4
    for number, text in ((2, b"A"), (3, b"B"), (4, b"A")):
        manifest = read(cloud, f"{PREFIX}revisions/{number}/manifest.json")
        whole(cloud, manifest)
        [note] = [each for each in manifest["files"] if each["key"].endswith("/note.txt")]
        assert cloud.app.objects.read(note["key"], version_id=note["version_id"]) == text


def test_the_same_file_with_other_bytes_is_fetched_without_an_etag_too(cloud: Cloud) -> None:
    """Neither its entry in the list nor storage shows the change."""
    world = World(cloud)

    def bare(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        headers = {name: value for name, value in response.headers.items() if name != "etag"}
        return httpx.Response(response.status_code, content=response.content, headers=headers, request=request)

    answering(world, "/storage/", bare)
    first = world.submit(*CASE, samples("invoice.pdf"))
    world.refresh(*CASE)
    assert result_of(world) == first
    edit(world, fields={"invoice_number": "X-1"})
    world.refresh(*CASE)
    assert result_of(world)["revision"] == 2
    assert b"X-1" in (cloud.app.objects.read(f"{PREFIX}artifacts/extraction.json") or b"")


# --- changes, and their names -----------------------------------------------------------------------------------------


def reordered(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its fields, and their keys, in another order."""
    answer = {**document, "field_values": [dict(reversed(each.items())) for each in document.get("field_values", ())]}
    answer["field_values"].reverse()
    return dict(reversed(answer.items()))


def renumbered(document: dict[str, Any]) -> bytes:
    """Return a document with its numbers written in another way."""
    more: Callable[[re.Match[str]], str] = lambda found: f"{found[1]}{'0' if '.' in found[1] else '.0'}"  # noqa: E731
    text = re.sub(r'("confidence": [0-9.]+)', more, json.dumps(document))
    assert text != json.dumps(document) or "field_values" not in document
    return text.encode()


@pytest.mark.parametrize("change", [reordered, renumbered])
def test_order_and_notation_are_not_changes(
    cloud: Cloud, change: Callable[[dict[str, Any]], dict[str, Any] | bytes]
) -> None:
    """A vendor may give its fields in another order, and 1 as 1.0, each time."""
    world = completed(cloud, "invoices")
    first = result_of(world, "invoices")
    documents(world, change)
    world.refresh("invoices", "R-1")
    assert result_of(world, "invoices") == first
    assert [kind for kind, _ in world.sent_events] == ["Case Completed"]


def test_a_files_bytes_are_those_of_its_revision(cloud: Cloud) -> None:
    """A field that is a time is corrected: result and artifact say the same, though times alone make no revision."""
    world, text = World(cloud), {"value": "2026-01-01T10:00:00Z", "read_at": "2026-01-01T00:00:00Z"}

    def dated(document: dict[str, Any]) -> dict[str, Any]:
        values = [{"field_key": "due", "field_name": "Due", "value": text["value"], "confidence": 1}]
        return {**document, "read_at": text["read_at"], "field_values": values} if "id" in document else document

    documents(world, dated)
    world.submit("invoices", "R-1", samples("invoice.pdf"))
    text["read_at"] = "2026-01-01T00:00:01Z"
    world.refresh("invoices", "R-1")
    assert result_of(world, "invoices")["revision"] == 1
    text["value"] = "2026-01-02T10:00:00Z"
    world.refresh("invoices", "R-1")
    result = result_of(world, "invoices")
    assert (result["revision"], result["fields"][0]["value"]) == (2, text["value"])
    [artifact] = result["artifacts"]
    assert text["value"].encode() in (cloud.app.objects.read(artifact["key"]) or b"")
    whole(cloud, read(cloud, "cases/invoices/R-1/manifest.json"))


def test_each_update_says_what_has_changed(cloud: Cloud) -> None:
    """Also if the answer has no list of its own."""
    world = completed(cloud, "disputes")
    assessments(world, lambda case: {**case, "case_summary": "In other words."})
    world.refresh("disputes", "R-1")
    kind, detail = world.sent_events[-1]
    assert (kind, detail["revision"], detail["changes"]["other"]) == ("Case Updated", 2, ["summary"])


@pytest.mark.parametrize("odd", [{"schema_version": "3"}, {"novelty": 1}, {"fields": "none"}])
def test_a_result_that_cannot_be_read_is_followed_by_one_that_can(cloud: Cloud, odd: dict[str, Any]) -> None:
    """A later version of Dossier was deployed for a while, and rolled back: cases stay in step."""
    world = completed(cloud)
    for key in ("result.json", "revisions/1/result.json"):
        cloud.app.objects.write_json(PREFIX + key, {**read(cloud, PREFIX + key), **odd})
    move(world, "stage__approved")
    world.refresh(*CASE)
    assert (result_of(world)["revision"], world.sent_events[-1][0]) == (2, "Case Updated")
    assert world.context.cases.get(CASE).record.committed is None
    world.refresh(*CASE)
    assert result_of(world)["revision"] == 2


def test_a_case_is_completed_at_one_time(cloud: Cloud) -> None:
    """Later revisions, and the table, have the time of the first."""
    world = completed(cloud)
    first = result_of(world)
    move(world, "stage__approved")
    world.refresh(*CASE)
    assert result_of(world)["completed_at"] == first["completed_at"]
    assert world.context.cases.get(CASE).record.completed_at == moment(first["completed_at"])


# --- times of change --------------------------------------------------------------------------------------------------


def listed_as(world: World, dates: dict[str, str]) -> None:
    """Let the list, and the answers to changes, give other times of change."""

    def answer(request: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        value = response.json()
        changed = [value["data"]] if request.method == "PATCH" else value.get("data", {}).get("cases", [])
        for each in changed:
            each["modified_date"] = dates.get("modified", each["modified_date"])
        return httpx.Response(200, json=value, request=request, headers={"date": response.headers["date"]})

    answering(world, "/external/agents/", answer)


def compared(world: World) -> list[str]:
    """Compare, and walk what that starts; return the executions' names."""
    compare(["claims"], context=world.context)
    return world.run_started()


def test_a_time_in_the_future_causes_no_endless_collections(cloud: Cloud) -> None:
    """It is collected once; a corrected time is a change, though it is earlier."""
    world = completed(cloud)
    dates = {"modified": "2091-01-01T00:00:00Z"}
    listed_as(world, dates)
    assert compared(world)
    assert [compared(world) for _ in range(3)] == [[], [], []]
    dates.clear()
    edit(world, assigned_to="user__late")
    world.ahead += 3
    assert compared(world)
    assert result_of(world)["assigned_to"] == "user__late"
    world.ahead += 3
    compared(world)
    assert compared(world) == []


def test_many_times_in_the_future_hide_no_change(cloud: Cloud) -> None:
    """However many entries are dated wrongly, the next look begins no later than the last one was made."""
    world = World(cloud)
    for number in range(13):
        world.submit("claims", f"R-{number}", samples("invoice.pdf"))
    wrong = {str(world.context.cases.get(CaseId("claims", f"R-{number}")).record.case_id) for number in range(2, 13)}

    def answer(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        value = response.json()
        for each in value["data"]["cases"]:
            each["modified_date"] = "2091-01-01T00:00:00Z" if each["case_id"] in wrong else each["modified_date"]
        value["data"]["cases"].sort(key=lambda each: str(each["modified_date"]), reverse=True)
        return httpx.Response(200, json=value, request=request, headers={"date": response.headers["date"]})

    answering(world, "/external/agents/", answer)
    for _ in range(2):
        compared(world)
        world.ahead += 600
    edit(world, assigned_to="user__late")
    world.ahead += 3
    compared(world)
    assert result_of(world)["assigned_to"] == "user__late"


def test_edit_in_the_second_of_an_after_step_is_collected(cloud: Cloud) -> None:
    """Both have the same time: the later answer counts."""
    world = World(cloud)
    listed_as(world, {"modified": "2091-01-01T00:00:00Z"})
    first = world.submit(*CASE, samples("invoice.pdf"), options={"after_stage_id": "stage__approved"})
    assert first["stage_id"] == "stage__approved"
    edit(world, assigned_to="user__late")
    world.refresh(*CASE)
    assert result_of(world)["assigned_to"] == "user__late"


def test_each_list_of_an_account_has_its_own_time(cloud: Cloud) -> None:
    """Two case types: changes of one do not hide changes of the other.

    A time stored by a former version counts for both.
    """
    table = cloud.app.table
    refreshes = cloud.app.refreshes
    assert refreshes.compared("claims") == {}
    table.put({"pk": "COMPARED#claims", "sk": "COMPARED", "seen": "2026-01-01T00:00:00Z"})
    assert refreshes.compared("claims") == {"": "2026-01-01T00:00:00Z"}
    refreshes.compared_to("claims", {"one": "2026-02-01T00:00:00Z"})
    refreshes.compared_to("claims", {"other": "2026-03-01T00:00:00Z"})
    times = {"": "2026-01-01T00:00:00Z", "one": "2026-02-01T00:00:00Z", "other": "2026-03-01T00:00:00Z"}
    assert refreshes.compared("claims") == times


# --- races ------------------------------------------------------------------------------------------------------------


def test_overtaken_collection_publishes_nothing(cloud: Cloud) -> None:
    """A refresh is about to publish when the failed case is sent back to work, and completes before it."""
    world = World(cloud, seconds=3600)
    short(world, "claims")
    world.submit(*CASE, samples("invoice.pdf"))
    world.ahead = 7200
    ask_again(CASE, context=world.context)
    [(name, case)] = world.tokens.started
    world.tokens.started.clear()

    class Held(BaseException):
        pass

    def hold() -> None:
        raise Held

    world.before_publish = hold
    with pytest.raises(Held):
        world.execute(case, f"arn:{name}")
    world.before_publish = None
    result = resumed(world, *CASE)
    assert (result["status"], result["revision"]) == ("completed", 2)
    publish(CASE, "u1", context=world.context)
    assert result_of(world) == result
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))


def test_a_refresh_whose_case_went_back_to_work_leaves_it_alone(cloud: Cloud) -> None:
    """That is not a failure; the case collects by itself, and stays in step afterwards."""
    world = World(cloud, seconds=3600)
    short(world, "claims")
    world.submit(*CASE, samples("invoice.pdf"))
    ask_again(CASE, context=world.context)
    [(name, case)] = world.tokens.started
    world.tokens.started.clear()
    world.ahead = 7200

    def meanwhile() -> None:
        world.before_collect = None
        world.execute(case, f"arn:{name}")

    world.before_collect = meanwhile
    assert resumed(world, *CASE)["status"] == "completed"
    assert world.context.refreshes.find(CASE).error is None
    move(world, "stage__approved")
    assert world.refresh(*CASE)
    assert result_of(world)["stage_id"] == "stage__approved"


def test_a_case_that_is_being_published_is_not_sent_back_to_work(cloud: Cloud) -> None:
    """The committed revision comes first."""
    world = World(cloud, seconds=3600)
    short(world, "claims")
    world.submit(*CASE, samples("invoice.pdf"))
    world.ahead = 7200
    world.refresh_until_committed(*CASE)
    with pytest.raises(InvalidCaseError, match="is being published"):
        resume(CASE, context=world.context)


def waiting(cloud: Cloud) -> World:
    """Return a world whose Docsumo case waits for the vendor."""
    cloud.app.cases.claim(
        record(connection=CASE.connection, reference=CASE.reference, vendor="docsumo", status="waiting")
    )
    return World(cloud)


class Stops:
    """Executions that can be stopped."""

    def stop(self, *_: Any) -> None:
        """Stop nothing: a running function continues."""


def cancelled(world: World) -> None:
    """Cancel the Docsumo case."""
    cancel(CASE, context=world.context.replacing(executions=Stops()))


def test_a_case_is_cancelled_or_published(cloud: Cloud) -> None:
    """The function that still runs does not publish a case that was cancelled before its commit."""
    world = World(cloud)
    commit = world.context.cases.commit

    def late(*names: Any, **more: Any) -> bool:
        cancelled(world)
        return commit(*names, **more)

    world.context.cases.commit = late  # type: ignore[method-assign]
    world.submit(*CASE, samples("invoice.pdf"))
    assert world.context.cases.get(CASE).record.status is CaseStatus.CANCELLED
    assert [kind for kind, _ in world.sent_events] == ["Case Failed"]
    assert result_of(world)["status"] == "cancelled"


def test_a_case_that_fails_at_the_moment_of_its_cancellation_is_not_called_cancelled(cloud: Cloud) -> None:
    """The function `fail` had read the case before it was marked."""
    world = waiting(cloud)

    class Fails:
        def stop(self, *_: Any) -> None:
            world.context.cases.change(CASE, status=CaseStatus.FAILED, reason="the key was refused", completed_at=now())

    with pytest.raises(InvalidCaseError, match=r"was not cancelled: it ended .* as failed: the key was refused"):
        cancel(CASE, context=world.context.replacing(executions=Fails()))


@pytest.mark.parametrize("known", [True, False])
def test_an_execution_that_somebody_stopped_is_counted(cloud: Cloud, known: bool) -> None:
    """That raises an alarm; `dossier cancel` stops the execution of its case on purpose, and raises none."""
    world, counted = waiting(cloud), list[str]()
    context = world.context.replacing(count=lambda name, **_: counted.append(name))
    event = {"connection": CASE.connection, "reference": CASE.reference if known else "R-unknown"}
    stopped(event, context=context)
    assert counted == ["ExecutionsStopped"]
    cancelled(world)
    stopped(event, context=context)
    assert len(counted) == (1 if known else 2)
    stopped(None, context=context)
    assert len(counted) == (2 if known else 3)


def test_committed_revision_is_not_cancelled(cloud: Cloud) -> None:
    """The case is published, and `dossier cancel` says so."""
    world = World(cloud)
    change = world.context.cases.change

    def late(*names: Any, **more: Any) -> bool:
        if "cancelled_at" in more:
            world.context.cases.commit(CASE, 1, "", ended=False)
        return change(*names, **more)

    def meanwhile() -> None:
        world.context.cases.change = late  # type: ignore[method-assign]
        with pytest.raises(InvalidCaseError, match="being published"):
            cancelled(world)

    world.before_publish = meanwhile
    with suppress(AssertionError):  # this test writes no result before it commits
        world.submit(*CASE, samples("invoice.pdf"))
    assert world.context.cases.get(CASE).record.status is not CaseStatus.CANCELLED


@pytest.mark.parametrize("trouble", ["drained", "removed"])
def test_a_refresh_that_cannot_begin_is_not_started_again_at_once(cloud: Cloud, trouble: str) -> None:
    """The deployment is drained, or the connection gone: it waits for its next look, and its next delivery."""
    world = completed(cloud)
    if trouble == "drained":
        world.context.cases.drain(now())
    settings = world.connections["claims"]
    if trouble == "removed":
        del world.connections["claims"]
    move(world, "stage__approved")
    ask_again(CASE, context=world.context)
    assert len(_few(world)) == 1
    assert world.context.refreshes.find(CASE).look_at
    world.context.cases.drain(None)
    world.connections["claims"] = settings
    assert deliver(world, {"case_id": case_id(world)})
    assert result_of(world)["stage_id"] == "stage__approved"


def _few(world: World) -> list[str]:
    """Walk what was started, but only a few: it might never end."""
    walked: list[str] = []
    while world.tokens.started and len(walked) < 5:
        name, case = world.tokens.started.pop(0)
        if f"arn:{name}" not in world.ran:
            world.execute(case, f"arn:{name}")
            walked.append(name)
    return walked


def test_deliveries_about_a_cancelled_case_request_no_refresh(cloud: Cloud) -> None:
    """No refresh stays in the index that will never run."""
    world = completed(cloud)
    cloud.app.table.update(case_key(CASE), "CASE", {"status": "cancelled"})
    assert deliver(world, {"case_id": case_id(world)}) == []
    assert list(world.context.refreshes.pending("claims")) == []


def test_collection_without_changes_leaves_no_record(cloud: Cloud) -> None:
    """Its items go, and another try of its last step publishes nothing."""
    world = completed(cloud)
    world.refresh(*CASE)
    assert world.context.cases.get(CASE).staged == ()
    publish(CASE, "u1", context=world.context)
    assert world.context.cases.get(CASE).record.revision == 1


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [True, False, [], {}, float("nan"), float("inf"), "٣d", "1e3", "3 d", "0.0", 0, -1, "91d"]
)
def test_invalid_deadline_option_is_rejected(wrong: Any) -> None:
    """Also a truth value, and digits of other scripts."""
    for extra in ({"deadline": wrong}, {"options": {"deadline": wrong}}):
        with pytest.raises(InvalidCaseError, match="deadline"):
            CaseInput.parse({"connection": "claims", "reference": "R-1", "case_id": "c", **extra})


def test_null_deadline_beside_the_option_is_not_a_deadline() -> None:
    """An explicit null leaves it to the option."""
    base = {"connection": "claims", "reference": "R-1", "case_id": "c", "options": {"deadline": "90d"}}
    assert CaseInput.parse({**base, "deadline": None}).deadline == 90 * 86400
    assert CaseInput.parse({**base, "deadline": "1s"}).deadline == 1


# --- refreshes without an execution -----------------------------------------------------------------------------------


class Machine:
    """Executions, as AWS would describe them."""

    def __init__(self, **status: str) -> None:
        self.status, self.started = status, list[str]()

    def arn_of(self, name: str) -> str:
        """Return the ARN of a name, which ends with the refresh's number."""
        return name.rpartition("-")[2]

    def describe(self, arn: str) -> Execution | None:
        """Return the state of an execution."""
        return Execution(self.status[arn], stopped_at=now() - timedelta(hours=1)) if arn in self.status else None

    def start(self, name: str, _case: dict[str, Any], *, trace: str | None = None) -> str:
        """Start an execution, unless there was one of its name."""
        self.started += [] if self.arn_of(name) in self.status else [self.arn_of(name)]
        return self.arn_of(name)


def healed(world: World, machine: Machine) -> str | None:
    """Continue the refresh of ``R-1``."""
    context = world.context.replacing(executions=machine)
    return heal(context.refreshes.find(CASE), context=context, ended_by=now())


def test_requested_refresh_that_never_started_is_started(cloud: Cloud) -> None:
    """The function that requested it died before it could start it."""
    world, machine = completed(cloud), Machine()
    world.context.refreshes.ask(CASE)
    assert "had not started" in str(healed(world, machine))
    assert machine.started == ["u1"]


def test_refresh_whose_execution_ended_silently_is_ended(cloud: Cloud) -> None:
    """It is looked at again; one that still runs is left alone."""
    world = completed(cloud)
    world.context.refreshes.ask(CASE)
    world.context.refreshes.begin(CASE, 1, "u1")
    assert healed(world, Machine(u1="RUNNING")) is None
    assert "ABORTED" in str(healed(world, Machine(u1="ABORTED")))
    refresh = world.context.refreshes.find(CASE)
    assert (refresh.number, refresh.execution_arn, refresh.look_at is not None) == (1, None, True)


def test_a_refresh_whose_name_is_taken_gets_the_next_one(cloud: Cloud) -> None:
    """A case of this reference was refreshed before, and its records were removed since: AWS keeps its names."""
    world, machine = completed(cloud), Machine(u1="SUCCEEDED", u2="SUCCEEDED")
    world.context.refreshes.ask(CASE)
    assert "taken" in str(healed(world, machine))
    assert machine.started == []
    assert "taken" in str(healed(world, machine))
    assert machine.started == ["u3"]


# --- missing files ----------------------------------------------------------------------------------------------------


def test_publication_whose_files_are_gone_is_repeated(cloud: Cloud) -> None:
    """It broke off, and the collected files have expired: no former bytes are taken for the new ones."""
    world = completed(cloud)
    edit(world, fields={"invoice_number": "X-1"})
    world.refresh_until_committed(*CASE)
    s3 = cloud.session.client("s3")
    for each in list(cloud.app.objects.stats("collecting/")):
        s3.delete_object(Bucket=BUCKET, Key=each.key)
    world.fail({"connection": "claims", "reference": "R-1", "refresh": 1}, world.last_arn, "ABORTED", "aborted")
    world.refresh(*CASE)
    assert result_of(world)["revision"] == 1
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))
    world.refresh(*CASE)
    assert result_of(world)["revision"] == 2
    assert b"X-1" in (cloud.app.objects.read(f"{PREFIX}artifacts/extraction.json") or b"")
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))


def test_a_document_that_its_vendor_removed_does_not_fail_a_completed_case(cloud: Cloud) -> None:
    """Its extracted data stays, and the result says that it can no longer be read."""
    world = completed(cloud, "invoices")
    first = result_of(world, "invoices")
    gone = {"detail": "Document not found"}
    answering(world, "/api/v1/documents/", lambda request, _: json_answer(request, gone, 404))
    world.refresh("invoices", "R-1")
    result = result_of(world, "invoices")
    assert result["status"] == "completed_with_failures"
    assert "404" in str(docs(result)["invoice.pdf"])
    assert (result["fields"], result["artifacts"]) == (first["fields"], first["artifacts"])


def test_a_refresh_of_a_case_whose_records_were_removed_leaves_nothing(cloud: Cloud) -> None:
    """It ends, and leaves the index."""
    world = completed(cloud)
    ask_again(CASE, context=world.context)
    for item in list(cloud.app.table.query(case_key(CASE))):
        cloud.app.table.delete(item["pk"], item["sk"])
    world.run_started()
    assert list(world.context.refreshes.pending("claims")) == []


def test_documents_that_were_asked_for_are_not_asked_for_again_by_the_next_try(cloud: Cloud) -> None:
    """A case of many documents is late, and the vendor asks for pauses: each try continues where the last stopped."""
    world = World(cloud, seconds=3600)
    short(world, "invoices")
    files = {f"{number}.pdf": samples("invoice.pdf")["invoice.pdf"] + bytes([number]) for number in range(6)}
    world.submit("invoices", "R-1", files)
    asked: list[str] = []

    def pauses(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        asked.append(str(request.url))
        busy = httpx.Response(429, json={"detail": "slow down"}, request=request, headers={"retry-after": "0"})
        return busy if len(asked) in {3, 5} else None

    answering(world, "/status", pauses)
    world.refresh("invoices", "R-1")
    assert len(asked) == len(files) + 2
