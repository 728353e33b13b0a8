"""A task that starts an execution names its errors as AWS does, and ``.sync:2`` waits for a whole execution.

On AWS the task starts the execution as ``StartExecution`` would: a name that is taken is
``StepFunctions.ExecutionAlreadyExistsException``, unless an execution of the same name and input is running. The
execution sends its status events; its failure is the task's ``States.TaskFailed``. If the task's own execution is
stopped, the nested one goes on unless the role may stop it
(https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html).

MiniStack names errors without the service, and ``.sync:2`` replaces an execution of the same name and sends no events.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from local.aws.bridges.current_task import current
from local.aws.pinned import replace, stepfunctions

_LOOK = 0.1  # seconds between two looks at a nested execution


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_invoke_nested_start_execution", "resource, input_data", _start)
    replace(stepfunctions, "_invoke_nested_start_execution_sync", "resource, input_data", _sync)


def _start(_original: Callable[..., Any], _resource: str, input_data: dict[str, Any]) -> dict[str, Any]:
    request = stepfunctions._nested_start_execution_request(input_data)
    status, _headers, body = stepfunctions._start_execution(request)
    answer = json.loads(body) if body else {}
    if status >= 400:
        name = str(answer.get("__type", "AWSStepFunctions")).rpartition("#")[2]
        raise stepfunctions._ExecutionError(f"StepFunctions.{name}Exception", answer.get("message", ""))
    return {"ExecutionArn": answer["executionArn"], "StartDate": answer["startDate"]}


def _sync(original: Callable[..., Any], resource: str, input_data: dict[str, Any]) -> dict[str, Any]:
    started = _start(original, resource, input_data)
    nested, task = stepfunctions._executions[started["ExecutionArn"]], current.get()
    while nested["status"] == "RUNNING":
        if task is not None and task.stopped:
            raise stepfunctions._ExecutionError("States.Runtime", "the execution has ended")
        time.sleep(_LOOK)
    output = nested.get("output")
    report = {
        **started,
        "Name": nested["name"],
        "StateMachineArn": nested["stateMachineArn"],
        "Status": nested["status"],
        "Input": json.loads(nested["input"]) if resource.endswith(".sync:2") else nested["input"],
    }
    if nested["status"] != "SUCCEEDED":
        failure = {"Error": nested.get("error") or "", "Cause": nested.get("cause") or ""}
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps({**report, **failure}))
    return {**report, "Output": json.loads(output) if output and resource.endswith(".sync:2") else output}
