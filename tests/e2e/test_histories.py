"""What an operator sees in the Step Functions console: each state names its case, in short."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.case_machine import MOST_SHOWN
from tests.e2e.questions import attention
from tests.e2e.world import World


def shown(world: World, arn: str) -> list[tuple[str, str, str]]:
    """Return each state's name and what its input and output are, but for the execution's own input."""
    pages = world.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    found = []
    for event in (event for page in pages for event in page["events"]):
        for which, key in (("stateEnteredEventDetails", "input"), ("stateExitedEventDetails", "output")):
            if which in event:
                found.append((event[which]["name"], key, event[which].get(key, "null")))
    assert found[0][:2] == ("Accept", "input")
    return found[1:]


def check(world: World, arn: str, connection: str, reference: str) -> set[str]:
    """Each input and output has connection and reference, within 300 bytes; return the names of the states."""
    states = shown(world, arn)
    for name, key, text in states:
        value: Any = json.loads(text)
        assert isinstance(value, dict), (name, key, text)
        assert (value.get("connection"), value.get("reference")) == (connection, reference), (name, key, text)
        assert len(value) > 2, (name, key, text)
        assert len(text.encode()) <= MOST_SHOWN, (name, key, text)
    return {name for name, _, _ in states}


@pytest.mark.parametrize("connection", ["scans", "grievances"])
def test_each_state_names_its_case(world: World, connection: str) -> None:
    """From Accept's output to the execution's: a vendor without cases, and one with two phases."""
    reference = world.name("history")
    submitted = world.complete(connection, reference, world.file(f"{reference}.pdf"))
    assert submitted["status"] == "completed"
    arn = world.status(connection, reference)["execution_arn"]
    states = check(world, arn, connection, reference)
    two_phases = {"Open Case", "Upload", "Poll", "More To Wait For?", "Process", "Poll Results"}
    waits = two_phases if connection == "grievances" else {"Upload All", "Poll All"}
    assert {"Accept", "Collect", "Download", "Publish"} | waits <= states
    output = json.loads(world.ended(arn)["output"])
    assert output["result"] == f"cases/{connection}/{reference}/result.json"


def test_questions_and_failures_name_their_case(world: World) -> None:
    """A wrong id is rejected before anything is stored; then the operator gives the case up."""
    reference = world.name("history-asks")
    arn = attention(world, reference)
    begin = ["resolve", reference, "--connection", "grievances"]
    wrong = world.dossier(*begin, "--use", "00000000-0000-4000-8000-000000000001", code=1)
    assert "the question stays open" in wrong.document["error"]["message"]
    assert world.status("grievances", reference)["status"] == "needs_attention"
    world.dossier(*begin, "--give-up")
    assert world.ended(arn)["error"] == "GivenUpError"
    assert {"Ask About Case", "Record Failure", "Failed"} <= check(world, arn, "grievances", reference)
