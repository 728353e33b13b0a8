"""Submitting: once and only once, by the command and by the console, to a new case and to an existing one."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from dossier.steps.identity import stranger_reference
from tests.e2e.world import World, sums, until


def test_twice_at_once(world: World) -> None:
    """The same case submitted twice at once is one execution and one upload."""
    reference = world.name("twice")
    files = [world.file(f"{reference}.pdf"), world.file(f"{reference}.tiff")]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: world.submit("scans", reference, *files), range(2))
    assert first["execution_arn"] == second["execution_arn"]
    assert world.ended(first["execution_arn"])["status"] == "SUCCEEDED"
    third = world.submit("scans", reference, *files)
    assert (third["outcome"], third["status"]) == ("already_submitted", "completed")
    assert world.executions(f"scans-{reference}-") == [first["execution_arn"]]
    assert sorted(each["sha256"] for each in world.vendors.uploads(reference)) == sorted(sums(files))


def test_reference_with_other_content(world: World) -> None:
    """Other content under a taken reference is rejected with one line, and the case continues."""
    reference = world.name("conflict")
    submitted, other = world.submit("scans", reference, world.file(f"{reference}.pdf")), world.file(f"{reference}.pdf")
    refused = world.dossier("submit", "scans", str(other), "--reference", reference, "--wait", code=1)
    assert refused.document["reason"].startswith(f"reference {reference} belongs to a case with other content")
    assert "\n" not in refused.document["reason"]
    assert len([line for line in refused.stderr.splitlines() if line.startswith("dossier: ")]) == 1
    assert refused.document["execution_arn"] is None  # the command sees it before anything is uploaded
    uri = world.put(f"uploads/{reference}.pdf", other.read_bytes())
    case = {"connection": "scans", "reference": reference, "documents": [{"uri": uri}]}
    ended = world.ended(world.start(case, str(uuid.uuid4())))
    assert (ended["status"], ended["error"]) == ("FAILED", "ReferenceConflictError")
    assert ended["cause"].startswith(f"reference {reference} belongs to a case with other content")
    assert world.ended(submitted["execution_arn"])["status"] == "SUCCEEDED"
    assert world.status("scans", reference)["status"] == "completed"
    assert len(world.vendors.uploads(reference)) == 1


def test_console(world: World) -> None:
    """An execution started by hand works under any name; a second one finds out that the case is submitted already."""
    reference = world.name("console")
    body = world.file(f"{reference}.pdf")
    uri = world.put(f"uploads/{reference}.pdf", body.read_bytes())
    case = {"connection": "scans", "reference": reference, "documents": [{"uri": uri}]}
    first, early = (world.start(case, str(uuid.uuid4())) for _ in range(2))
    ended = [world.ended(arn) for arn in (first, early)]
    late = world.ended(world.start(case, str(uuid.uuid4())))
    assert [each["status"] for each in (*ended, late)] == ["SUCCEEDED"] * 3
    outputs = sorted(json.loads(each["output"])["status"] for each in (*ended, late))
    assert outputs == ["already_submitted", "already_submitted", "completed"]
    assert [each["sha256"] for each in world.vendors.uploads(reference)] == sums([body])
    (document,) = world.result("scans", reference)["documents"]
    assert document["name"] == f"{reference}.pdf"


def test_append_to_docsumo(world: World) -> None:
    """With a case id and documents, a case at Docsumo gets the documents and its workflow runs again."""
    reference, desk = world.name("append"), world.docsumo("intake")
    case_id = desk.stranger(f"{reference} before.pdf")
    files = [world.file(f"{reference} more.pdf"), world.file(f"{reference} more.png")]
    result = world.complete("intake", reference, *files, rest=["--case-id", case_id])
    (upload,) = [each for each in world.vendors.calls("intake", "upload") if each.fields.get("case_id") == case_id]
    assert upload.fields == {"casetype_id": "casetype__other", "trigger_workflow": "true", "case_id": case_id}
    assert [each.sha256 for each in upload.files] == sums(files)
    assert (result["case_id"], result["status"]) == (case_id, "completed")
    assert {each["name"] for each in result["documents"]} == {path.name for path in files}


def test_append_to_ombudsman(world: World) -> None:
    """With a case id and documents, an assessed case at the Ombudsman gets the documents and is assessed again."""
    reference, desk = world.name("append"), world.ombudsman("quarrels")
    case_id = desk.stranger(f"theirs of {reference}", "old.pdf")
    file = world.file(f"{reference} more.docx")
    result = world.complete("quarrels", reference, file, rest=["--case-id", case_id])
    started = [each["case_id"] for each in world.vendors.effects("assessment_started", "quarrels")]
    assert started.count(case_id) == 1
    assert [each["case_id"] for each in world.vendors.uploads(reference)] == [case_id]
    assert reference not in {each["name"] for each in world.vendors.effects("case_created")}
    assert (result["case_id"], result["status"]) == (case_id, "completed")
    assert file.name in {each["name"] for each in result["documents"]}


@pytest.mark.parametrize("connection", ["intake", "quarrels"])
def test_collect(world: World, connection: str) -> None:
    """A case id alone collects the existing results: nothing is uploaded, opened or processed."""
    word = world.name("theirs")
    if connection == "intake":
        case_id = world.docsumo(connection).stranger(f"{word} one.png", f"{word} two.pdf")
        expected = 3
    else:
        case_id = world.ombudsman(connection).stranger(word, f"{word} one.png", f"{word} two.pdf")
        expected = 3
    text = world.dossier("submit", connection, "--case-id", case_id, "--wait", "--timeout", "900").document
    reference = stranger_reference(case_id)
    assert (text["reference"], text["status"], text["case_id"]) == (reference, "completed", case_id)
    result = world.result(connection, reference)
    assert (len(result["documents"]), len(result["artifacts"])) == (5 if connection == "intake" else 2, expected)
    assert not world.vendors.uploads(word)
    changing = {"upload", "create", "process", "update"}
    assert not [each for each in world.vendors.calls(connection) if case_id in each.path and each.operation in changing]
    assert not {"Upload All", "Upload", "Open Case", "Process"} & set(world.states(text["execution_arn"]))


def test_events(world: World) -> None:
    """A rule on the bus gets an event that a case is completed, with the place of its results."""
    reference = world.name("told")
    result = world.complete("quarrels", reference, world.file(f"{reference}.pdf"))
    (event,) = until(lambda: world.events(reference))
    assert (event["source"], event["detail-type"]) == ("dossier", "Case Completed")
    detail, folder = event["detail"], f"cases/quarrels/{reference}/"
    assert (detail["connection"], detail["reference"], detail["vendor"]) == ("quarrels", reference, "ombudsman")
    assert (detail["case_id"], detail["status"]) == (result["case_id"], "completed")
    assert (detail["result"], detail["manifest"]) == (f"{folder}result.json", f"{folder}manifest.json")
    assert {detail["result"], detail["manifest"]} <= set(world.keys(folder))
