"""The state machine that runs batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.synthesis import Synthesized


@pytest.fixture
def definition(stack: Synthesized) -> dict[str, Any]:
    """The definition."""
    found: dict[str, Any] = json.loads(stack.text(stack.machine_named("dossier-dev-batch")["DefinitionString"]))
    return found


def test_a_child_is_one_case(stack: Synthesized, definition: dict[str, Any]) -> None:
    """Each line of the list starts the case's own execution, under its own name, and waits for its end."""
    cases = definition["States"]["Cases"]
    assert cases["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    child = cases["ItemProcessor"]["States"]["Run Case"]
    assert child["Resource"].endswith(":states:::states:startExecution.sync:2")
    machine = child["Arguments"]["StateMachineArn"]
    assert machine.endswith(f":stateMachine:{stack.name}")
    assert (child["Arguments"]["Name"], child["Arguments"]["Input"]) == (
        "{% $states.input.name %}",
        "{% $states.input.input %}",
    )


def test_a_failed_case_fails_no_other(definition: dict[str, Any]) -> None:
    """All cases may fail; a case that exists is not a failure; a case's failure is not tried again."""
    cases = definition["States"]["Cases"]
    assert cases["ToleratedFailurePercentage"] == 100
    child = cases["ItemProcessor"]["States"]["Run Case"]
    [caught] = child["Catch"]
    assert "StepFunctions.ExecutionAlreadyExistsException" in caught["ErrorEquals"]
    assert not {"States.ALL", "States.TaskFailed"} & {*caught["ErrorEquals"], *child["Retry"][0]["ErrorEquals"]}


def test_a_run_ends_with_its_lists(definition: dict[str, Any]) -> None:
    """Whether all cases were started or not, the lists of results and failures are written."""
    cases = definition["States"]["Cases"]
    assert (cases["Next"], cases["Catch"][0]["Next"]) == ("Summarize", "Summarize")
    assert definition["States"]["Summarize"]["Resource"] == "{summarize}"
    assert cases["ResultWriter"]["Arguments"]["Prefix"].startswith("{% 'batches/' & $states.input.batch")


def test_how_many_run_at_once_is_the_runs_own(definition: dict[str, Any]) -> None:
    """The command decides, by the connections' limits; UpdateMapRun changes it."""
    assert definition["States"]["Cases"]["MaxConcurrency"] == "{% $states.input.concurrency %}"
