"""``dossier drain``, and cases of connections that are no longer deployed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.text import when
from dossier.models import CaseId, CaseStatus
from tests.cli.conftest import Dossier
from tests.records import record


@pytest.fixture
def busy(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a case that waits, one that asks, and one that uploads."""
    dossier.whole = False
    for reference in ("INV-1", "INV-2", "INV-3"):
        dossier("submit", "invoices", invoice, "--reference", reference)
    dossier.tick()
    waits = dossier.cloud.app.waits
    waits.start(CaseId("invoices", "INV-1"), phase="documents", token="token-wait", first=900, deadline=86400)
    dossier.change("invoices", "INV-1", status=CaseStatus.WAITING)
    dossier.ask("invoices", "INV-2", "upload-0")
    dossier.change("invoices", "INV-3", status=CaseStatus.UPLOADING)
    return dossier


def test_no_new_case_starts_and_remaining_cases_are_shown(busy: Dossier, invoice: Path) -> None:
    """A case that is submitted meanwhile is rejected before anything is uploaded, with a line that says why."""
    document = busy.json("drain")
    assert (document["draining"], document["executions"], document["parked"]) == (True, 3, 0)
    assert {each["reference"]: each["status"] for each in document["cases"]} == {
        "INV-1": "waiting", "INV-2": "needs_attention", "INV-3": "uploading"
    }  # fmt: skip
    stored, started = list(busy.cloud.app.objects.list("")), len(busy.executions())
    invoice.write_bytes(invoice.read_bytes() + b"% another")
    for words in (("submit", "invoices", invoice, "--reference", "INV-4"), ("collect", "claims", "case_1")):
        result = busy(*words)
        assert result.exit_code == 1
        assert f"draining since {when(document['since'], seconds=True)} and starts no new cases" in result.stderr
        assert f"draining since {document['since']}" in busy.json(*words)["error"]["message"]
    assert list(busy.cloud.app.objects.list("")) == stored
    assert len(busy.executions()) == started
    assert busy.answers == {}


def test_execution_started_without_the_command_is_rejected_by_accept(busy: Dossier) -> None:
    """An execution that is started in another way leaves a rejected case, whose reference stays free."""
    busy("drain")
    case = {"connection": "claims", "reference": "C-9", "case_id": "case_9"}
    busy.cloud.app.executions.start("C-9", case)
    busy.tick()
    record = busy.case("claims", "C-9").record
    assert (record.status, record.refused) == (CaseStatus.FAILED, True)
    assert "this deployment has been draining since" in str(record.reason)


def test_waiting_cases_are_parked(busy: Dossier) -> None:
    """Waits and questions end, their cases fail, and ``dossier redrive`` resumes them; an upload comes to its end."""
    assert busy.json("drain", "--park")["parked"] == 2
    assert busy.answers == {"token-wait": "ParkedError", "token-upload-0": "ParkedError"}
    assert busy.cloud.app.waits.find(CaseId("invoices", "INV-1")) is None
    assert busy.case("invoices", "INV-2").questions == ()
    assert busy.json("drain", "--park")["parked"] == 0


def test_drain_waits_for_running_executions(busy: Dossier) -> None:
    """Each check shows the cases that are left; with none left, the stack can be destroyed."""
    busy.then = [lambda: [setattr(each, "status", "SUCCEEDED") for each in busy.executions()]]
    result = busy("drain", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "3 executions left" in result.stderr
    assert "you can destroy the stack" in result.stderr


def test_drain_reports_executions_left_after_the_timeout(busy: Dossier) -> None:
    """After the timeout: exit code 3, as whatever does not finish in time."""
    result = busy("drain", "--wait", "--timeout", "0")
    assert result.exit_code == 3
    assert "3 executions left after 0 s: `dossier drain --park` ends waiting cases" in result.stderr


def test_ctrl_c_only_ends_the_wait(busy: Dossier) -> None:
    """The stage drains on, and the message says so once, with what to run."""

    def press() -> None:
        raise KeyboardInterrupt

    busy.then = [press]
    result = busy("drain", "--wait")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        "dossier: interrupted: no new cases start, and the cases under way continue: wait again with "
        "`dossier drain --wait`, or let new cases start with `dossier drain --stop`"
    )
    assert busy.cloud.app.cases.draining()


def test_draining_can_be_stopped(busy: Dossier, invoice: Path) -> None:
    """New cases start again, and a second drain has its own time."""
    busy("drain")
    assert busy.json("drain", "--stop") == {"draining": False}
    busy("submit", "invoices", invoice, "--reference", "INV-4")
    busy.tick()
    assert busy.case("invoices", "INV-4").record.status is CaseStatus.ACCEPTED


def test_nothing_is_redriven_while_it_drains(busy: Dossier) -> None:
    """A case that was parked continues once the deployment takes work again, here or attached to a new stack."""
    busy("drain", "--park")
    busy.change("invoices", "INV-1", status=CaseStatus.FAILED, error="ParkedError", reason="parked")
    result = busy("redrive", "INV-1", "--yes")
    assert result.exit_code == 1
    assert "run `dossier drain --stop` first" in result.stderr
    busy("drain", "--stop")
    assert busy("redrive", "INV-1", "--yes").exit_code == 0


@pytest.fixture
def removed(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment without the connection that two cases belong to, one completed, one failed."""
    dossier("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    why = {"status": "failed", "error": "CaseFailedError", "reason": "page 2 is dark"}
    dossier.cloud.app.cases.claim(record(reference="INV-2", **why))
    outputs, _ = dossier.stacks.stacks["dossier-dev"]
    outputs["ConnectionNames"] = "claims,disputes"
    return dossier


def test_cases_of_a_removed_connection_are_listed_and_fetched(removed: Dossier, tmp_path: Path) -> None:
    """All collected results stay reachable, with the connection's name or without."""
    for words in (("list",), ("list", "--connection", "invoices")):
        assert [each["reference"] for each in removed.json(*words)] == ["INV-2", "INV-1"]
    assert removed.json("status", "INV-1")["status"] == "completed"
    assert removed.json("status", "INV-1", "--connection", "invoices")["connection"] == "invoices"
    result = removed("fetch", "INV-1", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out" / "result.json").read_text())["status"] == "completed"


def test_case_of_a_removed_connection_is_not_redriven(removed: Dossier) -> None:
    """It is listed among the failed cases; a redrive says what to do first, and starts nothing."""
    before = len(removed.executions())
    assert "page … is dark" in removed("redrive").stdout
    result = removed("redrive", "INV-2", "--yes")
    assert result.exit_code == 1
    assert 'connection "invoices" of case INV-2 is no longer deployed: deploy its settings again' in result.stderr
    assert len(removed.executions()) == before


def test_never_deployed_connection_is_unknown(removed: Dossier) -> None:
    """A misspelt connection is still an error."""
    result = removed("list", "--connection", "invoice")
    assert result.exit_code == 2
    assert 'unknown connection "invoice"' in result.stderr
