"""A connection is removed from the settings, renamed, split: no case is lost, and each ends."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from dossier.errors import ConfigurationError
from dossier.models import CaseId, CaseStatus, now
from dossier.steps.publish import fail
from dossier.steps.reconcile import MISSED, UNATTENDED, Findings, reconcile
from dossier.steps.wait import wait
from dossier.steps.wake import wake
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.records import record
from tests.steps.state import State

FILES = samples("invoice.pdf")
GONE = MISSED + timedelta(minutes=5)


@pytest.fixture
def state(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> State:
    """Return a deployment that notes with which error each task token is failed."""
    it = State(cloud)
    it.failed = {}  # type: ignore[attr-defined]

    def failed(token: str, error: Exception) -> bool:
        it.failed[token] = error  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr(it.executions, "fail", failed)
    return it


def failures(state: State) -> dict[str, Exception]:
    """Return the errors that task tokens were failed with."""
    found: dict[str, Exception] = state.failed  # type: ignore[attr-defined]
    return found


def without(state: State, name: str) -> None:
    """Deploy without a connection."""
    del state.connections[name]


def test_a_wait_of_a_removed_connection_ends_with_a_reason(state: State) -> None:
    """It is not polled, because its queue is gone: it ends after an hour, and its reason says how to resume it."""
    state.case()
    state.wait(first=900)
    state.check()
    without(state, "invoices")
    assert state.check() == Findings()
    assert state.check(timedelta(minutes=30) + MISSED / 2) == Findings()
    [line] = state.check(timedelta(minutes=30) + MISSED).ended
    assert line.startswith('case INV-1 at invoices no longer waits: connection "invoices" is no longer in the settings')
    [error] = failures(state).values()
    assert isinstance(error, ConfigurationError)
    assert "deploy it again, then run `dossier redrive`" in str(error)
    assert state.app.waits.find(CaseId("invoices", "INV-1")) is None
    assert state.check(timedelta(minutes=30) + MISSED).ended == []


def test_a_connection_that_is_back_within_the_hour_loses_nothing(state: State) -> None:
    """A deployment with the wrong file, and another one that fixes it: the hour begins anew the next time."""
    state.case()
    state.wait(first=900)
    settings = state.connections["invoices"]
    without(state, "invoices")
    state.check()
    state.connections["invoices"] = settings
    state.check(timedelta(minutes=35))
    without(state, "invoices")
    assert state.check(timedelta(minutes=30) + MISSED).ended == []
    assert failures(state) == {}
    assert state.app.waits.find(CaseId("invoices", "INV-1")) is not None


def test_a_case_of_a_removed_connection_is_failed_when_its_execution_ends(state: State) -> None:
    """The state machine and the check both record it, with result and event, even without the connection's settings."""
    stopped = state.case("INV-1", "uploading")
    ended = state.case("INV-2", "waiting")
    without(state, "invoices")
    app = state.app
    case = {"connection": "invoices", "reference": "INV-2", "case_id": "c"}
    fail(
        case,
        ended,
        "States.Timeout",
        "so it is",
        context=state.context,
    )
    assert state.status("INV-2") is CaseStatus.FAILED
    assert json.loads(app.objects.read("cases/invoices/INV-2/result.json") or b"")["status"] == "failed"
    state.stop(stopped)
    assert len(state.check().healed) == 1
    assert state.status("INV-1") is CaseStatus.FAILED


def test_unpolled_case_of_a_removed_connection_is_counted(state: State) -> None:
    """Its wait is lost and its execution still runs."""
    state.case()
    without(state, "invoices")
    state.check()
    state.check(timedelta(minutes=35))
    assert len(state.check(timedelta(minutes=35) + UNATTENDED).unattended) == 1


def test_a_connection_is_known_from_its_first_case_on(cloud: Cloud) -> None:
    """However short it was deployed: the check need not have seen it."""
    cloud.app.cases.claim(record(status="accepted"))
    assert cloud.app.cases.connections() == {"invoices": None}
    fresh = type(cloud.app.cases)(cloud.app.table)
    fresh.gone("invoices", "2026-01-31T12:00:00.000Z")
    fresh.claim(record(reference="INV-2", status="accepted"))
    assert fresh.connections() == {"invoices": None}


def test_a_deployed_connection_is_known_before_its_next_case(state: State) -> None:
    """The check also finds cases of an earlier version, which did not record the connection."""
    state.check()
    assert set(state.app.cases.connections()) == {"invoices", "claims", "disputes"}


def test_a_step_of_a_removed_connection_says_so(cloud: Cloud) -> None:
    """Between two states of a running case: it fails, and the reason says what to do."""
    world = World(cloud)
    cloud.app.cases.claim(record(status="uploading"))
    del world.connections["invoices"]
    with pytest.raises(
        ConfigurationError, match=r'connection "invoices" is no longer in the settings: deploy it again'
    ):
        wait(CaseId("invoices", "INV-1"), "documents", "token", context=world.context)


def test_a_delivery_of_a_removed_connection_is_not_a_dead_letter(cloud: Cloud) -> None:
    """It was verified while the connection was there; its evidence is kept, and nothing has to be moved."""
    world = World(cloud)
    del world.connections["claims"]
    body = json.dumps({"data": {"case_id": "case__1"}}).encode()
    assert wake("claims", body, look=0, received_at=now(), context=world.context).done


# docs/deploy.md: remove, rename, split


def deployed(world: World, name: str) -> None:
    """Give a connection its key and its queue, as a deployment does."""
    world.keys.named[name] = "docustack"
    world.cloud.session.client("sqs").create_queue(QueueName=f"dossier-dev-poll-{name}")


def test_remove_a_connection(cloud: Cloud) -> None:
    """Ended cases stay readable, submissions are rejected, and a deployment that has the connection again continues."""
    world = World(cloud)
    assert world.submit("invoices", "INV-1", FILES)["status"] == "completed"
    settings = world.connections.pop("invoices")
    assert cloud.app.cases.get(CaseId("invoices", "INV-1")).record.status is CaseStatus.COMPLETED
    assert world.submit("invoices", "INV-2", FILES) == {}
    world.connections["invoices"] = settings
    assert world.submit("invoices", "INV-1", FILES)["status"] == "completed"
    assert world.submit("invoices", "INV-2", FILES)["status"] == "completed"
    assert len(world.effects("document_uploaded")) == 2


def test_rename_a_connection(cloud: Cloud) -> None:
    """The new name is another connection: finished cases stay with the old one, new ones go to the new one."""
    world = World(cloud)
    world.submit("invoices", "INV-1", FILES)
    world.connections["bills"] = world.connections.pop("invoices").model_copy(update={"name": "bills"})
    deployed(world, "bills")
    assert world.submit("bills", "INV-2", FILES)["status"] == "completed"
    assert set(cloud.app.cases.connections()) == {"invoices", "bills"}
    assert [each.reference for each in cloud.app.cases.newest("invoices")] == ["INV-1"]
    assert [each.reference for each in cloud.app.cases.newest("bills")] == ["INV-2"]


def test_a_reference_of_the_former_name_is_not_sent_again(cloud: Cloud) -> None:
    """``formerly``: a system that resubmits its earlier cases under the new name pays for none twice."""
    world = World(cloud)
    world.submit("invoices", "INV-1", FILES)
    former = world.connections.pop("invoices")
    world.connections["bills"] = former.model_copy(update={"name": "bills", "formerly": ("invoices",)})
    deployed(world, "bills")
    assert world.submit("bills", "INV-1", FILES)["status"] == "failed"
    refused = cloud.app.cases.get(CaseId("bills", "INV-1")).record
    assert refused.error == "ReferenceConflictError"
    assert "INV-1 was submitted to connection invoices before" in str(refused.reason)
    assert "`dossier status INV-1 --connection invoices`" in str(refused.reason)
    assert len(world.effects("document_uploaded")) == 1
    assert world.submit("bills", "INV-2", FILES)["status"] == "completed"


def test_reference_rejected_under_the_former_name_is_free(cloud: Cloud) -> None:
    """Nothing of it was sent: it may be submitted under the new name."""
    world = World(cloud)
    cloud.app.cases.claim(record(reference="INV-1", status="failed").model_copy(update={"refused": True}))
    bills = world.connections["invoices"].model_copy(update={"name": "bills", "formerly": ("invoices",)})
    world.connections["bills"] = bills
    deployed(world, "bills")
    assert world.submit("bills", "INV-1", FILES)["status"] == "completed"


def test_a_connection_is_not_its_own_former_name(cloud: Cloud) -> None:
    """It would take none of its own cases."""
    settings = World(cloud).connections["invoices"]
    with pytest.raises(ValueError, match="formerly: names the connection itself"):
        type(settings).model_validate({**settings.model_dump(by_alias=True), "formerly": ["invoices"]})


def test_split_a_connection(cloud: Cloud) -> None:
    """Both continue side by side, each with its own references, limits and waits."""
    world = World(cloud)
    world.submit("invoices", "INV-1", FILES)
    world.connections["credits"] = world.connections["invoices"].model_copy(update={"name": "credits"})
    deployed(world, "credits")
    assert world.submit("credits", "INV-1", FILES)["status"] == "completed"
    assert world.submit("invoices", "INV-2", FILES)["status"] == "completed"
    assert len(world.effects("document_uploaded")) == 3


# The check in slices


def test_the_check_continues_where_its_time_ended(state: State) -> None:
    """One connection each time, in turn; the shared queues are judged by the whole round."""
    for name in state.connections:
        arn = state.executions.start(f"{name}-R", {})
        state.app.cases.claim(record(connection=name, reference="R", execution=arn, status="waiting"))
        state.stop(arn)
    state.app.queues.send("wake", {"connection": "invoices", "delivery": "key"})
    found = [slice_of(state, [0.0]) for _ in range(3)]
    assert [each.healed[0].split()[3].rstrip(":") for each in found] == ["claims", "disputes", "invoices"]
    assert [bool(each.stuck) for each in found] == [False, False, True]
    assert state.app.rounds.load() is None


def test_a_connection_whose_check_fails_does_not_stop_the_others(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised, so that the heartbeat stops; the next run begins behind that connection."""
    arn = state.case()
    state.stop(arn)
    newest = state.context.cases.newest

    def broken(connection: str, **rest: str | None) -> object:
        if connection == "claims":
            raise ValueError("a record that cannot be read")
        return newest(connection, **rest)

    monkeypatch.setattr(state.context.cases, "newest", broken)
    with pytest.raises(ValueError, match="cannot be read"):
        state.check()
    assert len(state.check().healed) == 1


class Bucket:
    """DescribeExecution as AWS limits it: 250 at once, then 10 a second; here the second never comes."""

    def __init__(self, state: State) -> None:
        self.tokens = 250
        self.asked: set[str] = set()
        self._describe = state.executions.describe
        state.executions.describe = self.describe  # type: ignore[method-assign]

    def describe(self, arn: str) -> object:
        """Answer while there are tokens."""
        self.tokens -= 1
        assert self.tokens >= 0, "ThrottlingException"
        self.asked.add(arn)
        return self._describe(arn)


def test_busy_connections_stay_below_the_quota_and_all_get_their_turn(state: State) -> None:
    """Thirty connections with eight running cases each: no run exceeds AWS's rate, and no case is left out."""
    settings = state.connections["invoices"]
    arns = set()
    for number in range(30):
        name = f"c{number:02d}"
        state.connections[name] = settings.model_copy(update={"name": name})
        for case in range(8):
            arn = state.executions.start(f"{name}-{case}", {})
            state.app.cases.claim(record(connection=name, reference=f"R{case}", execution=arn, status="uploading"))
            arns.add(arn)
    bucket = Bucket(state)
    for _ in range(40):
        bucket.tokens = 250
        state.check()
        if bucket.asked == arns:
            return
    raise AssertionError(f"{len(arns - bucket.asked)} of {len(arns)} executions were never asked for")


def slice_of(state: State, left: list[float]) -> Findings:
    """Run the check as if it had that many seconds left."""
    return reconcile(
        state.connections,
        context=state.context,
        time_left=lambda: left[0],
        at=now() + timedelta(minutes=30),
    )
