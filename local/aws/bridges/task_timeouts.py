"""A task's time limits may be computed, and no task starts in an execution that has ended.

AWS takes ``TimeoutSeconds`` and ``HeartbeatSeconds`` as numbers, as JSONata expressions, or by path. MiniStack takes
only numbers: it ignores a path, and an expression ends the execution with a Python error. It also continues the
iterations of a Map after the execution was stopped or timed out. The bridge resolves the fields before the state runs,
and checks the execution before each task and each attempt.
"""

from collections.abc import Callable
from typing import Any

from local.aws.bridges.current_task import current, task_of
from local.aws.pinned import replace, stepfunctions

_FIELDS = ("TimeoutSeconds", "HeartbeatSeconds")


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_execute_task", "state_def, raw_input, execution, ctx", _execute)
    replace(stepfunctions, "_invoke_resource", "resource, input_data", _invoke)


def _execute(
    original: Callable[..., Any], state: dict[str, Any], raw_input: Any, execution: dict[str, Any], ctx: dict[str, Any]
) -> Any:
    scope = current.set(task_of(execution))
    try:
        return original(_with_limits(state, raw_input, ctx), raw_input, execution, ctx)
    finally:
        current.reset(scope)


def _with_limits(state: dict[str, Any], raw_input: Any, ctx: dict[str, Any]) -> dict[str, Any]:
    state = dict(state)
    jsonata = stepfunctions._state_query_language(state, ctx) == "JSONata"
    for field in _FIELDS:
        if jsonata and isinstance(state.get(field), str):
            state[field] = stepfunctions._jsonata_state_field(state, field, "number", raw_input, ctx)
        elif f"{field}Path" in state:
            state[field] = stepfunctions._resolve_path_or_ctx(state[f"{field}Path"], raw_input, ctx)
    return state


def _invoke(original: Callable[..., Any], resource: str, input_data: Any) -> Any:
    task = current.get()
    if task is not None and task.stopped:
        raise stepfunctions._ExecutionError("States.Runtime", "the execution has ended")
    return original(resource, input_data)
