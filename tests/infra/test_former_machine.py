"""Executions keep the definition with which they began: one of the version before ends with the functions of this one.

``former_state_machine.json`` is that version's definition, without its retriers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from checks.record import Failing
from dossier.errors import NeedsAttentionError, VendorUnavailableError
from dossier.steps.collect import HERE
from tests.conftest import Cloud
from tests.infra.cases import VENDORS, case
from tests.infra.synthesis import Synthesized
from tests.machine import World
from tests.walk import Handlers, Walk

FORMER: dict[str, Any] = json.loads(Path(__file__).with_name("former_state_machine.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("like", VENDORS)
def test_a_case_of_the_previous_version_completes(cloud: Cloud, like: str) -> None:
    """All states of the previous version's definition run, with their inputs to functions and use of answers."""
    world = World(cloud)
    walk = Walk(FORMER, Handlers(world))
    walk.run(case(cloud, (like, "INV-1"), documents=HERE + 1))
    assert walk.outcome == "SUCCEEDED"
    assert walk.output["status"] == "completed"
    assert {"Upload Documents", "Download Artifact", "Publish"} <= set(walk.entered)
    assert len(world.effects("document_uploaded")) == HERE + 1


@pytest.mark.parametrize(
    ("verb", "like", "error", "passes", "outcome"),
    [
        ("open", "disputes", NeedsAttentionError("was it created?"), "Ask About Case", "SUCCEEDED"),
        ("upload", "invoices", NeedsAttentionError("was it uploaded?"), "Ask About Upload", "SUCCEEDED"),
        ("download", "claims", VendorUnavailableError("storage answered 503"), "Leave Out Artifact", "SUCCEEDED"),
        ("collect", "claims", NeedsAttentionError("it cannot be told"), "Record Failure", "FAILED"),
    ],
)
def test_failures_of_the_previous_version_are_recorded_too(
    cloud: Cloud, verb: str, like: str, error: Any, passes: str, outcome: str
) -> None:
    """Questions, files that are left out, and failures."""
    walk = Walk(FORMER, Failing(verb, error, Handlers(World(cloud))))
    answer = walk.run(case(cloud, (like, "INV-1"), documents=HERE + 1 if verb == "download" else 1))
    assert passes in walk.entered
    assert walk.outcome == outcome
    assert outcome == "SUCCEEDED" or answer["cause"] == str(error)


def test_both_versions_pass_the_same_inputs_to_each_function(stack: Synthesized) -> None:
    """Payloads of both versions have the same keys, so the functions' inputs are unchanged."""
    now = {name: payload(state) for name, state, _ in stack.states() if state["Type"] == "Task"}
    before = {
        name: payload(state)
        for machine in (
            FORMER,
            *(each["ItemProcessor"] for each in FORMER["States"].values() if "ItemProcessor" in each),
        )
        for name, state in machine["States"].items()
        if state["Type"] == "Task"
    }
    assert {name: now[name] for name in before} == before
    assert set(now) - set(before) == {
        "Upload All",
        "Poll All",
        "Ask About Budget",
        "Await Resume",
        "Await Resume Of Upload",
        "Await Resume Of Download",
    }


def payload(state: dict[str, Any]) -> set[str]:
    """Return the keys of a state's payload."""
    return set(state["Arguments"].get("Payload", state["Arguments"]))
