"""Step Functions' quotas on names and payloads, and the errors that ``States.ALL`` does not catch.

AWS rejects an execution name of more than 80 characters or with characters other than letters, digits, ``-``, ``_`` and
a few more, and an input or a task's answer above 256 KiB; a state whose result is larger fails with
``States.DataLimitExceeded``. Only their own names match that error and ``States.Runtime``
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html, .../concepts-error-handling.html). MiniStack
checks nothing of this, so a case could work here and fail on AWS. The bridge adds the checks.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from local.aws.pinned import replace, responses, stepfunctions

_KIB_256 = 262_144
_LENGTHS = {"input": _KIB_256, "output": _KIB_256, "cause": 32_768, "error": 256}
# Characters that StartExecution rejects in a name: white space, brackets, wildcards, specials and control characters.
_REJECTED = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]')
_TERMINAL = ("States.DataLimitExceeded", "States.Runtime")


def install() -> None:
    """Install the bridge."""
    for action in ("_start_execution", "_send_task_success", "_send_task_failure"):
        replace(stepfunctions, action, "data", _request)
    replace(stepfunctions, "_invoke_resource", "resource, input_data", _invoke)
    replace(stepfunctions, "_error_matches", "error_equals, error", _matches)
    replace(stepfunctions, "_execute_map", "state_def, raw_input, execution, ctx", _state)
    replace(stepfunctions, "_execute_parallel", "state_def, raw_input, execution, ctx", _state)
    replace(stepfunctions, "_execute_pass", "state_def, raw_input, ctx", _state)


def _request(original: Callable[..., Any], data: dict[str, Any]) -> Any:
    name = data.get("name")
    if name is not None and (not 1 <= len(name) <= 80 or _REJECTED.search(name)):
        return responses.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    for field, limit in _LENGTHS.items():
        if len(str(data.get(field) or "").encode()) > limit:
            message = (
                f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {limit}"
            )
            return responses.error_response_json("ValidationException", message, 400)
    return original(data)


def _measure(value: Any, what: str) -> None:
    if len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) > _KIB_256:
        cause = f"{what} returned a result with a size exceeding the maximum number of bytes service limit."
        raise stepfunctions._ExecutionError("States.DataLimitExceeded", cause)


def _invoke(original: Callable[..., Any], resource: str, input_data: Any) -> Any:
    result = original(resource, input_data)
    _measure(result, f"The state/task '{resource}'")
    return result


def _state(original: Callable[..., Any], state: dict[str, Any], *args: Any) -> Any:
    output, following = original(state, *args)
    _measure(output, f"The {state['Type']} state")
    return output, following


def _matches(original: Callable[..., bool], error_equals: list[str], error: str) -> bool:
    return error in error_equals if error in _TERMINAL else original(error_equals, error)
