"""A case's history in one order: records, states with their tries, deliveries, vendor calls, pauses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from dossier.calls import CALL
from dossier.models import Document
from dossier.steps.timeline import Delivered, Entry, History, Line, timeline
from dossier.stores.cases import Case, Question, RevisionRecord
from dossier.stores.limiter import Hold
from dossier.stores.waits import Wait
from tests.records import record

BEGAN = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time after the beginning."""
    return BEGAN + timedelta(seconds=seconds)


def case(**changes: Any) -> Case:
    """Return a case with one document."""
    kept = record(**{"submitted_at": BEGAN, "updated_at": BEGAN, "status": "waiting", **changes})
    return Case(record=kept, documents=(Document(index=0, name="a.pdf", key="k", document_id="d1"),))


def numbered(*events: tuple[float, str, int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as Step Functions gives them: when, type, the event before, details."""
    return [
        {"id": number, "timestamp": at(seconds), "type": kind, "previousEventId": before, **details}
        for number, (seconds, kind, before, details) in enumerate(events, start=1)
    ]


def entered(name: str) -> dict[str, Any]:
    """Return the details of a state that is entered."""
    return {"stateEnteredEventDetails": {"name": name}}


def left(name: str) -> dict[str, Any]:
    """Return the details of a state that is left."""
    return {"stateExitedEventDetails": {"name": name}}


FAILED = {"lambdaFunctionFailedEventDetails": {"error": "VendorUnavailableError"}}
EVENTS = numbered(
    (0, "ExecutionStarted", 0, {}),
    (0.1, "TaskStateEntered", 1, entered("Accept")),
    (0.2, "LambdaFunctionScheduled", 2, {}),
    (0.9, "LambdaFunctionSucceeded", 3, {}),
    (1, "TaskStateExited", 4, left("Accept")),
    (1, "ChoiceStateEntered", 5, entered("Submitted Before?")),
    (1, "ChoiceStateExited", 6, left("Submitted Before?")),
    (1, "MapStateEntered", 7, entered("Upload")),
    (1, "TaskStateEntered", 8, entered("Upload Documents")),
    (1.1, "LambdaFunctionScheduled", 9, {}),
    (1, "TaskStateEntered", 8, entered("Upload Documents")),
    (1.2, "LambdaFunctionScheduled", 11, {}),
    (2, "LambdaFunctionFailed", 10, FAILED),
    (3, "LambdaFunctionScheduled", 13, {}),
    (4, "TaskStateExited", 12, left("Upload Documents")),
    (9, "TaskStateExited", 14, left("Upload Documents")),
)


def states(entries: list[Entry]) -> Iterator[tuple[str, float | None, int, dict[str, int]]]:
    """Yield the states with their seconds, tries and errors."""
    for each in entries:
        if "state" in each.details:
            seconds = None if each.seconds is None else round(each.seconds, 3)
            yield each.details["state"], seconds, each.details["tries"], each.details["errors"]


def test_each_state_has_its_time_its_tries_and_its_errors() -> None:
    """Two iterations of a map at the same time do not mix theirs, and a choice takes no line."""
    found = timeline(case(), histories=[History("R-1", EVENTS)])
    assert list(states(found)) == [
        ("Accept", 0.9, 1, {}),
        ("Upload", None, 0, {}),
        ("Upload Documents", 8.0, 2, {"VendorUnavailableError": 1}),
        ("Upload Documents", 3.0, 1, {}),
    ]
    shown = [each.what for each in found if each.source == "execution"]
    assert "Upload Documents, 2 tries: VendorUnavailableError" in shown
    assert "Upload, not left yet" in shown


def test_history_without_links_between_events_is_read_in_order() -> None:
    """The local AWS names no previous event."""
    events = [{name: value for name, value in each.items() if name != "previousEventId"} for each in EVENTS[:7]]
    found = timeline(case(), histories=[History("R-1", events)])
    assert list(states(found)) == [("Accept", 0.9, 1, {})]


def test_end_of_an_execution_has_its_error() -> None:
    """A failed execution says by which error."""
    events = [
        *EVENTS[:2],
        {
            "id": 3,
            "timestamp": at(5),
            "type": "ExecutionFailed",
            "executionFailedEventDetails": {"error": "UnauthorizedError"},
        },
    ]
    found = timeline(case(), histories=[History("R-1", events)])
    assert found[-1].what == "execution R-1 ends: failed (UnauthorizedError)"


def test_everything_is_in_one_order() -> None:
    """Submission, a pause, a call, a delivery, a question, a revision and the end."""
    ended = case(status="completed", completed_at=at(60))
    whole = ended.model_copy(
        update={
            "questions": (Question(what="upload-0", text="was it sent?", token="t", asked_at=at(20)),),
            "revisions": (RevisionRecord(number=1, status="completed", collected_at=at(50)),),
        }
    )
    call = {"message": CALL, "call": "GET /documents/d1", "status": 200, "ms": 120}
    found = timeline(
        whole,
        holds=[
            Hold(at(10), "ada", "budget", at(15)),
            Hold(at(-900), "ada", "before the case", at(-800)),
            Hold(at(900), "ada", "after the case"),
        ],
        deliveries=[Delivered("x", at(30), "accepted", "document_completed", ("d1",))],
        lines=[
            Line(at(5), "poll", call),
            Line(at(40), "poll", {**call, "status": None, "error": "VendorUnavailableError"}),
            Line(at(45), "publish", {"message": "published", "level": "WARNING"}),
        ],
    )
    assert [(each.source, each.what) for each in found] == [
        ("record", "submitted to invoices with 1 document"),
        ("call", "GET /documents/d1: 200"),
        ("record", "invoices is paused by ada: budget"),
        ("record", "waits for an operator: was it sent?"),
        ("delivery", "delivery document_completed accepted about d1"),
        ("call", "GET /documents/d1: VendorUnavailableError"),
        ("log", "publish: published"),
        ("record", "revision 1 collected"),
        ("record", "ended as completed"),
    ]
    assert (found[1].seconds, found[2].seconds) == (0.12, 5.0)
    assert found[1].as_json()["status"] == 200


def test_wait_says_why_and_until_when() -> None:
    """A case that waits has its wait in the list, with the next poll."""
    wait = Wait(
        connection="invoices",
        reference="INV-1",
        phase="documents",
        token="t",
        seq=1,
        attempts=3,
        polled_at=at(20),
        next_at=at(30),
        deadline=at(3600),
        started_at=at(2),
    )
    found = timeline(case(), wait=wait)
    assert found[-1].what == (
        "waits for the vendor since then, 3 polls answered; the next poll is at 2026-05-04T10:00:30.000Z"
    )
