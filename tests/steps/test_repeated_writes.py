"""The AWS client repeats a write whose answer was lost, and the second one finds what the first has changed.

A condition that no longer holds is then no sign of somebody else. Here every write to the table is made twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus, now
from dossier.steps.accept import accept
from dossier.steps.cancel import cancel
from dossier.steps.context import Context
from dossier.steps.redrive import case_input
from dossier.stores.clients import Clients
from dossier.stores.table import Table
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples
from tests.records import record
from tests.steps.files import FILES
from tests.steps.updates import resumed


@pytest.fixture(autouse=True)
def repeated(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every write twice; the caller hears the second answer."""
    del cloud
    once = Table._written

    def twice(write: Callable[[], Any]) -> Any:
        once(write)
        return once(write)

    monkeypatch.setattr(Table, "_written", staticmethod(twice))


def waiting(cloud: Cloud) -> CaseId:
    """Store a case that waits, with its message taken from the queue."""
    case = CaseId("invoices", "R-1")
    cloud.app.cases.claim(record(connection=case.connection, reference=case.reference, status="waiting"))
    cloud.app.waits.start(case, phase="results", token="token", first=60, deadline=3600)
    cloud.messages("poll-invoices")
    return case


@pytest.mark.parametrize("connection", FILES)
def test_case_and_its_refresh_complete(cloud: Cloud, connection: str) -> None:
    """With one upload of each document, as if no answer had been lost."""
    world, files = World(cloud), samples(*FILES[connection])
    assert world.submit(connection, "R-1", files)["status"] == "completed"
    assert len(world.effects("document_uploaded")) == len(files)
    assert len(world.refresh(connection, "R-1")) == 1


@pytest.mark.parametrize("connection", FILES)
def test_redriven_case_completes(cloud: Cloud, connection: str) -> None:
    """The execution that took it over does not take itself for another one, and end."""
    world, files = World(cloud), samples(*FILES[connection])
    world.keys.wrong = True
    assert world.submit(connection, "R-1", files)["status"] == "failed"
    world.keys.wrong = False
    assert resumed(world, connection, "R-1")["status"] == "completed"
    assert world.context.cases.get(CaseId(connection, "R-1")).record.attempt == 2
    assert len(world.effects("document_uploaded")) == len(files)


def test_redriven_case_belongs_to_one_execution(cloud: Cloud) -> None:
    """Another execution that took it over meanwhile has it."""
    world = World(cloud)
    world.keys.wrong = True
    world.submit("claims", "R-1", samples("invoice.pdf"))
    case = world.context.cases.get(CaseId("claims", "R-1"))
    assert case.record.status is CaseStatus.FAILED
    data = {**case_input(case.record, case.documents, BUCKET), "resume": True}
    outcomes = [accept(data, f"arn:{number}", context=world.context).outcome for number in (1, 1, 2)]
    assert outcomes == ["new", "new", "duplicate"]


def test_cancelled_case_is_cancelled(cloud: Cloud) -> None:
    """Its mark is not taken for another end."""
    world, case = World(cloud), waiting(cloud)

    class Executions:
        """One that can be stopped."""

        def stop(self, *_: Any) -> None:
            """Stop it."""

    cancel(case, context=world.context.replacing(executions=Executions()))
    assert world.context.cases.get(case).record.status is CaseStatus.CANCELLED


def test_postponed_wait_has_its_message(cloud: Cloud) -> None:
    """A poll that has moved its wait knows that it has, and sends the message of the next one."""
    world, case = World(cloud), waiting(cloud)
    wait = world.context.waits.find(case)
    assert wait is not None
    assert world.context.waits.postpone(wait, 0, attempts=wait.attempts + 1)
    assert [json.loads(each)["seq"] for each in cloud.messages("poll-invoices")] == [wait.seq + 1]
    assert not world.context.waits.postpone(wait, 0)


def test_resent_message_is_sent(cloud: Cloud) -> None:
    """A sweep notes that a message is on its way only if it is."""
    world, case = World(cloud), waiting(cloud)
    wait = world.context.waits.find(case)
    assert wait is not None
    due = wait.model_copy(update={"next_at": now() - timedelta(seconds=1)})
    assert world.context.waits.resend(due)
    assert [json.loads(each)["seq"] for each in cloud.messages("poll-invoices")] == [wait.seq]


def test_sweep_that_came_too_late_reads_nothing(cloud: Cloud) -> None:
    """Its role has no right to read items: the write's own answer says that the wait has changed meanwhile."""
    world, case = World(cloud), waiting(cloud)
    waits = world.context.waits
    wait = waits.find(case)
    assert wait is not None
    assert waits.postpone(wait, 0)
    cloud.messages("poll-invoices")
    calls: list[str] = []
    cloud.session.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    waits = Context(cloud.app.environment, Clients(cloud.session)).waits  # clients take their hooks when they are made
    assert not waits.resend(wait)
    assert set(calls) == {"UpdateItem"}
    assert cloud.messages("poll-invoices") == []


def test_ended_pause_is_reported(cloud: Cloud) -> None:
    """An operator hears which pause has ended, not that there was none."""
    limiter = World(cloud).context.limiter
    began = limiter.hold("claims", by="ada", reason="the contract is being renewed")
    ended = limiter.release("claims")
    assert ended is not None
    assert (ended.since, ended.reason) == (began.since, began.reason)
    assert isinstance(ended.until, datetime)
    assert limiter.release("claims") is None
