"""Executions end once, and start once.

On AWS a final status never changes, and a second ``StartExecution`` with the name and input of a running Standard
execution returns its ARN (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).

MiniStack turns an execution that was stopped into ``FAILED`` once the current state ends with an error, and rejects the
second start with ``ExecutionAlreadyExists``. The bridge protects a final status, and answers a second start as AWS
does.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import arn, replace, responses, stepfunctions


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_fail_execution", "execution, error, cause", _fail)
    replace(stepfunctions, "_start_execution", "data", _start)


def _fail(original: Callable[..., None], execution: dict[str, Any], error: str, cause: str) -> None:
    if execution["status"] == "RUNNING":
        original(execution, error, cause)


def _start(original: Callable[..., Any], data: dict[str, Any]) -> Any:
    machine = stepfunctions._state_machines.get(data.get("stateMachineArn")) or {}
    name = f"execution:{machine.get('name')}:{data.get('name')}"
    running = stepfunctions._executions.get(arn("states", name))
    if running and running["status"] == "RUNNING" and running["input"] == data.get("input", "{}"):
        answer = {"executionArn": running["executionArn"], "startDate": running["startDate"]}
        return responses.json_response(answer)
    return original(data)
