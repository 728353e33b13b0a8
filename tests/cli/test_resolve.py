"""``dossier resolve``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.text import when
from dossier.errors import Choice
from dossier.models import CaseId, CaseStatus
from tests.cli.conftest import Dossier


@pytest.fixture
def asking(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment whose case ``INV-1`` asks about the upload of its document."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.cloud.app.intents.begin(CaseId("invoices", "INV-1"), "upload-0", names=["invoice.pdf"], known=())
    dossier.ask("invoices", "INV-1", "upload-0")
    return dossier


def test_retry_repeats_the_request(asking: Dossier) -> None:
    """The intent is gone, the question is closed, and the execution continues."""
    result = asking("resolve", "INV-1", "--retry")
    assert result.exit_code == 0, result.stderr
    assert asking.cloud.app.intents.find(CaseId("invoices", "INV-1"), "upload-0") is None
    case = asking.case("invoices", "INV-1")
    assert (case.record.status, case.record.reason, case.questions) == (CaseStatus.UPLOADING, None, ())
    assert asking.answers == {"token-upload-0": True}


def test_use_adopts_the_vendors_id(asking: Dossier) -> None:
    """The id is stored in the intent, for the step to continue with."""
    document = asking.json("resolve", "INV-1", "--use", "doc_7", "--connection", "invoices")
    assert document == {
        "connection": "invoices", "reference": "INV-1", "question": "upload-0", "answer": "use", "id": "doc_7"
    }  # fmt: skip
    intent = asking.cloud.app.intents.find(CaseId("invoices", "INV-1"), "upload-0")
    assert intent is not None
    assert intent.adopt == "doc_7"
    assert asking.answers == {"token-upload-0": True}


def test_use_without_an_intent(asking: Dossier) -> None:
    """Where the intent is gone (the answer named something of another case), a new one carries the id."""
    asking.cloud.app.intents.end(CaseId("invoices", "INV-1"), "upload-0")
    assert asking("resolve", "INV-1", "--use", "doc_7").exit_code == 0
    intent = asking.cloud.app.intents.find(CaseId("invoices", "INV-1"), "upload-0")
    assert intent is not None
    assert intent.adopt == "doc_7"


def test_use_of_another_cases_id_is_rejected(asking: Dossier) -> None:
    """An id that another case already has is rejected; the question stays open."""
    asking.cloud.app.intents.own(CaseId("invoices", "INV-0"), ["doc_7"])
    result = asking("resolve", "INV-1", "--use", "doc_7")
    assert result.exit_code == 1
    assert "doc_7 already belongs to case INV-0" in result.stderr
    assert asking.case("invoices", "INV-1").questions
    assert asking.answers == {}


def test_give_up_fails_the_execution(asking: Dossier) -> None:
    """The token is failed with the error by which the state machine ends the case."""
    assert asking("resolve", "INV-1", "--give-up").exit_code == 0
    assert asking.answers == {"token-upload-0": "GivenUpError"}
    assert asking.case("invoices", "INV-1").questions == ()


@pytest.mark.parametrize("words", [("--retry",), ("--give-up",)])
def test_answer_to_a_dead_task_token_is_reported(asking: Dossier, words: tuple[str, ...]) -> None:
    """An answer that comes too late is exit code 1."""
    asking.dead = True
    result = asking("resolve", "INV-1", *words)
    assert result.exit_code == 1
    assert "no longer waits for this answer" in result.stderr


def test_one_of_several_questions(asking: Dossier) -> None:
    """With several open questions one has to be named; the case still waits for the others."""
    asking.ask("invoices", "INV-1", "upload-1", "and this one?")
    result = asking("resolve", "INV-1", "--retry")
    assert result.exit_code == 2
    assert "say which with --question: upload-0, upload-1" in result.stderr
    assert asking("resolve", "INV-1", "--retry", "--question", "upload-0").exit_code == 0
    case = asking.case("invoices", "INV-1")
    assert [each.what for each in case.questions] == ["upload-1"]
    assert (case.record.status, case.record.reason) == (CaseStatus.NEEDS_ATTENTION, "and this one?")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--retry", "--force"), "--force needs --use"),
        (("--retry", "--give-up"), "give one of"),
        (("--use", " "), "--use is blank"),
        (("--retry", "--question", "open"), 'has no open question "open": use one of upload-0'),
    ],
)
def test_bad_usage(asking: Dossier, words: tuple[str, ...], message: str) -> None:
    """Invalid arguments are exit code 2, and answer nothing."""
    result = asking("resolve", "INV-1", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert asking.answers == {}


def test_without_an_answer_the_question_and_its_commands_are_shown(asking: Dossier) -> None:
    """Each candidate with its id, name and time, and the whole command for each answer."""
    listed = [Choice("doc_7", "invoice.pdf", "2026-01-31T11:59:00.000Z"), Choice("doc 8")]
    question = asking.case("invoices", "INV-1").questions[0].model_copy(update={"choices": tuple(listed)})
    asking.cloud.app.cases.ask(CaseId("invoices", "INV-1"), question)
    begin = "dossier resolve INV-1 --connection invoices"
    commands = [f"{begin} --use doc_7", f"{begin} --use 'doc 8'", f"{begin} --retry", f"{begin} --give-up"]
    for words in (("resolve", "INV-1"), ("status", "INV-1")):
        shown = asking(*words).stdout
        assert [each for each in commands if each not in shown] == []
        assert "invoice.pdf" in shown
        assert when("2026-01-31T11:59:00.000Z", seconds=True) in shown
    assert asking("resolve", "INV-1").exit_code == 0
    found = asking.json("resolve", "INV-1")
    assert found["error"] is None
    assert found["questions"][0]["answers"] == commands
    assert found["questions"][0]["candidates"] == [
        {"id": "doc_7", "name": "invoice.pdf", "created": "2026-01-31T11:59:00.000Z"},
        {"id": "doc 8", "name": None, "created": None},
    ]
    assert asking.answers == {}


def test_a_case_without_a_question(dossier: Dossier, invoice: Path) -> None:
    """A case without a question is exit code 1, with its state."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    for words in (("--retry",), ()):
        result = dossier("resolve", "INV-1", *words)
        assert result.exit_code == 1
        assert result.stderr == "dossier: case INV-1 has no open question: it is accepted\n"
