"""Whole cases at vendors that are not the sandbox; no webhook is ever delivered about any of these cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dossier.names import proper_names
from tests.e2e.otherservers import REPORT
from tests.e2e.world import World, sha256, sums, until

RESULT = {
    "schema_version", "connection", "vendor", "reference", "case_id", "status", "title", "summary", "fields",
    "timeline", "documents", "artifacts", "submitted_at", "completed_at",
}  # fmt: skip
DOCUMENT = {
    "document_id", "name", "status", "error", "title", "description", "summary", "insights", "dates", "scores",
    "fields",
}  # fmt: skip
FIELD = {"key", "name", "value", "confidence", "inferred", "edited"}


def check_contract(world: World, result: dict[str, Any], *, connection: str, vendor: str, reference: str) -> None:
    """Check the contract's promises about every result, and the manifest's entry of every file."""
    assert result.keys() >= RESULT
    assert (result["schema_version"], result["connection"]) == ("2", connection)
    assert (result["vendor"], result["reference"]) == (vendor, reference)
    assert result["submitted_at"] < result["completed_at"]
    assert all(each.keys() >= DOCUMENT for each in result["documents"])
    fields = [*result["fields"], *(each for document in result["documents"] for each in document["fields"])]
    assert all(each.keys() >= FIELD for each in fields)
    assert all(each["scores"].keys() == {"claimant", "defendant"} for each in result["documents"])
    folder = f"cases/{connection}/{reference}/"
    manifest = json.loads(world.read(f"{folder}manifest.json"))
    listed = {each["key"]: each for each in manifest["files"]}
    assert len(listed) == len(manifest["files"])
    kept = {key for key in world.keys(folder) if not key.startswith(f"{folder}revisions/")}
    assert {*listed, f"{folder}manifest.json"} == kept
    for key, each in listed.items():
        body = world.read(key)
        assert (each["size"], each["sha256"]) == (len(body), sha256(body)), key
        assert each["source"]
    answer = {each["key"]: each for each in result["artifacts"]}
    assert set(answer) == {key for key in listed if key.startswith(f"{folder}artifacts/")}
    assert all(listed[key]["sha256"] == each["sha256"] for key, each in answer.items())
    assert all(listed[key]["size"] == each["size"] for key, each in answer.items())


def check_uploads(world: World, word: str, files: list[Path]) -> None:
    """Check that each file arrived at the vendor once, whole, under its own name; the second of a name has a number."""
    arrived = sorted((each["name"], each["sha256"]) for each in world.vendors.uploads(word))
    assert arrived == sorted(zip(proper_names(path.name for path in files), sums(files), strict=True))


def test_docustack(world: World) -> None:
    """A DocuStack case of several documents completes at a server with its own statuses and keys."""
    reference = world.name("scans")
    names = (f"{reference} Ünïcode - 見積.pdf", f"{reference} large.pdf", f"{reference}.tiff")
    files = [world.file(name, size=2_500_000 if "large" in name else 3000) for name in names]
    world.vendors.plan(reference, seconds=2.0)
    result = world.complete("scans", reference, *files, rest=["--option", "case_title=Three papers"])
    check_contract(world, result, connection="scans", vendor="docustack", reference=reference)
    check_uploads(world, reference, files)
    assert (result["status"], result["title"], result["case_id"]) == ("completed", "Three papers", None)
    assert [each["name"] for each in result["documents"]] == list(names)
    ids = {each["name"]: each["document_id"] for each in world.vendors.uploads(reference)}
    assert all(each["document_id"] == ids[each["name"]] for each in result["documents"])
    for each in result["documents"]:
        total, payee = each["fields"]
        assert (total["key"], total["value"], total["confidence"], total["inferred"]) == (
            "total",
            "4,200.00",
            0.5,
            True,
        )
        assert (payee["name"], payee["value"], payee["confidence"]) == ("Zahlungsempfänger", None, None)
        assert (payee["inferred"], payee["edited"]) == (False, True)
    assert len(result["artifacts"]) == 3


def test_docsumo(world: World) -> None:
    """A Docsumo case is done by its stage; two files of a name stay two, and only what is included is fetched."""
    reference = world.name("intake")
    files = [world.file(f"{reference}.pdf"), world.file(f"{reference}.pdf"), world.file(f"{reference} né.png")]
    world.vendors.plan(reference, seconds=1.5, expires=True)
    result = world.complete("intake", reference, *files, rest=["--option", "case_title=Réunion"])
    check_contract(world, result, connection="intake", vendor="docsumo", reference=reference)
    check_uploads(world, reference, files)
    assert (result["status"], result["title"]) == ("completed", "Réunion")
    folder = world.docsumo("intake").folders[result["case_id"]]
    assert folder.title == "Réunion"
    (upload,) = [
        each for each in world.vendors.calls("intake", "upload") if each.effects[0]["name"] in reference + ".pdf"
    ]
    assert upload.fields == {"casetype_id": "casetype__other", "trigger_workflow": "true"}
    assert [each.field for each in upload.files] == ["files"] * 3
    wanted = sorted(sha256(each.body) for each in folder.files.values() if each.name == REPORT or "né" in each.name)
    assert sorted(each["sha256"] for each in result["artifacts"]) == wanted
    assert len({each["name"] for each in result["artifacts"]}) == len(wanted) == 3
    assert [each["name"] for each in result["documents"]] == proper_names(path.name for path in files)


def test_docsumo_without_its_workflow(world: World) -> None:
    """The option ``trigger_workflow=false`` reaches the vendor, and the case waits until an operator moves it."""
    reference = world.name("untriggered")
    file = world.file(f"{reference}.pdf")
    arn = world.submit("intake", reference, file, rest=["--option", "trigger_workflow=false"])["execution_arn"]
    desk = world.docsumo("intake")
    (sent,) = until(lambda: world.vendors.uploads(reference))
    (upload,) = [each for each in world.vendors.calls("intake", "upload") if sent in each.effects]
    assert upload.fields["trigger_workflow"] == "false"
    until(lambda: world.waits("intake", reference))
    desk.folders[sent["case_id"]].stage = "stage__filed"
    assert world.ended(arn)["status"] == "SUCCEEDED"


def test_ombudsman(world: World) -> None:
    """An Ombudsman case completes although its evidence is listed only at the end, and answers are 200 and 201."""
    reference = world.name("quarrels")
    names = (f"{reference} a.pdf", f"{reference} b.docx", f"{reference} c.png")
    files = [world.file(name) for name in names]
    world.vendors.plan(reference, seconds=1.0)
    rest = ["--option", "case_title=A quarrel", "--option", "case_initiated_date=2025-01-15"]
    result = world.complete("quarrels", reference, *files, rest=rest)
    check_contract(world, result, connection="quarrels", vendor="ombudsman", reference=reference)
    check_uploads(world, reference, files)
    assert [each["case_id"] for each in world.vendors.effects("case_created") if each["name"] == reference] == [
        result["case_id"]
    ]
    assert [each["name"] for each in world.vendors.effects("assessment_started")].count(reference) == 1
    assert (result["status"], result["title"]) == ("completed", f"AI: {reference}")
    assert result["summary"] == "It concerns “£142”."
    values = [(each["key"], each["name"], each["value"]) for each in result["fields"]]
    assert values == [("claimant", "Claimant", "Zoë: Ünal"), ("reference", "Reference", None)]
    (event,) = result["timeline"]
    assert (event["title"], event["description"], event["date"]) == ("It began", None, "2024-02-29")
    assert event["documents"] == [result["documents"][0]["document_id"]]
    assert [each["name"] for each in result["documents"]] == list(names)
    for each in result["documents"]:
        assert each["scores"] == {"claimant": 7, "defendant": None}
        assert each["dates"] == {"event": "2025-07-15", "start": None, "end": None}
        assert each["insights"] == ["One: two", "Three"]
    assert "case.json" in {each["name"] for each in result["artifacts"]}


def test_fetch(world: World) -> None:
    """``dossier fetch`` downloads a case's results into a folder, and ``dossier list`` shows the case."""
    reference = world.name("fetched")
    result = world.complete("scans", reference, world.file(f"{reference}.pdf"))
    folder = world.folder / "fetched"
    text = world.dossier("fetch", reference, str(folder), "--connection", "scans").document
    assert json.loads((folder / "result.json").read_text("utf-8")) == result
    assert {Path(each["path"]).name for each in text["files"]} >= {"result.json", "manifest.json"}
    assert all(each["sha256"] == sha256(Path(each["path"]).read_bytes()) for each in text["files"])
    listed = world.dossier("list", "--connection", "scans", "--status", "completed").document
    assert reference in {each["reference"] for each in listed}


@pytest.mark.parametrize(("connection", "ending"), [("scans", "pdf"), ("intake", "pdf"), ("quarrels", "docx")])
def test_state_count_does_not_depend_on_the_vendors_time(world: World, connection: str, ending: str) -> None:
    """An execution enters as many states when the vendor takes 30 s as when it takes 1 s."""
    entered = []
    for seconds in (30.0, 1.0):
        reference = world.name(f"takes{seconds:.0f}s-{connection}")
        world.vendors.plan(reference, seconds=seconds)
        name = "a paper" if connection == "quarrels" else reference  # there, the case itself takes its time
        entered.append(world.submit(connection, reference, world.file(f"{name}.{ending}"))["execution_arn"])
    slow, quick = (world.ended(arn) for arn in entered)
    assert (slow["status"], quick["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert (slow["stopDate"] - slow["startDate"]).total_seconds() > 30
    assert world.states(entered[0]) == world.states(entered[1])
