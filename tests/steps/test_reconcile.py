"""The invariants of cases, executions, waits, queues and S3."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus, Document, now
from dossier.steps.poll import poll
from dossier.steps.reconcile import STUCK, UNATTENDED, Findings
from dossier.steps.sweep import sweep
from dossier.steps.wake import nudge
from dossier.stores.cases import ArtifactRecord
from dossier.stores.limiter import TRIP
from dossier.stores.waits import HeldStep
from tests.conftest import Cloud
from tests.machine import World
from tests.records import record
from tests.steps.state import LATER, State


@pytest.fixture
def state(cloud: Cloud) -> State:
    """Return an empty deployment."""
    return State(cloud)


def test_a_healthy_deployment_has_no_findings(state: State) -> None:
    """Cases that run, wait and are polled are left alone."""
    state.case("INV-1", "accepted")
    state.case("INV-2")
    state.wait("INV-2", first=900)
    assert state.check() == Findings()
    assert (state.status("INV-1"), state.status("INV-2")) == (CaseStatus.ACCEPTED, CaseStatus.WAITING)


@pytest.mark.parametrize("status", ["accepted", "uploading", "waiting", "processing", "downloading", "needs_attention"])
def test_a_case_whose_execution_ended_is_failed(state: State, status: str) -> None:
    """Whatever it was doing, the case ends with the execution's reason, result and event, and no longer waits."""
    arn = state.case(status=status, case_id="case__1")
    documents = [Document(index=number, name=f"{number}.pdf", key=f"k{number}") for number in range(3)]
    state.app.cases.put_documents(CaseId("invoices", "INV-1"), documents, fresh=True)
    state.wait()
    state.stop(arn, error="OperatorStopped", cause=json.dumps({"errorMessage": "stopped for the night"}))
    [line] = state.check().healed
    assert line == "case INV-1 at invoices: stopped for the night"
    case = state.app.cases.get(CaseId("invoices", "INV-1")).record
    assert (case.status, case.error, case.reason) == (CaseStatus.FAILED, "OperatorStopped", "stopped for the night")
    assert not case.refused
    assert state.app.waits.find(CaseId("invoices", "INV-1")) is None
    result = json.loads(state.app.objects.read("cases/invoices/INV-1/result.json") or b"")
    assert (result["status"], len(result["documents"])) == ("failed", 3)
    assert state.check() == Findings()


def test_an_execution_that_is_gone_fails_its_case(state: State) -> None:
    """AWS deletes executions after 90 days; the case's reason says so."""
    state.app.cases.claim(record(execution=state.executions.arn_of("forgotten"), status="uploading"))
    state.check()
    case = state.app.cases.get(CaseId("invoices", "INV-1")).record
    assert case.status is CaseStatus.FAILED
    assert "no longer exists" in str(case.reason)


def test_execution_without_a_cause_gets_a_reason(state: State) -> None:
    """An abort without a cause is reported as an abort."""
    state.stop(state.case())
    reason = "its execution ended as ABORTED, and the reason was not recorded"
    assert state.check().healed == [f"case INV-1 at invoices: {reason}"]


def test_execution_that_just_ended_is_ignored(state: State) -> None:
    """The event of an ended execution gets time to arrive, so that the failure is reported once."""
    state.stop(state.case())
    assert state.check(timedelta(seconds=90)) == Findings()
    assert state.status() is CaseStatus.WAITING


def test_old_cases_are_not_walked_through(state: State) -> None:
    """The check looks as far back as a case can be under way."""
    state.stop(state.case(submitted_at=now() - timedelta(days=2)))
    assert state.check() == Findings()


@pytest.mark.parametrize("status", ["waiting", "processing"])
def test_unpolled_case_is_counted(state: State, status: str) -> None:
    """Not at first, because it may be between two states, but once nothing has happened for ten minutes."""
    state.case(status=status)
    assert state.check(LATER) == Findings()
    assert state.check(LATER + UNATTENDED / 2) == Findings()
    [line] = state.check(LATER + UNATTENDED).unattended
    assert line == f"case INV-1 at invoices is {status}, but is not polled"
    state.wait(first=900)
    assert state.check(LATER + UNATTENDED) == Findings()


def test_a_case_between_two_states_is_not_counted(state: State) -> None:
    """Any change of the case restarts the period: it was only seen at an unlucky moment, twice."""
    state.case()
    state.check(timedelta(minutes=3))
    state.app.cases.mark(CaseId("invoices", "INV-1"), updated_at=now() + timedelta(minutes=4))
    assert state.check(timedelta(minutes=14)).unattended == []
    assert state.check(timedelta(minutes=24)).unattended != []


def test_stuck_poll_queue_is_counted(state: State) -> None:
    """Messages are there, their waits are late, and nothing was polled."""
    state.case()
    state.wait()
    assert state.check(STUCK / 2).stuck == []
    assert state.check(STUCK).stuck == ["queue poll-invoices has 1 message and 1 late wait, but none is polled"]


def polls(state: State) -> None:
    """Another wait is polled."""
    state.case("INV-2")
    state.wait("INV-2")
    wait = state.app.waits.find(CaseId("invoices", "INV-2"))
    assert wait is not None
    state.app.waits.postpone(wait, 5, answered=True)


def finishes(state: State) -> None:
    """Another case has been polled for the last time."""
    state.case("INV-2", "downloading", waited_from=now())


def empties(state: State) -> None:
    """The message is taken."""
    assert state.cloud.messages("poll-invoices")


@pytest.mark.parametrize("happens", [polls, finishes, empties])
def test_progressing_queue_is_not_stuck(state: State, happens: Callable[[State], None]) -> None:
    """However long it is: some wait was polled, some case continued, or the queue is empty."""
    state.case()
    state.wait(first=-STUCK.total_seconds())
    assert state.check(STUCK / 2).stuck != []
    happens(state)
    assert state.check(STUCK / 2).stuck == []


def test_stuck_wake_queue_is_counted(state: State) -> None:
    """Deliveries are queued, and no case was woken lately."""
    state.case()
    state.app.queues.send("wake", {"connection": "invoices", "delivery": "key"})
    assert state.check().stuck == ["queue wake has 1 message, but no case was woken recently"]
    nudge(CaseId("invoices", "INV-1"), context=state.context)
    assert state.check(timedelta(minutes=5)).stuck == []


def test_stuck_drop_queue_is_counted(state: State) -> None:
    """Files have landed, and no case was submitted lately: full of work, and nothing starts."""
    state.case()
    state.app.queues.send("drop", {"Records": []})
    assert state.check().stuck == ["queue drop has 1 message, but no case was submitted recently"]
    assert state.check(timedelta(minutes=5)).stuck == []


def finish(state: State, reference: str, **changes: Any) -> None:
    """Store a case that has completed, with an artifact in S3."""
    values = {"completed_at": now(), **changes}
    state.case(reference, "completed", **values)
    key = f"cases/invoices/{reference}/artifacts/out.json"
    state.cloud.put(key, b"{}")
    artifact = ArtifactRecord(index=0, name="out.json", source="s", key=key, size=2)
    state.app.cases.put_artifact(CaseId("invoices", reference), artifact)


def test_missing_artifact_is_counted(state: State) -> None:
    """Artifacts that the table lists must be in S3."""
    finish(state, "INV-1")
    finish(state, "INV-2")
    assert state.check().missing == []
    state.cloud.session.client("s3").delete_object(Bucket="artifacts", Key="cases/invoices/INV-2/artifacts/out.json")
    assert state.check().missing == ["case INV-2 at invoices: cases/invoices/INV-2/artifacts/out.json is missing"]


def test_lost_webhooks_are_a_share_of_finished_cases(state: State) -> None:
    """A case counts once it has had time to get one; what Dossier did not submit itself does not."""
    for number in range(3):
        finish(state, f"INV-{number}")
    finish(state, "INV-3", appends_to="case__1")
    nudge(CaseId("invoices", "INV-0"), context=state.context)
    assert state.check(timedelta(minutes=1)).lost_webhooks == {}
    assert state.check().lost_webhooks == {"docustack": 67}
    settings = state.connections["invoices"]
    state.connections["invoices"] = settings.model_copy(update={"webhook": None})
    assert state.check().lost_webhooks == {}


def test_the_overview_has_each_connection_in_numbers(state: State) -> None:
    """Cases under way, cases that ended within the hour, and the time from the last delivery to the result."""
    state.case("INV-1", "uploading")
    state.case("INV-2")
    state.wait("INV-2")
    nothing = dict.fromkeys(("accepted", "downloading", "needs_attention", "processing"), 0)
    quiet = {"breaker_open": 0, "paused": 0, "rate_used_percent": 0}
    overview = state.check().overview
    assert sorted(overview) == sorted(state.connections)
    assert overview["invoices"] == {
        **nothing, **quiet, "uploading": 1, "waiting": 1, "completed_last_hour": 0, "failed_last_hour": 0,
        "oldest_wait_minutes": round(LATER.total_seconds() / 60), "late_polls": 1, "lost_webhooks_percent": 0,
    }  # fmt: skip
    for reference, seconds in (("DONE-1", 1), ("DONE-2", 2), ("DONE-3", 9)):
        finish(state, reference)
        ended_at = state.app.cases.get(CaseId("invoices", reference)).record.completed_at
        assert ended_at is not None
        state.app.cases.mark(CaseId("invoices", reference), woken=ended_at - timedelta(seconds=seconds))
    finish(state, "DONE-4")
    ended = state.check().overview["invoices"]
    assert (ended["completed_last_hour"], ended["delivery_to_result_ms"], ended["lost_webhooks_percent"]) == (
        4,
        2000,
        25,
    )
    state.context.limiter.hold("invoices", by="ops", reason="a test")
    assert state.check().overview["invoices"]["paused"] == 1


def test_delivery_marks_its_case_in_any_status(state: State) -> None:
    """Waiting, not waiting yet, or ended: the mark changes neither status nor times."""
    for status in ("waiting", "uploading", "completed"):
        reference = f"INV-{status}"
        state.case(reference, status, updated_at="2026-01-01T00:00:00.000Z")
        if status == "waiting":
            state.wait(reference)
        nudge(CaseId("invoices", reference), context=state.context)
        case = state.app.cases.get(CaseId("invoices", reference)).record
        assert case.woken is not None
        assert case.status == status
        assert (case.updated_at == datetime(2026, 1, 1, tzinfo=UTC)) == (status != "uploading")


def test_dead_wait_is_removed(cloud: Cloud) -> None:
    """A wait far past its deadline with a dead token is swept, polled once, and deleted."""
    world = World(cloud, seconds=3600)
    waits = cloud.app.waits
    cloud.app.cases.claim(record(status="waiting"))
    document = Document(index=0, name="a.pdf", key="k", document_id="doc_1")
    cloud.app.cases.put_documents(CaseId("invoices", "INV-1"), [document], fresh=True)
    waits.start(CaseId("invoices", "INV-1"), phase="documents", token="dead", first=-7200, deadline=-3600)
    world.tokens.answers["dead"] = "answered long ago"
    assert cloud.messages("poll-invoices")
    assert sweep(["invoices"], context=world.context) == 1
    [message] = [json.loads(body) for body in cloud.messages("poll-invoices")]
    poll(CaseId(message["connection"], message["reference"]), message["seq"], context=world.context)
    assert waits.find(CaseId("invoices", "INV-1")) is None
    assert sweep(["invoices"], context=world.context) == 0


def test_vendor_that_keeps_failing_is_reported(state: State) -> None:
    """Not its first failures: five minutes of an open breaker."""
    for _ in range(TRIP):
        state.app.limiter.failed("invoices", "ConnectError")
    assert state.check(timedelta(minutes=2)).failing == []
    found = state.check(timedelta(minutes=6))
    assert found.counts["VendorsFailing"] == 1
    assert re.fullmatch(r"the vendor of invoices has failed since .*: ConnectError", found.failing[0])
    state.app.limiter.succeeded("invoices")
    assert state.check(timedelta(minutes=6)).failing == []


def test_rejected_key_is_reported_while_cases_wait(state: State) -> None:
    """The operator is alarmed within the ten minutes after which the cases fail."""
    state.case()
    state.wait(first=3600, deadline=86_400)
    assert state.check(timedelta(minutes=5)).keyless == []
    wait = state.app.waits.find(CaseId("invoices", "INV-1"))
    assert wait
    state.app.waits.postpone(wait, 3600, refused_at=now())
    found = state.check(timedelta(minutes=5))
    assert found.counts["KeysRefused"] == 1
    assert "`dossier secrets set invoices`" in found.lines[0]


def test_wait_that_is_nearly_over_is_reported(state: State) -> None:
    """A slow vendor is seen before its cases fail; time in an operator's pause does not count."""
    state.case()
    state.wait(first=3600, deadline=3600)
    assert state.check(timedelta(minutes=30)).counts["LongestWaitPercent"] == 50
    found = state.check(timedelta(minutes=57))
    assert found.counts["LongestWaitPercent"] == 95
    assert "case INV-1 at invoices has waited 95 % of its deadline" in found.lines


def test_pause_that_lasts_is_reported(state: State) -> None:
    """An operator may have forgotten it; other findings about the connection wait until it is over."""
    state.case()
    state.wait(first=3600, deadline=3600)
    state.app.limiter.hold("invoices", by="ada", reason="the budget is spent")
    assert state.check(timedelta(hours=23)).counts["ConnectionsPaused"] == 0
    found = state.check(timedelta(hours=25))
    assert (found.counts["ConnectionsPaused"], found.counts["LongestWaitPercent"]) == (1, 0)
    assert "by ada: the budget is spent" in found.paused[0]


def test_held_step_is_not_unattended(state: State) -> None:
    """A case that waits for the end of a pause has no wait, and that is not a fault."""
    state.case()
    state.app.waits.hold(HeldStep(connection="invoices", reference="INV-1", what="Collect", token="t1", since=now()))
    for minutes in (30, 60, 90):
        assert state.check(timedelta(minutes=minutes)).unattended == []


def test_case_without_a_next_event_is_counted(state: State) -> None:
    """A step without a sign of life for longer than its retries: no next event can be named."""
    state.case(status="uploading")
    assert state.check(timedelta(hours=16)).unexplained == []
    found = state.check(timedelta(hours=18))
    assert found.counts["CasesUnexplained"] == 1
    assert "case INV-1 at invoices: the case is uploading since" in found.unexplained[0]


def test_step_of_a_removed_connection_ends_its_pause(state: State) -> None:
    """A removed connection cannot be resumed: its held steps fail as its waits do."""
    state.case()
    step = HeldStep(connection="invoices", reference="INV-1", what="Collect", token="t1", since=now())
    state.app.waits.hold(step)
    del state.connections["invoices"]
    state.check(timedelta(minutes=1))
    found = state.check(timedelta(hours=2))
    assert any("is no longer paused" in each for each in found.ended)
    assert not list(state.app.waits.held_steps("invoices"))
