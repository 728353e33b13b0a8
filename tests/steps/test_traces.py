"""One trace a case: messages and executions carry the header of the trace that it began in."""

from __future__ import annotations

from typing import Any

import pytest

from dossier import traces
from dossier.models import CaseId
from dossier.steps.refresh import start
from dossier.stores.refreshes import Refresh
from tests.conftest import Cloud
from tests.dynamodb import Http
from tests.machine import World, samples
from tests.records import record

SAMPLED = "Root=1-69000000-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
LATER = "Root=1-69999999-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:dossier-dev"
CASE = CaseId("invoices", "R-1")


@pytest.fixture
def sent(cloud: Cloud) -> list[dict[str, Any]]:
    """Messages to queues, and started executions, from now on."""
    found: list[dict[str, Any]] = []
    for operation in ("sqs.SendMessage", "stepfunctions.StartExecution"):
        cloud.session.events.register(f"provide-client-params.{operation}", lambda params, **_: found.append(params))
    cloud.app.environment = cloud.app.environment.model_copy(update={"state_machine_arn": MACHINE})
    cloud.session.events.register(
        "before-call.stepfunctions.StartExecution", lambda **_: (Http(200, {}), {"executionArn": "arn:started"})
    )
    return found


def headers(sent: list[dict[str, Any]]) -> list[str | None]:
    """Return the trace header of each message."""
    messages = [each for each in sent if "MessageBody" in each]
    return [each.get("MessageSystemAttributes", {}).get("AWSTraceHeader", {}).get("StringValue") for each in messages]


def walked(cloud: Cloud) -> None:
    """Walk a case to its end."""
    uri = cloud.put("staging/invoices/R-1/0", samples("invoice.pdf")["invoice.pdf"])
    World(cloud).execute({**CASE._asdict(), "documents": [{"uri": uri, "name": "invoice.pdf"}]}, "arn:R-1")


def test_polls_belong_to_the_trace_that_the_case_began_in(
    cloud: Cloud, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever trace the function is in that sends them."""
    monkeypatch.setenv("DOSSIER_TRACES", "1")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    walked(cloud)
    stored = cloud.app.cases.get(CASE).record
    assert stored.trace == SAMPLED
    assert headers(sent)
    assert set(headers(sent)) == {SAMPLED}
    monkeypatch.setenv("_X_AMZN_TRACE_ID", LATER)
    cloud.app.waits.start(CASE, phase="documents", token="t", first=0, deadline=60, trace=stored.trace)
    wait = cloud.app.waits.find(CASE)
    assert wait is not None
    cloud.app.waits.postpone(wait, 5)
    assert set(headers(sent)) == {SAMPLED}
    start(CASE, Refresh(**CASE._asdict(), number=1), context=cloud.app)
    assert sent[-1]["traceHeader"] == SAMPLED


@pytest.mark.parametrize(("setting", "header"), [("", SAMPLED), ("1", SAMPLED.replace("=1", "=0")), ("1", "")])
def test_nothing_is_stored_or_sent_without_the_setting_and_a_sampled_trace(
    cloud: Cloud, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, setting: str, header: str
) -> None:
    """A header costs bytes in the table and in every message."""
    monkeypatch.setenv("DOSSIER_TRACES", setting)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    walked(cloud)
    assert traces.current() is None
    assert cloud.app.cases.get(CASE).record.trace is None
    assert set(headers(sent)) == {None}
    assert record(**CASE._asdict()).trace is None
