"""The state machine's definition."""

from __future__ import annotations

import inspect
import json
from itertools import pairwise
from typing import Any

import boto3
import pytest

from dossier import errors
from dossier.errors import CaseFailedError, DossierError, NeedsAttentionError, PausedError, RetryableError, tree
from dossier.stores.waits import MOST_EXTENDED
from infra.case_machine import AWS_TROUBLE
from tests.infra.synthesis import Synthesized
from tests.simulation.models.wire import TROUBLE

PATH_FIELDS = {
    "InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector", "ItemsPath", "MaxConcurrencyPath",
    "TimeoutSecondsPath", "HeartbeatSecondsPath", "CausePath", "ErrorPath",
}  # fmt: skip
STEPS = {
    "Accept": "accept",
    "Open Case": "open",
    "Upload All": "upload",
    "Upload Documents": "upload",
    "Process": "process",
    "Collect": "collect",
    "Download Artifact": "download",
    "Leave Out Artifact": "download",
    "Publish": "publish",
    "Record Failure": "fail",
}
HELD = {
    "Await Resume": "{% $states.input.held %}",
    "Await Resume Of Upload": "{% 'upload-' & $string($states.input.batch) %}",
    "Await Resume Of Download": "{% 'download-' & $string($states.input.part) %}",
}
TOKEN_STEPS = {
    "Ask About Case": "ask",
    "Ask About Budget": "ask",
    "Ask About Upload": "ask",
    "Poll All": "wait",
    "Poll": "wait",
    "Poll Results": "wait",
    **dict.fromkeys(HELD, "wait"),
}
CALLERS = ["Open Case", "Process", "Collect", "Publish"]
"""The states outside of the maps that may call the vendor."""
IN_MAPS = {
    "Upload Documents",
    "Ask About Upload",
    "Download Artifact",
    "Leave Out Artifact",
    "Await Resume Of Upload",
    "Await Resume Of Download",
}


def test_every_state_is_reached_and_leads_somewhere(stack: Synthesized) -> None:
    """Every transition leads to a state, every state is reached, and every path ends."""
    for machine in _machines(stack):
        states, reached, ahead = machine["States"], set(), [machine["StartAt"]]
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += _targets(states[name])
        assert reached == set(states)
        for name, state in states.items():
            ends = state.get("End") or state["Type"] == "Fail"
            assert bool(ends) != bool(state.get("Next") or state["Type"] == "Choice"), name


def test_every_state_uses_jsonata(stack: Synthesized) -> None:
    """No state uses JSONPath, which ignores missing paths."""
    assert stack.definition["QueryLanguage"] == "JSONata"
    for name, state, _ in stack.states():
        assert state.get("QueryLanguage", "JSONata") == "JSONata", name
        assert not PATH_FIELDS & set(state), name
        assert '"$.' not in json.dumps(state), name
        assert '.$"' not in json.dumps(state), name


def test_no_state_waits_or_loops(stack: Synthesized) -> None:
    """A wait of any length costs the same: there is no Wait state, and the only loop goes through an operator."""
    assert not [name for name, state, _ in stack.states() if state["Type"] == "Wait"]
    edges = {name: _targets(state) for name, state, _ in stack.states()}
    edges["Ask About Case"] = [each for each in edges["Ask About Case"] if each != "Open Case"]
    edges["Ask About Upload"] = edges["Await Resume"] = []
    edges["Await Resume Of Upload"] = edges["Await Resume Of Download"] = []
    assert not any(_comes_back(name, edges) for name in edges)


@pytest.mark.parametrize(("name", "verb"), STEPS.items())
def test_a_step_calls_its_function(stack: Synthesized, name: str, verb: str) -> None:
    """A state's result is the function's answer, without metadata around it."""
    assert _state(stack, name)["Resource"] == "{" + verb + "}"


@pytest.mark.parametrize(("name", "verb"), TOKEN_STEPS.items())
def test_a_waiting_state_passes_its_token(stack: Synthesized, name: str, verb: str) -> None:
    """Waiting states pass their function the token that ends the wait."""
    state = _state(stack, name)
    assert state["Resource"].endswith(":states:::lambda:invoke.waitForTaskToken")
    assert state["Arguments"]["FunctionName"] == "{" + verb + "}"
    assert state["Arguments"]["Payload"]["token"] == "{% $states.context.Task.Token %}"


def test_every_task_is_expected(stack: Synthesized) -> None:
    """The lists above contain every task."""
    assert {name for name, state, _ in stack.states() if state["Type"] == "Task"} == set(STEPS) | set(TOKEN_STEPS)


@pytest.mark.parametrize("name", [*STEPS, *TOKEN_STEPS])
def test_retries_follow_the_tree_of_errors(stack: Synthesized, name: str) -> None:
    """Final errors are never retried, a turn is waited for, temporary errors are retried, others a few times."""
    never, turn, patient, rest = _state(stack, name)["Retry"]
    final = {each.__name__ for root in (CaseFailedError, NeedsAttentionError, PausedError) for each in tree(root)}
    assert set(never["ErrorEquals"]) - {"States.Timeout"} == final
    assert never["MaxAttempts"] == 0
    assert set(turn["ErrorEquals"]) == {"ThrottledError", "Lambda.TooManyRequestsException"}
    assert (turn["MaxAttempts"], turn["MaxDelaySeconds"], turn["JitterStrategy"]) == (1000, 60, "FULL")
    passing = {each for each in patient["ErrorEquals"] if not each.startswith("Lambda.")}
    assert passing - {"PausedError", *AWS_TROUBLE} == {each.__name__ for each in tree(RetryableError)} - {
        "ThrottledError",
        "PausedError",
    }
    assert (patient["MaxAttempts"], patient["MaxDelaySeconds"], patient["JitterStrategy"]) == (90, 30, "FULL")
    assert (rest["ErrorEquals"], rest["MaxAttempts"]) == (["States.ALL"], 20)


@pytest.mark.parametrize("service", TROUBLE)
def test_trouble_of_aws_is_retried_as_long_as_the_vendors(stack: Synthesized, service: str) -> None:
    """Also if a case already waits for its vendor: a call that AWS rejects does not count as a killed function."""
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")  # type: ignore[call-overload]
    raised = {client.exceptions.from_code(code).__name__ for code in TROUBLE[service]}
    assert raised <= {*_state(stack, "Upload Documents")["Retry"][2]["ErrorEquals"]}


def test_every_error_has_a_retrier(stack: Synthesized) -> None:
    """Every class of the tree is final or has a retrier."""
    *retriers, _ = _state(stack, "Accept")["Retry"]
    named = {name for each in retriers for name in each["ErrorEquals"]}
    defined = {name for name, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, DossierError)}
    assert defined - named == {"DossierError"}


@pytest.mark.parametrize("name", TOKEN_STEPS)
def test_a_timed_out_wait_continues_with_collect(stack: Synthesized, name: str) -> None:
    """A timed-out wait is not retried, because it would wait all over again."""
    assert "States.Timeout" in _state(stack, name)["Retry"][0]["ErrorEquals"]


@pytest.mark.parametrize("name", ["Poll All", "Poll", "Poll Results"])
def test_a_wait_times_out_after_its_deadline(stack: Synthesized, name: str) -> None:
    """If the waiting room fails, the state times out a quarter of an hour after the deadline."""
    assert _state(stack, name)["TimeoutSeconds"] == f"{{% $ceil($case.deadline) + {MOST_EXTENDED + 900} %}}"


def test_every_failure_is_recorded(stack: Synthesized) -> None:
    """Each state catches every error and leads to Record Failure, which always leads to Failed."""
    for name, state in stack.definition["States"].items():
        if state["Type"] in {"Task", "Map"}:
            last = state["Catch"][-1]
            target = "Failed" if name == "Record Failure" else "Record Failure"
            assert (last["ErrorEquals"], last["Next"]) == (["States.ALL"], target), name
    assert _state(stack, "Record Failure")["Next"] == "Failed"
    failed = _state(stack, "Failed")
    assert (failed["Error"], failed["Cause"]) == ("{% $ending.error %}", "{% $ending.reason %}")


@pytest.mark.parametrize(
    ("name", "question"), [("Open Case", "Ask About Case"), ("Upload Documents", "Ask About Upload")]
)
def test_an_operators_answer_resumes_the_case_where_it_stopped(stack: Synthesized, name: str, question: str) -> None:
    """A question to an operator follows the step, and its answer repeats the step."""
    asks = _state(stack, name)["Catch"][0]
    assert (asks["ErrorEquals"], asks["Next"]) == (["NeedsAttentionError"], question)
    assert _state(stack, question)["Next"] == name
    assert set(_state(stack, question)["Arguments"]["Payload"]) == {"connection", "reference", "what", "cause", "token"}


@pytest.mark.parametrize("name", CALLERS)
def test_paused_step_is_repeated_after_the_pause(stack: Synthesized, name: str) -> None:
    """A step that an operator's pause stops waits for its end, and is repeated then."""
    catch = next(each for each in _state(stack, name)["Catch"] if each["ErrorEquals"] == ["PausedError"])
    assert (catch["Next"], catch["Output"]["held"]) == ("Await Resume", name)
    assert _state(stack, "Await Resume")["Next"] == "Resumed?"
    assert name == "Collect" or _goes(stack)[f"{{% $states.input.to = '{name}' %}}"] == name


@pytest.mark.parametrize(("name", "held"), HELD.items())
def test_held_step_says_which_it_is(stack: Synthesized, name: str, held: str) -> None:
    """By the state's name, or the batch or part of its map; a map's step comes back to itself."""
    state = _state(stack, name)
    assert state["Arguments"]["Payload"]["held"] == held
    assert "TimeoutSeconds" not in state
    if name != "Await Resume":
        repeated = state["Next"]
        assert {"ErrorEquals": ["PausedError"], "Next": name} in [
            {key: each[key] for key in ("ErrorEquals", "Next")} for each in _state(stack, repeated)["Catch"]
        ]


@pytest.mark.parametrize("name", ["Poll All", "Poll", "Poll Results"])
def test_wait_that_was_not_ended_is_collected_or_continues(stack: Synthesized, name: str) -> None:
    """After its timeout the state waits for the end of a pause; without a pause the existing results are collected."""
    timeout = next(each for each in _state(stack, name)["Catch"] if each["ErrorEquals"] == ["States.Timeout"])
    assert (timeout["Next"], timeout["Output"]["held"]) == ("Await Resume", name)
    late = _state(stack, "Await Resume")["Catch"][0]
    assert (late["ErrorEquals"], late["Next"]) == (["DeadlinePassedError"], "Collect")
    assert _goes(stack)[f"{{% $states.input.to = '{name}' %}}"] == name
    assert _state(stack, "Resumed?")["Default"] == "Collect"


def _goes(stack: Synthesized) -> dict[str, str]:
    return {each["Condition"]: each["Next"] for each in _state(stack, "Resumed?")["Choices"]}


def test_states_in_maps_carry_no_variables_but_an_errors_text(stack: Synthesized) -> None:
    """A batch's data is in its state's input, so simultaneous batches cannot mix theirs."""
    assigning = {name for name, state, _ in stack.states() if name in IN_MAPS and "Assign" in json.dumps(state)}
    assert assigning == {"Download Artifact"}


def test_the_case_sets_the_concurrency_of_maps(stack: Synthesized) -> None:
    """The case decides how many requests run at once, as its vendor allows."""
    assert _state(stack, "Upload")["Items"] == "{% $case.uploads %}"
    assert _state(stack, "Upload")["MaxConcurrency"] == "{% $case.at_once %}"
    assert _state(stack, "Download")["Items"] == "{% $collected.artifacts %}"
    assert _state(stack, "Download")["MaxConcurrency"] == "{% $collected.at_once %}"


def test_a_case_of_one_document_takes_seven_transitions(stack: Synthesized) -> None:
    """The path of the most common case decides its cost."""
    way = ["Accept", "Submitted Before?", "Upload All", "Poll All", "Collect", "Download", "Publish"]
    states = stack.definition["States"]
    for here, there in pairwise(way):
        assert there in _targets(states[here])
    assert len(way) == 7  # Collect stores what the map would download


def test_only_upload_that_needs_a_person_is_repeated_in_the_map(stack: Synthesized) -> None:
    """There the question is asked, or the end of a pause is waited for."""
    catch = _state(stack, "Upload All")["Catch"][0]
    assert (set(catch["ErrorEquals"]), catch["Next"]) == ({"NeedsAttentionError", "PausedError"}, "Upload")


def test_history_is_not_copied_into_logs(stack: Synthesized) -> None:
    """Only errors are logged, without data of cases; executions are traced."""
    machine = stack.machine
    assert machine["LoggingConfiguration"]["Level"] == "ERROR"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine.get("StateMachineType", "STANDARD") == "STANDARD"


def _machines(stack: Synthesized) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _, _, machine in stack.states():
        if machine not in found:
            found.append(machine)
    return found


def _state(stack: Synthesized, name: str) -> dict[str, Any]:
    return next(state for found, state, _ in stack.states() if found == name)


def _targets(state: dict[str, Any]) -> list[str]:
    choices = [*state.get("Choices", []), *state.get("Catch", []), state]
    return [each["Next"] for each in choices if "Next" in each] + [state[key] for key in ("Default",) if key in state]


def _comes_back(name: str, edges: dict[str, list[str]]) -> bool:
    seen: set[str] = set()
    ahead = list(edges[name])
    while ahead:
        here = ahead.pop()
        if here == name:
            return True
        if here not in seen:
            seen.add(here)
            ahead += edges[here]
    return False
