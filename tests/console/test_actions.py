"""What an operator does in the console: each action is the command's, and in the trail with its outcome."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus, Document, iso, now
from dossier.stores.cases import CaseRecord
from tests.console.conftest import WHO, Visitor, text_of

CASE = "/cases/invoices/INV-1"
NAMES = {"connection": "invoices", "reference": "INV-1"}


@pytest.fixture
def accepted(visitor: Visitor, invoice: Path) -> Visitor:
    """Return somebody who has opened the console of a deployment with an accepted case."""
    submit(visitor, invoice, "INV-1")
    return visitor


def submit(visitor: Visitor, invoice: Path, reference: str) -> None:
    """Submit a case, and have it accepted."""
    visitor.dossier.whole = False
    visitor.dossier("submit", "invoices", invoice, "--reference", reference)
    visitor.dossier.tick()


def fail(visitor: Visitor, reference: str, reason: str = "page 7 is dark") -> None:
    """Let a case fail."""
    visitor.dossier.change(
        "invoices", reference, status=CaseStatus.FAILED, error="CaseFailedError", reason=reason, completed_at=now()
    )


def end(visitor: Visitor, reference: str) -> None:
    """Let a case complete."""
    app, names = visitor.dossier.cloud.app, CaseId("invoices", reference)
    done = Document(index=0, name="invoice.pdf", key="k", document_id=f"doc-{reference}", finished=True, pages=2)
    app.cases.put_documents(names, [done], fresh=False)
    visitor.dossier.change("invoices", reference, status=CaseStatus.COMPLETED, completed_at=now())


def resumed(visitor: Visitor) -> list[str]:
    """Return the references of cases that were sent back to work."""
    inputs = [json.loads(each.execution_input) for each in visitor.dossier.executions()]
    return sorted(each["reference"] for each in inputs if each.get("resume"))


def last(visitor: Visitor) -> dict[str, Any]:
    """Return the last entry of the trail, without its id and times."""
    return {name: each for name, each in visitor.trail()[-1].items() if name not in {"id", "at", "ended_at"}}


def test_a_failed_case_is_redriven(accepted: Visitor) -> None:
    """From its own page, which says so afterwards."""
    fail(accepted, "INV-1")
    assert "Redrive this case" in accepted.get(CASE)
    text = text_of(accepted.post(f"{CASE}/redrive").text)
    assert text.startswith("INV-1 is resumed where it stopped.")
    assert resumed(accepted) == ["INV-1"]
    entry = last(accepted)
    assert entry["outcome"].pop("execution_arn").startswith("arn:aws:states:")
    assert entry == {"who": WHO, "action": "redrive", "about": NAMES, "outcome": {"done": True}}


def test_a_case_is_cancelled(accepted: Visitor) -> None:
    """Its page shows what the vendor may bill."""
    text = text_of(accepted.post(f"{CASE}/cancel").text)
    assert "INV-1 is cancelled; its stored data stays." in text
    assert accepted.dossier.case("invoices", "INV-1").record.status is CaseStatus.CANCELLED
    assert last(accepted)["outcome"] == {"done": True, "billed": [], "in_doubt": []}


def test_an_ended_case_is_collected_again(accepted: Visitor) -> None:
    """By its own execution."""
    end(accepted, "INV-1")
    assert "INV-1 is being collected again." in accepted.post(f"{CASE}/refresh").text
    assert [json.loads(each.execution_input).get("refresh") for each in accepted.dossier.executions()][-1] == 1
    assert last(accepted)["action"] == "refresh"


@pytest.mark.parametrize(
    ("action", "why"),
    [("redrive", "only a failed case"), ("refresh", "cannot be collected"), ("stop", "is not stuck")],
)
def test_an_action_that_does_not_fit_says_why(accepted: Visitor, action: str, why: str) -> None:
    """The page offers none; one that comes all the same changes nothing, and the trail has the attempt."""
    assert f"{CASE}/{action}" not in accepted.get(CASE)
    assert why in text_of(accepted.post(f"{CASE}/{action}", 409).text)
    assert last(accepted)["outcome"]["done"] is False
    assert accepted.dossier.case("invoices", "INV-1").record.status is CaseStatus.ACCEPTED


def test_a_case_that_nothing_works_on_is_stopped(accepted: Visitor) -> None:
    """The page says that this is a fault, and stops the execution; the event of its end records the failure."""
    app, at = accepted.dossier.cloud.app, now() - timedelta(hours=1)
    accepted.dossier.change("invoices", "INV-1", status=CaseStatus.WAITING)
    accepted.dossier.cloud.session.client("dynamodb").update_item(
        TableName=app.environment.table,
        Key={"pk": {"S": "CASE#invoices#INV-1"}, "sk": {"S": "CASE"}},
        UpdateExpression="SET updated_at = :at",
        ExpressionAttributeValues={":at": {"S": iso(at)}},
    )
    assert "This is a fault of Dossier" in accepted.main(CASE)
    text = text_of(accepted.post(f"{CASE}/stop").text)
    assert text.startswith("The execution of INV-1 is stopped. Once the case has failed, redrive it.")
    arn = accepted.dossier.case("invoices", "INV-1").record.execution_arn
    assert app.executions.status(arn) == "ABORTED"
    assert last(accepted)["about"] == {**NAMES, "execution_arn": arn}


@pytest.mark.parametrize("answer", ["retry", "give_up"])
def test_a_question_is_answered(accepted: Visitor, answer: str) -> None:
    """Each choice says what it risks; the answer reaches the execution."""
    accepted.dossier.ask("invoices", "INV-1", "upload-0")
    page = text_of(accepted.get(CASE))
    assert page.count("as it created?") == 1  # in the sentence, and not again in the question
    assert page.count("Risk:") == 3
    accepted.post(f"{CASE}/resolve", question="upload-0", answer=answer)
    assert accepted.dossier.answers["token-upload-0"] == (True if answer == "retry" else "GivenUpError")
    assert last(accepted)["about"] == {**NAMES, "question": "upload-0", "answer": answer, "id": None}


def test_an_id_is_looked_up_before_anything_is_stored(accepted: Visitor) -> None:
    """As ``dossier resolve --use`` does: where this machine cannot ask, the page says who will."""
    accepted.dossier.ask("invoices", "INV-1", "upload-0")
    text = text_of(accepted.post(f"{CASE}/resolve", question="upload-0", answer="use", id="doc-9").text)
    assert "INV-1 continues with doc-9." in text
    assert "cannot look doc-9 up from here" in text


@pytest.mark.parametrize("fields", [{}, {"answer": "maybe"}, {"answer": "use"}, {"answer": "retry", "question": "x"}])
def test_an_answer_that_is_none_changes_nothing(accepted: Visitor, fields: dict[str, str]) -> None:
    """The question stays open."""
    accepted.dossier.ask("invoices", "INV-1", "upload-0")
    accepted.post(f"{CASE}/resolve", 400, **fields)
    assert accepted.dossier.answers == {}
    assert len(accepted.dossier.case("invoices", "INV-1").questions) == 1


def test_a_connection_is_paused_and_goes_on(accepted: Visitor) -> None:
    """With a reason for the colleagues, and the caller's ARN beside it."""
    limiter = accepted.dossier.cloud.app.limiter
    accepted.http.post(
        "/connections/invoices/pause",
        data={"csrf": accepted.session.csrf, "reason": "the vendor migrates"},
        headers={"origin": "http://127.0.0.1:4790"},
        follow_redirects=False,
    )
    hold = limiter.held("invoices")
    assert hold is not None
    assert (hold.by, hold.reason) == (WHO, "the vendor migrates")
    assert "the vendor migrates" in accepted.main("/cases")
    assert last(accepted)["about"] == {"connection": "invoices", "reason": "the vendor migrates"}
    accepted.http.post(
        "/connections/invoices/resume",
        data={"csrf": accepted.session.csrf},
        headers={"origin": "http://127.0.0.1:4790"},
        follow_redirects=False,
    )
    assert limiter.held("invoices") is None
    assert last(accepted)["action"] == "resume"


def test_the_outcome_of_an_action_is_shown_once(accepted: Visitor) -> None:
    """Not when the page is loaded again, and not on another one that has the same number in its address."""
    done = accepted.post("/cases/invoices/INV-1/cancel")
    assert "INV-1 is cancelled" in done.text
    assert "INV-1 is cancelled" not in accepted.get(f"{done.url.path}?{done.url.query.decode()}")


def test_a_page_that_answers_an_action_has_an_address(accepted: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """So back and reload show it again, with its status; it names the page that the form was on."""
    monkeypatch.setattr("console.desk.MOST_ANSWERS", 2)
    planned = accepted.post("/bulk", action="cancel", case="invoices/INV-1").url.path
    assert "Cancel 1 case?" in accepted.main(planned)
    refused = accepted.post("/cases/invoices/INV-1/redrive", 409)
    assert '<a href="/cases/invoices/INV-1">Back to INV-1</a>' in accepted.get(refused.url.path, 409)
    assert "Cancel 1 case?" in accepted.main(planned)
    accepted.post("/connections/invoices/pause", 400)
    assert "has expired" in accepted.get(planned, 404)


def test_an_action_that_cannot_be_recorded_does_not_happen(accepted: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trail is written first."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("audit/")

    fail(accepted, "INV-1")
    monkeypatch.setattr(type(accepted.dossier.cloud.app.objects), "write", refused)
    with pytest.raises(PermissionError):
        accepted.post(f"{CASE}/redrive", 500)
    assert resumed(accepted) == []


# many cases -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def several(visitor: Visitor, invoice: Path) -> Visitor:
    """Return somebody with the console of a deployment with two failed cases, one completed, one under way."""
    for reference in ("INV-1", "INV-2", "INV-3", "INV-4"):
        submit(visitor, invoice, reference)
    fail(visitor, "INV-1")
    fail(visitor, "INV-2")
    end(visitor, "INV-3")
    return visitor


def wait(visitor: Visitor, path: str) -> str:
    """Wait for a bulk action to end; return what its page says then."""
    for _ in range(600):
        text = visitor.main(path)
        if "Finished." in text:
            return text
        Event().wait(0.05)
    raise AssertionError(text)


def test_the_first_page_changes_nothing_and_says_what_would_happen(several: Visitor) -> None:
    """How many, what is left and why, what the vendor gets, and what it costs."""
    cases = ["invoices/INV-1", "invoices/INV-2", "invoices/INV-3"]
    text = text_of(several.post("/bulk", action="redrive", case=cases).text)
    assert "Redrive 2 cases? Nothing has changed yet." in text
    assert "Left as they are 1" in text
    assert "Pages that the vendor gets 2" in text
    assert "The vendor may bill unknown" in text
    assert "1 case: not failed" in text
    assert "AWS, at most $0.0010" in text
    assert resumed(several) == []
    assert several.trail() == []


@pytest.mark.parametrize(("action", "number"), [("redrive", 2), ("cancel", 1), ("refresh", 1), ("dismiss", 2)])
def test_by_filter_every_case_that_fits_is_planned(several: Visitor, action: str, number: int) -> None:
    """Those that the action does not fit are left, each with its reason."""
    page = several.post("/bulk", all=action, filter="connection=invoices").text
    text = text_of(page)
    assert '<a href="/cases?connection=invoices">Back, and change nothing</a>' in page
    assert f"{number} case" in text
    assert f"Left as they are {4 - number}" in text
    assert several.trail() == []


def test_a_bulk_redrive_does_what_was_shown(several: Visitor) -> None:
    """Case by case in the background; each is in the trail; what fails holds up no other."""
    several.dossier.cloud.app.table.update("CASE#invoices#INV-2", "CASE", {"fingerprint": "x?"})
    page = several.post("/bulk", all="redrive", filter="status=failed").text
    named = [part.partition('"')[0] for part in page.split('name="case" value="')[1:]]
    assert sorted(named) == ["invoices/INV-1", "invoices/INV-2"]
    path = several.post("/bulk/run", action="redrive", case=named).url.path
    text = wait(several, path)
    assert "1 of 2 done, 1 failed. Finished." in text
    assert "INV-2" in text.partition("Failed cases")[2]
    assert resumed(several) == ["INV-1"]
    outcomes = {each["about"]["reference"]: each["outcome"]["done"] for each in several.trail()}
    assert outcomes == {"INV-1": True, "INV-2": False}


@pytest.mark.parametrize(
    ("action", "case", "status"),
    [("cancel", "INV-4", CaseStatus.CANCELLED), ("refresh", "INV-3", CaseStatus.COMPLETED)],
)
def test_other_bulk_actions(several: Visitor, action: str, case: str, status: CaseStatus) -> None:
    """Each does what the case's own page does."""
    path = several.post("/bulk/run", action=action, case=f"invoices/{case}").url.path
    assert "1 of 1 done." in wait(several, path)
    assert several.dossier.case("invoices", case).record.status is status
    assert [each["action"] for each in several.trail()] == [action]


def test_dismissed_cases_leave_the_list_of_failures(several: Visitor) -> None:
    """As ``dossier redrive --dismiss`` does."""
    path = several.post("/bulk/run", action="dismiss", case=["invoices/INV-1"]).url.path
    wait(several, path)
    assert several.dossier.case("invoices", "INV-1").record.dismissed_at is not None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/bulk", {"action": "redrive"}),
        ("/bulk", {"action": "explode", "case": "invoices/INV-1"}),
        ("/bulk", {"case": "invoices/INV-1"}),
        ("/bulk", {"action": "redrive", "case": "nonsense"}),
        ("/bulk", {"all": "redrive", "filter": "status=completed&text=nothing"}),
        ("/bulk/run", {"action": "redrive"}),
        ("/bulk/run", {"action": "explode", "case": "invoices/INV-1"}),
    ],
)
def test_a_form_without_cases_or_action_is_refused(several: Visitor, path: str, fields: dict[str, str]) -> None:
    """With a page that says what lacks."""
    several.post(path, 400, **fields)
    assert several.trail() == []


def test_too_many_cases_do_not_go_at_once(visitor: Visitor) -> None:
    """The limit is named."""
    text = text_of(visitor.post("/bulk", 400, action="redrive", case=[f"invoices/R-{n}" for n in range(1001)]).text)
    assert "an action takes at most 1000" in text


def test_more_cases_than_one_action_takes_are_reported(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody believes that all were done."""
    monkeypatch.setattr("console.bulk.MOST", 3)
    for number in range(5):
        at = now() - timedelta(minutes=number)
        record = CaseRecord(
            connection="invoices", reference=f"R-{number}", vendor="docustack", status=CaseStatus.FAILED,
            fingerprint="f", execution_arn="arn", submitted_at=at, updated_at=at,
        )  # fmt: skip
        visitor.dossier.cloud.app.cases.claim(record)
    text = text_of(visitor.post("/bulk", all="redrive", filter="status=failed").text)
    assert "Redrive 3 cases?" in text
    assert "More cases match" in text


def test_a_plan_to_cancel_says_what_the_vendor_has(several: Visitor) -> None:
    """Pages that it has are pages that it may bill; where it has none, it bills nothing."""
    plan = {"action": "cancel", "case": "invoices/INV-4"}
    text = text_of(several.post("/bulk", **plan).text)
    assert "Pages that the vendor has 0 The vendor may bill $0.00" in text
    assert "1 case: stopped; the vendor has nothing of it" in text
    sent = Document(index=0, name="invoice.pdf", key="k", document_id="doc-4", pages=3)
    several.dossier.cloud.app.cases.put_documents(CaseId("invoices", "INV-4"), [sent], fresh=False)
    text = text_of(several.post("/bulk", **plan).text)
    assert "Pages that the vendor has 3 The vendor may bill unknown" in text
    assert "1 case: stopped; the vendor may bill what it has" in text
