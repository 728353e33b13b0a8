"""``dossier refresh``, ``dossier fetch --revision`` and ``dossier cancel``: cases after, and before, their end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dossier.models import CaseId
from dossier.steps import refresh as steps
from tests.cli.conftest import Dossier
from tests.conftest import BUCKET
from tests.machine import World

CASE = CaseId("claims", "C-1")


@pytest.fixture
def finished(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a completed Docsumo case."""
    dossier.world = World(dossier.cloud)
    assert dossier("submit", "claims", invoice, "--reference", "C-1", "--wait").exit_code == 0
    return dossier


def move(dossier: Dossier, stage: str) -> None:
    """Move the case as the vendor's operator does."""
    assert dossier.world
    case_id = dossier.case(*CASE).record.case_id
    dossier.world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id}/stage", json={"stage_id": stage}).raise_for_status()


def test_refresh_reports_its_outcome(finished: Dossier) -> None:
    """Nothing, or the next revision, which `dossier status` shows with what it has changed."""
    assert "C-1: nothing has changed" in finished("refresh", "C-1", "--wait").stdout
    move(finished, "stage__approved")
    document = finished.json("refresh", "C-1", "--wait")
    assert (document["before"], document["revision"], document["status"]) == (1, 2, "completed")
    shown = finished("status", "C-1").stdout
    assert "2 revisions" in shown
    assert "stage__approved" in shown


def test_refresh_waits_for_a_collection_that_began_later(finished: Dossier) -> None:
    """One runs by then, and has read the case before it changed: the next one is waited for."""
    app = finished.cloud.app
    app.refreshes.ask(CASE)
    assert app.refreshes.begin(CASE, 1, "arn:runs")
    app.refreshes.see(CASE)
    move(finished, "stage__approved")
    finished.then = [lambda: steps.end(CASE, 1, context=app)]
    result = finished("refresh", "C-1", "--wait")
    assert "C-1: revision 2" in result.stdout, result.stderr


def test_ctrl_c_leaves_a_refresh_running(finished: Dossier) -> None:
    """The message says so once, with a command to follow it."""

    def press() -> None:
        raise KeyboardInterrupt

    app = finished.cloud.app
    app.refreshes.ask(CASE)
    assert app.refreshes.begin(CASE, 1, "arn:runs")
    finished.then = [press]
    result = finished("refresh", "C-1", "--wait")
    assert result.exit_code == 130
    assert result.stderr == (
        "dossier: interrupted: case C-1 is being collected, and that continues: follow it with "
        "`dossier status C-1 --connection claims`\n"
    )


def test_a_refresh_that_fails_says_why(finished: Dossier) -> None:
    """The case stays as it is."""
    assert finished.world
    finished.world.keys.wrong = True
    result = finished("refresh", "C-1", "--wait")
    assert result.exit_code == 1
    assert "case C-1 could not be collected again" in result.stderr
    assert "refused the API key" in result.stderr
    assert finished.json("status", "C-1")["status"] == "completed"


def test_unfinished_case_is_not_refreshed(finished: Dossier, invoice: Path) -> None:
    """The command prints the state of the case."""
    finished.whole = False
    finished("submit", "claims", invoice, "--reference", "C-2")
    finished.tick()
    result = finished("refresh", "C-2")
    assert result.exit_code == 1
    assert "case C-2 is accepted: only a case that has ended" in result.stderr


def test_each_revision_is_fetched_as_it_was(finished: Dossier, tmp_path: Path) -> None:
    """All of its files, in their places."""
    move(finished, "stage__approved")
    finished("refresh", "C-1", "--wait")
    for number, stage in ((1, "stage__review"), (2, "stage__approved")):
        folder = tmp_path / str(number)
        assert finished("fetch", "C-1", folder, "--revision", str(number)).exit_code == 0
        answer = json.loads((folder / "result.json").read_text())
        assert (answer["revision"], answer["stage_id"]) == (number, stage)
        assert (folder / "artifacts" / "stage_approved.pdf").exists() is (number == 2)


def test_incomplete_revision_is_not_fetched(finished: Dossier, tmp_path: Path) -> None:
    """The bucket's retention removed a version: the error names the file, and no file is written."""
    app, s3 = finished.cloud.app, finished.cloud.session.client("s3")
    case_id = finished.case(*CASE).record.case_id
    assert finished.world
    finished.world.sandbox.post(
        f"/_sandbox/docsumo/cases/{case_id}/edit", json={"fields": {"invoice_number": "X"}}
    ).raise_for_status()
    finished("refresh", "C-1", "--wait")
    manifest = json.loads(app.objects.read("cases/claims/C-1/revisions/1/manifest.json") or b"")
    [file] = [each for each in manifest["files"] if each["key"].endswith("/extraction.json")]
    s3.delete_object(Bucket=BUCKET, Key=file["key"], VersionId=file["version_id"])
    result = finished("fetch", "C-1", tmp_path / "first", "--revision", "1")
    assert result.exit_code == 1
    assert "the bucket no longer has all files of revision 1 of case C-1: extraction.json is gone" in result.stderr
    assert not [*(tmp_path / "first").rglob("*")]
    assert finished("fetch", "C-1", tmp_path / "second", "--revision", "2").exit_code == 0
    s3.delete_object(Bucket=BUCKET, Key="cases/claims/C-1/revisions/1/manifest.json")
    assert (
        "the bucket no longer has revision 1 of case C-1"
        in finished("fetch", "C-1", tmp_path, "--revision", "1").stderr
    )
    assert "case C-1 has no revision 3" in finished("fetch", "C-1", tmp_path, "--revision", "3").stderr


def test_a_case_is_cancelled_once(finished: Dossier, invoice: Path) -> None:
    """Its execution stops, and what the vendor may bill is shown; a case that has ended is not cancelled."""
    finished.whole = False
    finished("submit", "claims", invoice, "--reference", "C-2")
    finished.tick()
    case = finished.case("claims", "C-2")
    sent = case.documents[0].model_copy(update={"document_id": "doc__1", "status": "uploaded"})
    finished.cloud.app.cases.put_documents(CaseId("claims", "C-2"), [sent], fresh=False)
    document = finished.json("cancel", "C-2")
    assert document["status"] == "cancelled"
    assert document["billed"] == [{"name": "invoice.pdf", "document_id": "doc__1", "status": "uploaded"}]
    assert finished.json("status", "C-2")["status"] == "cancelled"
    result = finished("cancel", "C-2")
    assert result.exit_code == 1
    assert "case C-2 is cancelled: there is nothing to cancel" in result.stderr
    assert "case C-1 is completed: there is nothing to cancel" in finished("cancel", "C-1").stderr
