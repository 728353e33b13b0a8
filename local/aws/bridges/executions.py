"""Executions end in time, end once, and start once.

On AWS a machine's ``TimeoutSeconds`` ends the execution as ``TIMED_OUT``; a final status never changes; and a second
``StartExecution`` with the name and input of a running Standard execution returns its ARN
(https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).

MiniStack ignores the machine's ``TimeoutSeconds``, turns an execution that was stopped or timed out into ``FAILED``
once the current state ends with an error, and rejects the second start with ``ExecutionAlreadyExists``. The bridge adds
a timer to each execution that has a limit, protects a final status, and answers a second start as AWS does.
"""

import contextvars
import json
import threading
from collections.abc import Callable
from typing import Any

from local.aws.bridges.task_tokens import close
from local.aws.pinned import arn, replace, responses, stepfunctions


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_run_execution", "exec_arn", _run)
    replace(stepfunctions, "_fail_execution", "execution, error, cause", _fail)
    replace(stepfunctions, "_start_execution", "data", _start)


def _run(original: Callable[[str], None], exec_arn: str) -> None:
    execution = stepfunctions._executions.get(exec_arn) or {}
    machine = stepfunctions._state_machines.get(execution.get("stateMachineArn")) or {}
    try:
        limit = json.loads(machine.get("definition", "{}")).get("TimeoutSeconds")
    except ValueError:
        limit = None  # MiniStack reports a definition that is not JSON
    if not limit:
        original(exec_arn)
        return
    timer = threading.Timer(float(limit), contextvars.copy_context().run, (_time_out, execution))
    timer.daemon = True
    timer.start()
    try:
        original(exec_arn)
    finally:
        timer.cancel()


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution.update(status="TIMED_OUT", stopDate=stepfunctions.now_iso(), error="States.Timeout")
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
    stepfunctions._add_event(execution, "ExecutionTimedOut", details)
    stepfunctions._emit_execution_status_event(execution)
    close(execution["executionArn"])


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
