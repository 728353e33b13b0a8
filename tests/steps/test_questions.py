"""An open question stays visible while the case's other uploads continue."""

from __future__ import annotations

import pytest

from dossier.models import CaseId, CaseStatus
from dossier.steps.accept import accept
from dossier.steps.ask import ask
from dossier.steps.upload import open_case, upload
from dossier.stores.cases import Cases, Question
from tests.conftest import Cloud
from tests.machine import World, samples

FILES = {"invoices": ("invoice.pdf", "scan.tiff"), "disputes": ("invoice.pdf", "scan.tiff")}
"""Vendors that get a case's documents one by one, several at once."""


@pytest.fixture
def world(cloud: Cloud) -> World:
    """Return a world with an accepted case of two documents at each of these vendors."""
    world = World(cloud)
    for connection, names in FILES.items():
        files = samples(*names)
        uris = [{"uri": cloud.put(f"staging/{connection}/{name}", files[name])} for name in names]
        accept({"connection": connection, "reference": "R-1", "documents": uris}, "arn:R-1", context=world.context)
    return world


def stands(world: World, connection: str) -> tuple[CaseStatus, str | None]:
    """Return the case's status and reason."""
    record = world.context.cases.get(CaseId(connection, "R-1")).record
    return record.status, record.reason


def question(what: str) -> Question:
    """Return a question about an upload."""
    return Question(what=what, text=f"what about {what}?", token=f"token-{what}", asked_at="2026-11-28T03:00:00.000Z")


@pytest.mark.parametrize("connection", FILES)
def test_upload_does_not_hide_anothers_question(world: World, connection: str) -> None:
    """The first upload asks, the second one continues: `dossier list --status needs_attention` shows the case."""
    ask(CaseId(connection, "R-1"), "upload-0", "token", "the answer was lost", context=world.context)
    asked = stands(world, connection)
    assert asked[0] is CaseStatus.NEEDS_ATTENTION
    if connection == "disputes":
        open_case(CaseId(connection, "R-1"), context=world.context)
    upload(CaseId(connection, "R-1"), 1, context=world.context)
    assert world.context.cases.get(CaseId(connection, "R-1")).documents[1].document_id
    assert stands(world, connection) == asked


def test_a_question_that_comes_as_another_is_answered_stays_visible(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored after the first was found answered, and its status was set before the answer's."""
    cases = world.context.cases
    case = CaseId("invoices", "R-1")
    cases.ask(case, question("upload-0"))
    cases.change(case, status=CaseStatus.NEEDS_ATTENTION)
    cases.answered(case, "upload-0")
    find = Cases.find

    def and_then_another(self: Cases, case: CaseId) -> object:
        found = find(self, case)
        monkeypatch.setattr(Cases, "find", find)
        self.ask(case, question("upload-1"))
        self.change(case, status=CaseStatus.NEEDS_ATTENTION)
        return found

    monkeypatch.setattr(Cases, "find", and_then_another)
    cases.continue_upload(case)
    assert stands(world, "invoices") == (CaseStatus.NEEDS_ATTENTION, "what about upload-1?")


def test_the_last_answer_continues_the_case(world: World) -> None:
    """One question after the other is answered: the status follows the questions that are open."""
    cases = world.context.cases
    case = CaseId("invoices", "R-1")
    for what in ("upload-0", "upload-1"):
        cases.ask(case, question(what))
    cases.change(case, status=CaseStatus.NEEDS_ATTENTION)
    cases.answered(case, "upload-0")
    cases.continue_upload(case)
    assert stands(world, "invoices") == (CaseStatus.NEEDS_ATTENTION, "what about upload-1?")
    cases.answered(case, "upload-1")
    cases.continue_upload(case)
    assert stands(world, "invoices") == (CaseStatus.UPLOADING, None)


def test_ended_case_stays_ended(world: World) -> None:
    """A late upload changes nothing of it."""
    world.context.cases.change(CaseId("invoices", "R-1"), status=CaseStatus.CANCELLED)
    world.context.cases.continue_upload(CaseId("invoices", "R-1"))
    assert stands(world, "invoices")[0] is CaseStatus.CANCELLED
