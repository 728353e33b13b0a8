from typing import Any

from tests.local.aws import Aws, token_task


def _started(aws: Aws, items: int, *, at_once: int) -> tuple[str, str]:
    """Start a Map Run whose children wait; return the execution's ARN and the run's."""
    wait = token_task(aws.function("def handle(event, context): ..."))
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"ProcessorConfig": config, "StartAt": "Wait", "States": {"Wait": wait}}
    state = {"Type": "Map", "Label": "cases", "ItemProcessor": processor, "MaxConcurrency": at_once, "End": True}
    execution = aws.start(
        aws.machine({"Each": {**state, "Items": "{% $states.input.numbers %}"}}), {"numbers": [*range(items)]}
    )
    runs = aws.until(lambda: aws.stepfunctions.list_map_runs(executionArn=execution)["mapRuns"], bool)
    return execution, runs[0]["mapRunArn"]


def _counts(aws: Aws, run: str, *wanted: tuple[str, int]) -> dict[str, Any]:
    """Wait until a Map Run counts its items like this; return all that it says."""
    return dict(
        aws.until(
            lambda: aws.stepfunctions.describe_map_run(mapRunArn=run),
            lambda found: all(found["itemCounts"][name] == number for name, number in wanted),
        )
    )


def test_more_children_run_at_once_when_they_may(aws: Aws) -> None:
    """UpdateMapRun takes effect while the run is under way."""
    execution, run = _started(aws, 5, at_once=1)
    assert _counts(aws, run, ("running", 1), ("pending", 4))["maxConcurrency"] == 1

    aws.stepfunctions.update_map_run(mapRunArn=run, maxConcurrency=3)

    assert _counts(aws, run, ("running", 3))["itemCounts"]["pending"] == 2
    aws.stepfunctions.stop_execution(executionArn=execution)


def test_a_stopped_parent_aborts_its_run(aws: Aws) -> None:
    """No child starts any more, and those that run are aborted."""
    execution, run = _started(aws, 3, at_once=1)
    _counts(aws, run, ("running", 1))

    aws.stepfunctions.stop_execution(executionArn=execution)

    found = _counts(aws, run, ("aborted", 3))
    assert (found["status"], found["itemCounts"]["running"], found["itemCounts"]["pending"]) == ("ABORTED", 0, 0)
    children = aws.stepfunctions.list_executions(mapRunArn=run)["executions"]
    assert [each["status"] for each in children] == ["ABORTED"]
