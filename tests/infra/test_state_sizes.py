"""The Step Functions console shows the case and the subject of each state, within 300 bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from checks.record import Failing
from dossier.errors import InvalidCaseError, NeedsAttentionError, VendorUnavailableError
from dossier.steps.collect import HERE
from dossier.stores.queues import poll_queue
from infra.case_machine import MOST_SHOWN
from tests.conftest import Cloud
from tests.infra.cases import VENDORS, case
from tests.infra.synthesis import Synthesized
from tests.machine import World
from tests.walk import Handlers, Walk

LONGEST = ("c" * 32, "R" * 100)
CAUSE = 'a "long" reason \\ with \u8acb and\nlines, ' * 50


def world_of(cloud: Cloud, like: str, name: str) -> World:
    """Return a world with a connection of that name, as another one is."""
    world = World(cloud)
    world.connections[name] = world.connections[like].model_copy(update={"name": name})
    world.keys.named[name] = world.keys.named[like]
    cloud.session.client("sqs").create_queue(QueueName=f"dossier-dev-{poll_queue(name)}")
    return world


def shown(walk: Walk) -> Iterator[tuple[str, Any]]:
    """Yield what the console shows of each state but the execution's own input: its input, and so the one before's."""
    for step in walk.steps[1:]:
        yield step["state"], step["input"]


def check(walk: Walk, names: tuple[str, str]) -> None:
    """Each names connection and reference, says something, and is short."""
    seen = [*shown(walk), *([("the end", walk.output)] if walk.outcome == "SUCCEEDED" else [])]
    assert len(seen) > 1
    for state, value in seen:
        assert isinstance(value, dict), (state, value)
        assert (value["connection"], value["reference"]) == names, (state, value)
        assert len(value) > 2, (state, value)
        assert None not in value.values(), (state, value)
        assert len(json.dumps(value, ensure_ascii=False).encode()) <= MOST_SHOWN, (state, value)


def walked(stack: Synthesized, task: Any, given: Any, *, name: str = "execution") -> Walk:
    """Walk one execution."""
    walk = Walk(stack.definition, task, name=name)
    walk.run(given)
    return walk


@pytest.mark.parametrize("like", VENDORS)
@pytest.mark.parametrize("longest", [False, True], ids=["short", "longest"])
def test_each_state_names_its_case(stack: Synthesized, cloud: Cloud, like: str, longest: bool) -> None:
    """A whole case of several documents, and the same one submitted again."""
    names = LONGEST if longest else (like, "INV-2024-0042")
    handlers = Handlers(world_of(cloud, like, names[0]))
    given = case(cloud, names, documents=3)
    for outcome in ("completed", "already_submitted"):
        walk = walked(stack, handlers, given, name=outcome)
        assert walk.outcome == "SUCCEEDED"
        assert walk.output["status"] == outcome
        check(walk, names)


def test_the_output_of_an_execution_has_its_result(stack: Synthesized, cloud: Cloud) -> None:
    """The keys of result and manifest, as before, where the names are of a usual length."""
    walk = walked(stack, Handlers(World(cloud)), case(cloud, ("invoices", "INV-1")))
    assert walk.output == {
        "connection": "invoices",
        "reference": "INV-1",
        "status": "completed",
        "result": "cases/invoices/INV-1/result.json",
        "manifest": "cases/invoices/INV-1/manifest.json",
    }


@pytest.mark.parametrize(
    ("verb", "like", "error", "passes"),
    [
        ("open", "disputes", NeedsAttentionError(CAUSE), "Ask About Case"),
        ("upload", "invoices", NeedsAttentionError(CAUSE), "Ask About Upload"),
        ("download", "claims", VendorUnavailableError(CAUSE), "Leave Out Artifact"),
        ("upload", "claims", InvalidCaseError(CAUSE), "Record Failure"),
        ("accept", "claims", InvalidCaseError(CAUSE), "Record Failure"),
        ("collect", "claims", InvalidCaseError(CAUSE), "Record Failure"),
    ],
)
def test_errors_are_shortened_in_state_outputs(
    stack: Synthesized, cloud: Cloud, verb: str, like: str, error: Exception, passes: str
) -> None:
    """Questions, files that are left out, and failures: the whole error continues by itself."""
    handlers = Handlers(world_of(cloud, like, LONGEST[0]))
    calls: list[tuple[str, Mapping[str, Any]]] = []
    failing = Failing(verb, error, handlers, times=2 if verb == "upload" else 1)  # type: ignore[arg-type]

    def task(verb: str, payload: Mapping[str, Any]) -> Any:
        calls.append((verb, payload))
        return failing(verb, payload)

    walk = walked(stack, task, case(cloud, LONGEST, documents=HERE + 1 if verb == "download" else 1))
    assert passes in walk.entered
    check(walk, LONGEST)
    whole = [payload["cause"] for verb, payload in calls if verb in {"fail", "download"} and "cause" in payload]
    assert [json.loads(each)["errorMessage"] for each in whole[:1]] == [CAUSE][: len(whole)]
    assert bool(whole) is (passes in {"Leave Out Artifact", "Record Failure"})


@pytest.mark.parametrize(
    "given",
    [
        "a" * 10_000,
        {},
        {"connection": ["a"] * 1000, "reference": {"a": "b" * 1000}},
        {"connection": '\u8acb"' * 1000, "reference": "\\" * 1000, "documents": []},
        {"connection": None, "reference": 7},
    ],
)
def test_an_input_without_a_case_is_short_too(stack: Synthesized, cloud: Cloud, given: object) -> None:
    """Whatever is given, the states after Accept are."""
    walk = walked(stack, Handlers(World(cloud)), given)
    assert walk.outcome == "FAILED"
    for state, value in shown(walk):
        assert {"connection", "reference", "about"} <= set(value), state
        assert len(json.dumps(value, ensure_ascii=False).encode()) <= MOST_SHOWN, state


def test_variables_of_an_iteration_are_local(stack: Synthesized) -> None:
    """What a state in a map assigns has a name that nothing outside has: an iteration cannot set those."""
    outside = {name for state in stack.definition["States"].values() for name in assigned(state)}
    inside = {
        name
        for each in stack.definition["States"].values()
        if "ItemProcessor" in each
        for state in each["ItemProcessor"]["States"].values()
        for name in assigned(state)
    }
    assert inside == {"leftOut"}
    assert not inside & outside


def assigned(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield the variables that a state or one of its catches assigns."""
    for each in (state, *state.get("Catch", ())):
        yield from each.get("Assign", ())
