"""Task tokens: errors of the integration, heartbeats, one token an attempt, and AWS's answers to late ones.

On AWS a ``.waitForTaskToken`` task fails at once when the integration itself does (the Lambda function raises, the
queue is gone); it fails with ``States.HeartbeatTimeout`` when ``HeartbeatSeconds`` pass without a heartbeat; every
attempt has its own token; the end of the execution closes it. ``SendTask*`` answers ``TaskTimedOut`` for a token
that was valid once and ``InvalidToken`` for anything else, and is authorized on the token's state machine
(https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html).

MiniStack swallows the function's error and waits until the task's timeout, ignores ``HeartbeatSeconds``, gives every
attempt the same token, leaves it open after the execution has ended, answers ``TaskDoesNotExist``, and authorizes
``SendTask*`` on the resource ``*``, so it denies calls that ``grant_task_response`` allows. The bridge replaces the
wait.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from local.aws.bridges.current_task import current
from local.aws.pinned import arn, iam_actions, replace, responses, stepfunctions

_LOOK = 0.2  # seconds between two checks for a heartbeat
_FOREVER = 99_999_999.0
_MARK = ".waitForTaskToken"
# Every token so far, with the ARN of its state machine: distinguishes a late answer from an invented one.
_machines: dict[str, str] = {}
# The calls that wait for an answer now, by the ARN of their execution.
_waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_invoke_with_callback", "resource, input_data, token, state_def", _wait)
    replace(stepfunctions, "_apply_jsonata_arguments", "state_def, raw_input, ctx", _arguments)
    replace(stepfunctions, "_call_lambda", "func_ref, event", _call_lambda)
    replace(stepfunctions, "_stop_execution", "data", _stop)
    for action in ("_send_task_success", "_send_task_failure", "_send_task_heartbeat"):
        replace(stepfunctions, action, "data", _answer)
    takes = "service, method, path, headers, body, query_params, region, account_id"
    replace(iam_actions, "extract_resource_arn", takes, _resource)


def close(execution_arn: str) -> None:
    """End every wait of an execution that has ended."""
    for call in list(_waiting.get(execution_arn, ())):
        call["event"].set()


def _wait(_original: Callable[..., Any], resource: str, input_data: Any, token: str, state: dict[str, Any]) -> Any:
    task = current.get()
    started = time.monotonic()
    call: dict[str, Any] = {"event": threading.Event(), "result": None, "error": None, "heartbeat": None}
    _machines[token] = task.machine_arn if task else ""
    stepfunctions._task_tokens[token] = call
    waiting = _waiting[task.execution["executionArn"] if task else ""]
    waiting.append(call)
    try:
        stepfunctions._invoke_resource(resource.replace(_MARK, ""), input_data)
        _await_answer(call, state, started)
    finally:
        waiting.remove(call)
        stepfunctions._task_tokens.pop(token, None)
    if task is not None and task.stopped:
        raise stepfunctions._ExecutionError("States.Runtime", "the execution has ended")
    if call["error"]:
        raise stepfunctions._ExecutionError(call["error"]["Error"], call["error"]["Cause"])
    try:
        return json.loads(call["result"])
    except (TypeError, ValueError):
        return call["result"]


def _await_answer(call: dict[str, Any], state: dict[str, Any], started: float) -> None:
    """Return once the token is answered or closed.

    Raises:
        _ExecutionError: when the task or a heartbeat times out.

    """
    deadline = started + float(state.get("TimeoutSeconds", _FOREVER))
    interval = float(state.get("HeartbeatSeconds", _FOREVER))
    look = _LOOK if "HeartbeatSeconds" in state else _FOREVER  # thousands may wait, so none wakes for nothing
    beat, heard = call["heartbeat"], time.monotonic()
    while not call["event"].wait(min(look, max(0.0, deadline - time.monotonic()))):
        now = time.monotonic()
        if call["heartbeat"] != beat:
            beat, heard = call["heartbeat"], now
        if now >= deadline:
            raise stepfunctions._ExecutionError("States.Timeout", "")
        if now - heard >= interval:
            raise stepfunctions._ExecutionError("States.HeartbeatTimeout", "")


def _arguments(original: Callable[..., Any], state: dict[str, Any], raw_input: Any, ctx: dict[str, Any]) -> Any:
    if _MARK in state.get("Resource", "") and ctx["State"]["RetryCount"]:
        ctx["Task"]["Token"] = responses.new_uuid()
    return original(state, raw_input, ctx)


def _call_lambda(original: Callable[..., Any], func_ref: str, event: Any) -> Any:
    try:
        return original(func_ref, event)
    except stepfunctions._ExecutionError as error:
        # MiniStack names a throttled call Lambda.Unknown.
        if error.error == "Lambda.Unknown" and "TooManyRequestsException" in str(error.cause):
            error.error = "Lambda.TooManyRequestsException"
        raise


def _stop(original: Callable[..., Any], data: dict[str, Any]) -> Any:
    answer = original(data)
    if answer[0] < 300:
        close(data["executionArn"])
    return answer


def _answer(original: Callable[..., Any], data: dict[str, Any]) -> Any:
    token = data.get("taskToken")
    if token in stepfunctions._task_tokens:
        return original(data)
    if token in _machines:
        message = "Task Timed Out: 'Provided task does not exist anymore'"
        return responses.error_response_json("TaskTimedOut", message, 400)
    return responses.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)


def _resource(original: Callable[..., str], service: str, *args: Any, **kwargs: Any) -> str:
    body = kwargs.get("body", args[3] if len(args) > 3 else b"")
    if service == "states" and b"taskToken" in (body or b""):
        token = str(iam_actions._safe_json_field(body, "taskToken"))
        return _machines.get(token) or arn("states", "stateMachine:unknown")
    return original(service, *args, **kwargs)
