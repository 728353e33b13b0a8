"""Every bridge of the local AWS is there because something of the stack, or a promise about it, fails without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from app import ROOT
from tests.infra.synthesis import Synthesized

BRIDGES = ROOT / "local" / "aws" / "bridges"
PARTS = {"__init__", "current_task", "map_runs"}
"""Modules that are parts of other bridges."""
Need = Callable[[Synthesized], object]


def machines(stack: Synthesized) -> list[dict[str, Any]]:
    """Return the definitions of all state machines."""
    found = stack.of_type("AWS::StepFunctions::StateMachine").values()
    return [json.loads(stack.text(each["DefinitionString"])) for each in found]


def states(stack: Synthesized) -> Iterator[dict[str, Any]]:
    """Yield the states of all state machines, also those inside maps."""
    left = [state for machine in machines(stack) for state in machine["States"].values()]
    while left:
        state = left.pop()
        yield state
        left += state.get("ItemProcessor", {}).get("States", {}).values()


def tasks(stack: Synthesized, ending: str) -> list[dict[str, Any]]:
    """Return the tasks whose integration ends so."""
    return [each for each in states(stack) if str(each.get("Resource", "")).endswith(ending)]


def actions(stack: Synthesized) -> set[str]:
    """Return the actions that the functions' roles allow."""
    return {action for verb in stack.functions for each in stack.statements(verb) for action in each["Action"]}


def source_has(text: str, *folders: str) -> bool:
    """Return whether a Python file of the folders has a text."""
    return any(text in path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))


def retriers(stack: Synthesized) -> list[dict[str, Any]]:
    """Return the retriers of all states."""
    return [each for state in states(stack) for each in state.get("Retry", [])]


def python_functions(stack: Synthesized) -> list[dict[str, Any]]:
    """Return the functions that Lambda runs with Python."""
    found = stack.of_type("AWS::Lambda::Function").values()
    return [each for each in found if str(each["Runtime"]).startswith("python")]


NEEDED: Mapping[str, tuple[str, Need]] = {
    "composite_alarms": (
        "alarms of one cause arrive as one message",
        lambda stack: stack.of_type("AWS::CloudWatch::CompositeAlarm"),
    ),
    "custom_resources": (
        "a stage with retain = false empties its bucket by a custom resource, and `cdk destroy` waits for it",
        lambda stack: source_has("auto_delete_objects", "infra"),
    ),
    "denials": (
        "a missing grant is found by the denial's text: every function has a role of its own",
        lambda stack: len(stack.of_type("AWS::IAM::Role")) > len(stack.functions) / 2,
    ),
    "distributed_map": (
        "a batch is a Distributed Map with ItemReader and ResultWriter; its children are counted in order",
        lambda stack: [each for each in states(stack) if "ItemReader" in each and "ResultWriter" in each],
    ),
    "emf_metrics": (
        "alarms look at metrics that functions print",
        lambda stack: [
            each for each in stack.of_type("AWS::CloudWatch::Alarm").values() if each.get("Namespace") == "Dossier"
        ],
    ),
    "executions": (
        "`dossier cancel` stops executions, and the same drop starts the same execution twice",
        lambda stack: {"states:StartExecution"} <= actions(stack) and source_has("stop_execution", "layers"),
    ),
    "expression_alarms": (
        "with reserve_concurrency, an alarm subtracts the bounded functions' throttles",
        lambda stack: source_has("MathExpression", "infra"),
    ),
    "forked_environments": (
        "functions share packages whose import takes most of a cold start",
        lambda stack: [each for each in python_functions(stack) if len(each.get("Layers", [])) > 1],
    ),
    "function_logs": (
        "every function has a log group, and only its own role may write there",
        lambda stack: {"logs:CreateLogStream", "logs:PutLogEvents"} <= actions(stack),
    ),
    "imported_resources": (
        "a new stack attaches table and bucket that an earlier one left (docs/deploy.md)",
        lambda stack: "--import-existing-resources" in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"),
    ),
    "lambda_concurrency": (
        "a Map starts as many functions at once as its connection allows",
        lambda stack: [each for each in inline_maps(stack) if each.get("MaxConcurrency") != 1],
    ),
    "lambda_runtime": (
        "retriers and catchers name errors by the exception's class",
        lambda stack: python_functions(stack) and [each for each in retriers(stack) if is_named(each)],
    ),
    "limits": (
        "inputs and answers must fit into 256 KiB: the state machine passes keys, not documents",
        machines,
    ),
    "loopback_tls": (
        "the bucket's policy denies what does not come over TLS",
        lambda stack: "aws:SecureTransport" in json.dumps(stack.one("AWS::S3::BucketPolicy")),
    ),
    "missing_objects": (
        "functions read objects that may be missing, with roles that may not list the bucket",
        lambda stack: [
            verb
            for verb in stack.functions
            if (granted := {action for each in stack.statements(verb) for action in each["Action"]})
            and "s3:GetObject" in granted
            and "s3:ListBucket" not in granted
        ],
    ),
    "nested_executions": (
        "a batch starts each case as an execution and waits for it",
        lambda stack: tasks(stack, "startExecution.sync:2"),
    ),
    "parsed_expressions": (
        "the list of cases is a query of the first of many items of an index partition",
        lambda stack: [
            each
            for each in stack.of_type("AWS::DynamoDB::Table").values()
            if any(len(index["KeySchema"]) > 1 for index in each.get("GlobalSecondaryIndexes", []))
        ],
    ),
    "permission_resources": (
        "`dossier doctor` describes the bus, `dossier redrive` moves dead letters, a batch describes its Map Run",
        lambda stack: (
            source_has("describe_event_bus", "cli", "layers") and source_has("describe_map_run", "cli", "layers")
        ),
    ),
    "queue_pollers": (
        "queues feed functions",
        lambda stack: stack.of_type("AWS::Lambda::EventSourceMapping"),
    ),
    "requests": (
        "`make scale-count` compares what the simulation counts with what the local AWS was asked",
        lambda stack: source_has("DOSSIER_LOCAL_REQUESTS", "tests/simulation"),
    ),
    "retries": (
        "retriers bound their delay and draw it",
        lambda stack: [each for each in retriers(stack) if "MaxDelaySeconds" in each and "JitterStrategy" in each],
    ),
    "saving": (
        "what a person has submitted to the local AWS stays when the machine is switched off",
        lambda stack: stack.one("AWS::DynamoDB::Table"),
    ),
    "secret_references": (
        "roles name secrets by Ref",
        lambda stack: any(
            {"Ref": name} in flat(stack.template) for name in stack.of_type("AWS::SecretsManager::Secret")
        ),
    ),
    "shared_layers": (
        "functions share layers of third-party packages",
        lambda stack: (
            stack.of_type("AWS::Lambda::LayerVersion")
            and [each for each in python_functions(stack) if each.get("Layers")]
        ),
    ),
    "state_machine_role": (
        "a missing grant of the state machine shows on the local AWS",
        lambda stack: [each for each in states(stack) if each["Type"] == "Task"],
    ),
    "task_timeouts": (
        "a wait's time limit is the case's deadline, which is computed",
        lambda stack: [each for each in states(stack) if str(each.get("TimeoutSeconds", "")).startswith("{%")],
    ),
    "task_tokens": (
        "polls and questions are task tokens, which functions answer",
        lambda stack: tasks(stack, ".waitForTaskToken") and "states:SendTaskSuccess" in actions(stack),
    ),
    "worker_pools": (
        "the chaos tests kill single environments of functions that have several",
        lambda stack: source_has("def killing", "tests/chaos"),
    ),
}


def inline_maps(stack: Synthesized) -> list[dict[str, Any]]:
    """Return the Map states inside an execution."""
    found = [each for each in states(stack) if each["Type"] == "Map"]
    return [each for each in found if each["ItemProcessor"]["ProcessorConfig"]["Mode"] == "INLINE"]


def is_named(retrier: Mapping[str, Any]) -> bool:
    """Return whether a retrier names errors of Dossier's own."""
    return any("." not in name for name in retrier["ErrorEquals"])


def flat(value: Any) -> list[Any]:
    """Return every object inside a value."""
    match value:
        case dict():
            return [value, *(each for inner in value.values() for each in flat(inner))]
        case list():
            return [each for inner in value for each in flat(inner)]
    return []


def test_every_bridge_has_its_reason() -> None:
    """A bridge without an entry here, or an entry without a bridge, fails."""
    modules = {path.stem for path in BRIDGES.glob("*.py")} - PARTS
    assert modules == set(NEEDED)


@pytest.mark.parametrize("bridge", NEEDED)
def test_the_stack_needs_the_bridge(stack: Synthesized, bridge: str) -> None:
    """Once the stack no longer needs it, the bridge goes."""
    why, needed = NEEDED[bridge]
    assert needed(stack), f"nothing needs the bridge {bridge} any more: {why}"


def test_production_code_never_imports_the_local_aws() -> None:
    """What runs in the cloud, and the command line against it, work without the folder ``local``."""
    importers = {
        str(path.relative_to(ROOT))
        for folder in ("functions", "infra", "layers/shared/python")
        for path in (ROOT / folder).rglob("*.py")
        if "from local" in path.read_text(encoding="utf-8") or "import local" in path.read_text(encoding="utf-8")
    }
    assert importers == set()
