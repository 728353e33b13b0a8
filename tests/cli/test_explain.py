"""``dossier explain`` and ``dossier watch``: what comes next, for a case, a connection, and all cases under way."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli import table
from cli.running import COLUMNS, MOST
from dossier.models import CaseId, CaseStatus, iso, now
from dossier.steps.explain import Facts, explain
from dossier.stores.cases import WaitingDrop
from dossier.stores.executions import Execution
from dossier.stores.limiter import TRIP
from tests.cli.conftest import Dossier
from tests.records import record


@pytest.fixture
def busy(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a case that waits, and one that asks."""
    dossier.whole = False
    for reference in ("INV-1", "INV-2"):
        dossier("submit", "invoices", invoice, "--reference", reference)
    dossier.tick()
    waits = dossier.cloud.app.waits
    waits.start(CaseId("invoices", "INV-1"), phase="documents", token="t1", first=60, deadline=86_400)
    dossier.change("invoices", "INV-1", status=CaseStatus.WAITING)
    dossier.ask("invoices", "INV-2", "upload-0")
    return dossier


def test_waiting_case_names_its_next_poll(busy: Dossier) -> None:
    """The vendor has to finish, and is asked at the time of the wait."""
    wait = busy.cloud.app.waits.find(CaseId("invoices", "INV-1"))
    assert wait
    found = busy.json("explain", "INV-1")
    assert found["status"] == "waiting"
    assert (found["next"]["kind"], found["next"]["who"], found["next"]["at"]) == ("poll", "vendor", iso(wait.next_at))
    assert found["broken"] is False
    text = busy("explain", "INV-1").stdout
    assert text.startswith(
        "invoices / INV-1 is waiting: DocuStack has the case, and was not asked yet: 0 of 1 documents"
    )
    assert "what helps:" in text


def test_question_names_the_operator_and_the_command(busy: Dossier) -> None:
    """Nothing happens until an operator answers."""
    found = busy.json("explain", "INV-2", "--connection", "invoices")
    assert found["next"] == {
        "kind": "answer",
        "what": "an operator answers: `dossier resolve INV-2`",
        "at": None,
        "who": "operator",
    }
    assert any("dossier resolve INV-2 --connection invoices --retry" in each for each in found["helps"])


def test_question_of_a_removed_connection_says_to_deploy_it_first(busy: Dossier) -> None:
    """An answer alone would end the case as failed."""
    case = busy.cloud.app.cases.get(CaseId("invoices", "INV-2"))
    facts = Facts(case, now(), "DocuStack", execution=Execution("RUNNING"), removed=now())
    assert explain(facts).helps[0].startswith("deploy [invoices] again first: it is not in the settings since")
    assert not any("deploy" in each for each in explain(replace(facts, removed=None)).helps)


def test_execution_that_ended_unnoticed_is_named(busy: Dossier) -> None:
    """The scheduled check records it."""
    for each in busy.executions():
        each.status, each.stop_date = "ABORTED", now().replace(tzinfo=None)
    found = busy.json("explain", "INV-1")
    assert found["next"]["kind"] == "record_end"
    assert "has ended as ABORTED" in found["why"]


def test_case_that_nothing_polls_is_a_fault(busy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and what to do."""
    app = busy.cloud.app
    app.waits.end(app.waits.find(CaseId("invoices", "INV-1")))  # type: ignore[arg-type]
    app.cases.mark(CaseId("invoices", "INV-1"), updated_at="2026-01-01T00:00:00.000Z")
    found = busy.json("explain", "INV-1")
    assert (found["next"], found["broken"]) == (None, True)
    assert "This is a fault of Dossier" in busy("explain", "INV-1").stdout


def test_ended_case_has_no_next_event(busy: Dossier) -> None:
    """It says how it ended."""
    busy.change("invoices", "INV-1", status=CaseStatus.FAILED, reason="the vendor refused the API key")
    found = busy.json("explain", "INV-1")
    assert (found["status"], found["next"], found["broken"]) == ("failed", None, False)
    assert found["why"] == "the case has ended as failed: the vendor refused the API key"
    assert "dossier redrive INV-1" in found["helps"][0]


def test_folder_that_waits_for_files_is_explained(dossier: Dossier) -> None:
    """A drop is not a case yet: its files are missing."""
    drop = WaitingDrop(reference="May", why="inbox/invoices/May lacks a.pdf", since=now())
    dossier.cloud.app.cases.drop_waits("invoices", "May", drop, now())
    found = dossier.json("explain", "May")
    assert (found["status"], found["next"]["kind"], found["next"]["who"]) == ("waiting for files", "files", "operator")
    assert "lacks a.pdf" in found["why"]


def test_connection_says_what_holds_it_up(busy: Dossier) -> None:
    """Pause, breaker, rate, queue and lost webhooks, with numbers for programs."""
    limiter = busy.cloud.app.limiter
    free = busy.json("explain", "--connection", "invoices")
    assert free["why"] == "nothing holds it up"
    assert (free["breaker"]["open"], free["waits"]["number"], free["rate"]["used_percent"]) == (False, 1, 0)
    assert free["cases"] == {"needs_attention": 1, "waiting": 1}
    assert free["lost_webhooks"] == {"finished": 0, "unheard": 0, "percent": None}
    busy.change("invoices", "INV-2", status=CaseStatus.COMPLETED)
    for _ in range(TRIP):
        limiter.failed("invoices", "ConnectError")
    busy("pause", "invoices", "--reason", "the vendor is down")
    held = busy.json("explain", "--connection", "invoices")
    assert held["breaker"]["open"] is True
    assert (held["breaker"]["failures"], held["breaker"]["failure"]) == (TRIP, "ConnectError")
    assert held["paused"]["reason"] == "the vendor is down"
    assert held["lost_webhooks"] == {"finished": 1, "unheard": 1, "percent": 100}
    text = busy("explain", "--connection", "invoices").stdout
    assert "the breaker is open" in text
    assert "invoices is paused since" in text
    assert "100 % of 1 finished case" in text


def test_vendors_pause_is_named_with_its_end(busy: Dossier) -> None:
    """A 429 of the vendor's is not an operator's pause."""
    busy.cloud.app.limiter.pause("invoices", 300)
    found = busy.json("explain", "--connection", "invoices")
    assert found["paused"] is None
    assert found["pause_until"] is not None
    assert "asks for a pause until" in found["why"]


def test_explain_needs_a_case_or_a_connection(dossier: Dossier) -> None:
    """Bad usage names both."""
    result = dossier("explain")
    assert result.exit_code == 2
    assert "name a case, or a connection with --connection" in result.stderr
    assert dossier("explain", "--connection", "nothing").exit_code == 2
    assert dossier("explain", "nothing").exit_code == 1


def test_watch_shows_the_cases_under_way(busy: Dossier) -> None:
    """Each with its next event; those that have ended are not there."""
    busy.json("pause", "claims", "--reason", "closed")
    shown = busy("watch", "--once").stdout
    assert "2 cases under way" in shown
    assert "claims is paused since" in shown
    found = {each["reference"]: each for each in busy.json("watch", "--once")}
    assert {name: each["next"]["kind"] for name, each in found.items()} == {"INV-1": "poll", "INV-2": "answer"}
    busy.change("invoices", "INV-1", status=CaseStatus.COMPLETED)
    busy.change("invoices", "INV-2", status=CaseStatus.COMPLETED)
    assert busy.json("watch", "--once", "--connection", "invoices") == []
    assert "no case is under way" in busy("watch", "--once").stdout


def test_watch_counts_the_cases_of_all_connections(dossier: Dossier) -> None:
    """A connection with many cases does not hide the others; the line says how many there are, and --json has all."""
    cases, began = dossier.cloud.app.cases, now() - timedelta(hours=1)
    for number in range(MOST + 5):
        at = began + timedelta(seconds=number)
        cases.claim(record(connection="claims", reference=f"C-{number}", submitted_at=at, updated_at=at))
    cases.claim(record(connection="invoices", reference="INV-1"))
    shown = dossier("watch", "--once").stdout
    assert f"{MOST + 6} cases under way, the latest {MOST} are:" in shown
    assert len(shown.splitlines()) == MOST + 2
    assert {"INV-1", f"C-{MOST + 4}"} <= {each.split()[1] for each in shown.splitlines()[2:]}
    assert not any(each.split()[1] == "C-0" for each in shown.splitlines()[2:])
    assert len(dossier.json("watch", "--once")) == MOST + 6


@pytest.mark.parametrize("width", [40, 80, 200])
def test_watch_names_who_and_what_comes_next_in_any_terminal(busy: Dossier, width: int) -> None:
    """A narrow one moves that below the case."""
    head, *rows = busy("watch", "--once").stdout.splitlines()[1:]
    cells = [re.split(r" {2,}", each) for each in rows]
    assert re.split(r" {2,}", head) == [*COLUMNS]
    shown = " ".join(" ".join(each.plain for each in table.lines(COLUMNS, cells, width=width, long={"NEXT"})).split())
    for *_, who, coming in cells:
        assert who in shown
        assert coming in shown


def test_a_connection_without_cases_has_its_vendors_name(dossier: Dossier) -> None:
    """The name for people, as with cases."""
    assert dossier.json("explain", "--connection", "invoices")["vendor"] == "DocuStack"


def test_watch_prints_again_when_something_changes(busy: Dossier) -> None:
    """Without a terminal it prints each change, and ends with Ctrl-C."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    busy.then = [lambda: busy.change("invoices", "INV-2", status=CaseStatus.COMPLETED), interrupted]
    result = busy("watch")
    assert result.exit_code == 0
    assert "2 cases under way" in result.stdout
    assert "1 case under way" in result.stdout
    assert busy("watch", "--json").exit_code == 2
