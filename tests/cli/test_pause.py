"""``dossier pause`` and ``dossier resume``: who, when and why, wherever a case or a connection is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dossier.models import CaseId, CaseStatus
from dossier.steps.context import Context
from dossier.steps.hold import hold
from tests.cli.conftest import Dossier

WHY = "the contract is being renewed"


@pytest.fixture
def waiting(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a case that waits for its vendor."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    dossier.cloud.app.waits.start(
        CaseId("invoices", "INV-1"), phase="documents", token="t1", first=900, deadline=86_400
    )
    dossier.change("invoices", "INV-1", status=CaseStatus.WAITING)
    return dossier


def test_pause_is_shown_wherever_its_connection_is(waiting: Dossier, invoice: Path) -> None:
    """status, list, outputs, doctor and submit say since when, by whom and why, and how to end it."""
    paused = waiting.json("pause", "invoices", "--reason", WHY)
    assert (paused["was_paused"], paused["paused"]["reason"]) == (False, WHY)
    assert paused["paused"]["by"].startswith("arn:aws:")
    text = f"by {paused['paused']['by']}: {WHY} (`dossier resume invoices`)"
    assert text in waiting("status", "INV-1").stdout
    assert waiting.json("status", "INV-1")["paused"]["reason"] == WHY
    listed = waiting("list")
    assert text in listed.stdout
    assert waiting.json("list")[0]["paused"]["since"] == paused["paused"]["since"]
    assert text in waiting("outputs").stdout
    assert waiting.json("outputs")["paused"]["invoices"]["reason"] == WHY
    assert text in waiting("submit", "invoices", invoice, "--reference", "INV-2").stderr
    checks = {each["name"]: each for each in waiting.json("doctor")["checks"]}
    assert checks["invoices pause"]["state"] == "warning"
    assert text in checks["invoices pause"]["seen"]
    assert "claims pause" not in checks


def test_pause_names_no_case_that_has_ended(waiting: Dossier) -> None:
    """What has ended waits for nothing."""
    waiting.change("invoices", "INV-1", status=CaseStatus.COMPLETED, note=None)
    waiting("pause", "invoices", "--reason", WHY)
    assert waiting.json("status", "INV-1")["paused"] is None
    assert WHY not in waiting("status", "INV-1").stdout


def test_resume_continues_held_steps_and_waits(waiting: Dossier) -> None:
    """Each held step and each wait that found the pause gets its message; a repetition finds the pause over."""
    waiting("pause", "invoices", "--reason", WHY)
    hold(CaseId("invoices", "INV-2"), "upload-0", "t2", context=_context(waiting))
    assert waiting.cloud.messages("poll-invoices") == []
    resumed = waiting.json("resume", "invoices")
    assert resumed["ended"]["reason"] == WHY
    assert (resumed["paused"], resumed["steps"]) == (None, 1)
    assert len(waiting.cloud.messages("poll-invoices")) == 1
    again = waiting.json("resume", "invoices")
    assert (again["ended"], again["steps"]) == (None, 1)
    assert waiting.json("status", "INV-1")["paused"] is None


def test_pause_needs_a_reason_and_a_connection(dossier: Dossier) -> None:
    """Bad usage changes nothing."""
    assert dossier("pause", "invoices").exit_code == 2
    assert dossier("pause", "invoices", "--reason", " ").exit_code == 2
    unknown = dossier("pause", "nothing", "--reason", WHY)
    assert unknown.exit_code == 2
    assert "use one of claims, disputes, invoices" in unknown.stderr
    assert dossier.cloud.app.limiter.paused() == {}


def test_parked_stage_ends_held_steps(waiting: Dossier) -> None:
    """``dossier drain --park`` ends them as it ends waits: their cases fail and can be redriven."""
    waiting("pause", "invoices", "--reason", WHY)
    hold(CaseId("invoices", "INV-1"), "Collect", "t3", context=_context(waiting))
    assert waiting.json("drain", "--park")["parked"] == 2
    assert waiting.answers == {"t1": "ParkedError", "t3": "ParkedError"}
    assert not list(waiting.cloud.app.waits.held_steps("invoices"))


def _context(dossier: Dossier) -> Context:
    return dossier.cloud.app.replacing(connection_of=dossier.connections.__getitem__)
