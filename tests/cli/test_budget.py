"""A case over its budget: its output, and its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dossier.models import CaseId, CaseStatus
from dossier.settings import Budget
from dossier.stores.cases import Question
from tests.cli.conftest import CONNECTIONS, Dossier
from tests.machine import ROOT

BUDGET = "budget = { cases_per_day = 2, pages_per_day = 9, pages_per_case = 0, price_per_page = 0.5 }"


@pytest.fixture
def asked(dossier: Dossier, invoice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dossier:
    """A deployment with a case that is over its budget."""
    file = tmp_path / "connections.toml"
    shipped = (ROOT / "connections.toml").read_text(encoding="utf-8")
    file.write_text(shipped.replace("[invoices]\n", f"[invoices]\n{BUDGET}\n"), encoding="utf-8")
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(file))
    assert len(CONNECTIONS) == 3
    dossier.connections["invoices"] = dossier.connections["invoices"].model_copy(
        update={"budget": Budget(cases_per_day=2, pages_per_day=9, pages_per_case=0, price_per_page=0.5)}
    )
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    cases = dossier.cloud.app.cases
    doubt = cases.doubt(CaseId("invoices", "INV-1"), "budget")
    assert doubt is not None
    cases.ask(
        CaseId("invoices", "INV-1"),
        Question(what="budget", text=doubt.text, token="token-1", asked_at="2026-01-31T12:00:00.000Z"),
    )
    dossier.change("invoices", "INV-1", status=CaseStatus.NEEDS_ATTENTION, reason=doubt.text)
    return dossier


def test_the_question_shows_its_two_answers(asked: Dossier) -> None:
    """Status has the pages and their price, and the commands to send and to give up; list has the day's numbers."""
    shown = asked("status", "INV-1").stdout
    assert "1 (about $0.50 at the vendor)" in shown
    assert "it has 1 page, and budget.pages_per_case is 0" in shown
    assert "to send it all the same: dossier resolve INV-1 --connection invoices --send" in shown
    assert "to end the case as failed: dossier resolve INV-1 --connection invoices --give-up" in shown
    assert "--retry" not in shown
    document = asked.json("status", "INV-1")
    assert (document["pages"], document["documents"][0]["pages"]) == (1, 1)
    listed = asked("list")
    assert "over the budget" in listed.stdout
    assert "budget of invoices today: 0 of 2 cases, 0 of 9 pages" in listed.stderr


def test_explain_names_the_operator_and_both_answers(asked: Dossier) -> None:
    """Nothing was sent, and nothing happens until an operator decides."""
    found = asked.json("explain", "INV-1")
    assert (found["next"]["kind"], found["next"]["who"], found["next"]["at"]) == ("answer", "operator", None)
    assert "dossier resolve INV-1 --send|--give-up" in found["next"]["what"]
    assert found["waits_for"] == "an operator's decision: nothing was sent to DocuStack"
    assert "over the budget" in found["why"]
    assert [each.rpartition(" --")[2] for each in found["helps"]] == ["send`", "give-up`"]


def test_send_counts_the_case_and_continues_it(asked: Dossier) -> None:
    """Its token is answered; --retry means the same here."""
    result = asked("resolve", "INV-1", "--send")
    assert result.exit_code == 0, result.stderr
    assert "INV-1 is sent although it is over the budget" in result.stdout
    assert asked.answers == {"token-1": True}
    case = asked.case("invoices", "INV-1")
    assert (case.record.status, case.questions, case.named) == (CaseStatus.UPLOADING, (), {"budget": "send"})
    assert "budget of invoices today: 1 of 2 cases, 1 of 9 pages" in asked("list").stderr


def test_retry_means_send(asked: Dossier) -> None:
    """Nothing was sent, so both say the same."""
    assert asked.json("resolve", "INV-1", "--retry")["answer"] == "send"
    assert asked.answers == {"token-1": True}


def test_give_up_ends_the_case_and_counts_nothing(asked: Dossier) -> None:
    """A case that was not sent uses no budget."""
    assert asked("resolve", "INV-1", "--give-up").exit_code == 0
    assert asked.answers == {"token-1": "GivenUpError"}
    assert asked.cloud.app.cases.budgets.spent("invoices").cases == 0


def test_other_answers_are_rejected(asked: Dossier) -> None:
    """An id answers no question about a budget, and --send no other question."""
    result = asked("resolve", "INV-1", "--use", "doc_1")
    assert result.exit_code == 2
    assert "answer with --send or --give-up" in result.stderr
    asked.ask("invoices", "INV-1", "upload-0")
    result = asked("resolve", "INV-1", "--question", "upload-0", "--send")
    assert result.exit_code == 2
    assert "--send answers a question about the budget" in result.stderr
