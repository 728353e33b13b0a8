"""Failed cases, resumed in process: whatever the failure, they end like cases that never failed, with one upload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseStatus
from dossier.steps.identity import execution_name
from dossier.steps.redrive import by_cause, case_input, cause_of, failed, resume
from dossier.stores.cases import CaseRecord, Question
from dossier.stores.executions import Executions
from dossier.stores.limiter import Limiter
from dossier.stores.queues import Queues
from tests.conftest import BUCKET, Cloud
from tests.machine import STRIDE, World, samples
from tests.records import record
from tests.steps.files import FILES
from tests.steps.updates import resumed

"""Every how many-th call a function is killed at, and at every call after it."""


def expire_leases(cloud: Cloud, connection: str) -> None:
    """Release the leases of killed functions, as time does."""
    for item in list(cloud.app.table.query(f"LIMIT#{connection}", prefix="LEASE#")):
        cloud.app.table.delete(item["pk"], item["sk"])


def gist(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result's content, without the case's own ids and times."""
    return {
        **{name: result[name] for name in ("status", "reason", "title", "review")},
        "fields": [(each["key"], each["value"]) for each in result["fields"]],
        "documents": [(each["name"], each["status"], each["error"]) for each in result["documents"]],
        "artifacts": sorted(each["name"] for each in result["artifacts"]),
    }


@pytest.mark.parametrize("connection", FILES)
def test_case_that_failed_with_a_wrong_key_is_resumed(cloud: Cloud, connection: str) -> None:
    """Once the key is right the case completes with one upload of each document, and its attempt is counted."""
    world, files = World(cloud), samples(*FILES[connection])
    world.keys.wrong = True
    assert world.submit(connection, "R-1", files)["status"] == "failed"
    case = world.context.cases.get(CaseId(connection, "R-1")).record
    assert (case.error, case.refused) == ("UnauthorizedError", False)
    world.keys.wrong = False
    result = resumed(world, connection, "R-1")
    never = World(cloud).submit(connection, "R-2", files)
    assert gist(result) == gist(never)
    case = world.context.cases.get(CaseId(connection, "R-1")).record
    assert (case.attempt, case.reason, case.error) == (2, None, None)
    assert len(world.effects("document_uploaded")) == len(files)


def test_a_case_of_low_priority_keeps_it(cloud: Cloud) -> None:
    """Its requests, its transfers and the messages of its polls leave the others their turn; a redrive too."""
    world, files = World(cloud), samples("invoice.pdf")
    world.keys.wrong = True
    world.submit("invoices", "R-1", files, priority="low")
    world.keys.wrong = False
    assert world.context.cases.get(CaseId("invoices", "R-1")).record.priority == "low"
    behind, sent = list[str](), list[str | None]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Limiter, "take", _noting(behind, "take", Limiter.take))
        patch.setattr(Limiter, "lease", _noting(behind, "lease", Limiter.lease))
        patch.setattr(Queues, "send", lambda *_, group=None, **__: sent.append(group))
        assert resumed(world, "invoices", "R-1")["status"] == "completed"
        assert set(behind) == {"take low", "lease low"}
        assert set(sent) == {"low"}
        behind.clear()
        sent.clear()
        world.submit("invoices", "R-2", files)
        assert set(behind) == {"take", "lease"}
        assert set(sent) == {None}
    assert "priority" not in (cloud.app.table.get("CASE#invoices#R-2", "CASE") or {})


def _noting(noted: list[str], name: str, method: Any) -> Any:
    def call(limiter: Limiter, *args: Any, **rest: Any) -> Any:
        noted.append(f"{name} low" if limiter._low else name)
        return method(limiter, *args, **rest)

    return call


@pytest.mark.parametrize("connection", FILES)
def test_case_that_failed_at_its_deadline_is_resumed(cloud: Cloud, connection: str) -> None:
    """The case waits again for a vendor that was too slow, and sends nothing a second time."""
    world, files = World(cloud, seconds=3600), samples(*FILES[connection])
    settings = world.connections[connection]
    hasty = settings.poll.model_copy(update={"deadline": 0.05})
    world.connections[connection] = settings.model_copy(update={"poll": hasty})
    assert "did not finish within" in world.submit(connection, "R-1", files)["reason"]
    world.connections[connection] = settings
    world.ahead = 7200
    world.sandbox.post("/_sandbox/settings", json={"seconds": 0})  # for the assessment that begins then
    assert resumed(world, connection, "R-1")["status"] == "completed"
    assert len(world.effects("document_uploaded")) == len(files)


@pytest.mark.parametrize("connection", FILES)
def test_a_case_whose_step_was_killed_beyond_retries_is_resumed(cloud: Cloud, connection: str) -> None:
    """Wherever it was killed, again and again, the case continues from there: once, and whole."""
    files = samples(*FILES[connection])
    whole = World(cloud)
    never = whole.submit(connection, "R-0", files)
    ended = 0
    for number in range(0, whole.killer.seen, STRIDE):
        cloud.empty_table()  # it depends on another sandbox's account
        world, reference = World(cloud), f"R-{number + 1}"
        world.killer.at, world.killer.forever = number, True
        with pytest.raises(AssertionError, match="gave up"):
            world.submit(connection, reference, files)
        world.killer.at = None
        expire_leases(cloud, connection)
        arn = f"arn:{connection}-{reference}"
        submitted = {"connection": connection, "reference": reference, "case_id": "unknown"}
        world.fail(submitted, arn, "Killed", "gave up")
        case = world.context.cases.get(CaseId(connection, reference)).record
        if case.refused:  # Accept never came to its end: nothing was sent, the reference is free
            assert world.effects("document_uploaded") == []
            continue
        if case.status is CaseStatus.FAILED:
            assert gist(resumed(world, connection, reference)) == gist(never), number
            ended += 1
        assert len(world.effects("document_uploaded")) == len(files), number
    assert ended > 2


def test_a_case_that_has_ended_asks_nothing(cloud: Cloud) -> None:
    """A question ends with its execution, because no step waits for the answer."""
    world = World(cloud)
    world.context.cases.claim(record(execution="arn:invoices-R-1", reference="R-1"))
    question = Question(what="upload-0", text="?", token="t", asked_at="2026-01-31T12:00:00.000Z")
    world.context.cases.ask(CaseId("invoices", "R-1"), question)
    case = {"connection": "invoices", "reference": "R-1", "case_id": "unknown"}
    world.fail(case, "arn:invoices-R-1", "ABORTED", "aborted")
    assert world.context.cases.get(CaseId("invoices", "R-1")).questions == ()


def test_documents_that_the_vendor_reads_itself_stay_references(cloud: Cloud) -> None:
    """A resumed case has the input that it was submitted with, its files being those that Accept kept."""
    world = World(cloud)
    uri = cloud.put("staging/claims/R-1/0", samples("invoice.pdf")["invoice.pdf"])
    data = {
        "connection": "claims",
        "reference": "R-1",
        "documents": [{"uri": uri, "name": "an invoice.pdf"}],
        "options": {},
    }
    world.execute(data, "arn:1")
    case = world.context.cases.get(CaseId("claims", "R-1"))
    stored = case.record.model_copy(update={"appends_to": "case__1"})
    https = case.documents[0].model_copy(update={"ref": "https://files.example.com/a.pdf?sig=1", "key": ""})
    assert case_input(stored, [*case.documents, https], BUCKET) == {
        **data,
        "documents": [
            {"uri": f"s3://{BUCKET}/cases/claims/R-1/documents/an invoice.pdf", "name": "an invoice.pdf"},
            {"uri": "https://files.example.com/a.pdf?sig=1", "name": "an invoice.pdf"},
        ],
        "case_id": "case__1",
    }


def failing(reason: str, **rest: Any) -> CaseRecord:
    """Return the record of a failed case."""
    return record(status="failed", reason=reason, **rest)


def test_cases_are_grouped_by_cause() -> None:
    """Names, ids and numbers are a case's own; the error's class, the words and an HTTP status are the cause."""
    groups = by_cause(
        [
            failing("docustack answered 422: page 7 of INV-1 is dark", error="VendorRejectedError"),
            failing("no key", error="ConfigurationError", reference="INV-2"),
            failing("docustack answered 422: page 12 of R-9 is dark", error="VendorRejectedError", reference="R-9"),
            failing("docustack answered 400: page 7 of INV-3 is dark", error="VendorRejectedError", reference="INV-3"),
            failing("no key", error="ConfigurationError", reference="INV-4", refused=True),
        ]
    )
    assert [(each.cause, each.refused, [case.reference for case in each.cases]) for each in groups] == [
        ("VendorRejectedError: docustack answered 422: page … of … is dark", False, ["INV-1", "R-9"]),
        ("ConfigurationError: no key", False, ["INV-2"]),
        ("ConfigurationError: no key", True, ["INV-4"]),
        ("VendorRejectedError: docustack answered 400: page … of … is dark", False, ["INV-3"]),
    ]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (None, "unknown"),
        ("the vendor did not finish within 3600 s", "the vendor did not finish within … s"),
        ("case case__9f2 is gone (doc 0e5c2a)", "case … is gone (doc …)"),
        ("POST /api/v1/cases: refused the API key (401: no)", "POST /api/v1/cases: refused the API key (401: no)"),
        ("GET /cases/2b5b8bcd-3a0d/files: answered 502", "GET /cases/…/files: answered 502"),
    ],
)
def test_cause_texts(reason: str | None, cause: str) -> None:
    """A cause is the reason as far as other cases may share it."""
    assert cause_of(record(status="failed", reason=reason)) == cause


@pytest.fixture
def executions(cloud: Cloud) -> Executions:
    """A state machine whose executions run until they are stopped."""
    sfn = cloud.session.client("stepfunctions")
    definition = json.dumps({"StartAt": "Accept", "States": {"Accept": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/states"
    arn = sfn.create_state_machine(name="dossier-dev", definition=definition, roleArn=role)["stateMachineArn"]
    return Executions(sfn, arn)


def test_a_case_is_resumed_by_one_execution_of_a_new_name(cloud: Cloud, executions: Executions) -> None:
    """Two redrives are one execution; once that has failed, a redrive starts the next."""
    cases, sfn = cloud.app.cases, cloud.session.client("stepfunctions")
    cases.claim(failing("no key"))
    assert [each.reference for each in failed(["claims", "invoices"], context=cloud.app)] == ["INV-1"]

    context = cloud.app.replacing(executions=executions)

    def back() -> str:
        return resume(CaseId("invoices", "INV-1"), context=context)

    first = back()
    assert first == executions.arn_of(execution_name(CaseId("invoices", "INV-1"), "f1", attempt=2))
    assert json.loads(sfn.describe_execution(executionArn=first)["input"])["resume"] is True
    assert back() == first
    sfn.stop_execution(executionArn=first)
    assert back() == executions.arn_of(execution_name(CaseId("invoices", "INV-1"), "f1", attempt=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "waiting"}, "case INV-1 is waiting: only a failed case can be redriven"),
        ({"status": "failed", "refused": True}, "was rejected before anything was sent to the vendor"),
    ],
)
def test_cases_that_are_not_resumed(
    cloud: Cloud, executions: Executions, changes: dict[str, Any], message: str
) -> None:
    """A case under way is left alone; one that was never sent anywhere has nothing to resume."""
    cloud.app.cases.claim(record(**changes))
    with pytest.raises(InvalidCaseError, match=message):
        resume(CaseId("invoices", "INV-1"), context=cloud.app.replacing(executions=executions))
