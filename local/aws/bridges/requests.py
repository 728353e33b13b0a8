"""The requests of functions to AWS, and their invocations, are written to a file, so that a command can count them.

On AWS a bill and CloudTrail say how many requests were made; MiniStack counts nothing. With ``DOSSIER_LOCAL_REQUESTS``
the bridge appends a line to that file for each request of a role (``call``, the role, the action), each invocation of a
function (``invoke``, the function, ``lambda:Invoke``), each Task state that is entered (``task``, the state without
blanks, ``states:Enter``) and each repetition of one (``retry``, the error, ``states:Enter``): the history of an
execution leaves out the states of a Map.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from local.aws.pinned import iam_evaluator, lambda_service, replace, stepfunctions

VARIABLE = "DOSSIER_LOCAL_REQUESTS"


def install() -> None:
    """Install the bridge, if a file is named."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 -- until the server ends
    takes = "access_key_id, iam_action, service, region, resource_arn, service_context"
    replace(iam_evaluator, "enforce", takes, _Writer(file).enforce)
    takes = "func, request_id, log_text, error, duration_ms, log_source"
    replace(lambda_service, "_emit_lambda_logs", takes, _Writer(file).invoke)
    replace(stepfunctions, "_execute_task", "state_def, raw_input, execution, ctx", _Writer(file).task)
    replace(stepfunctions, "_find_matching_retrier", "retriers, error, retry_counts", _Writer(file).retry)


class _Writer:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def enforce(
        self, original: Callable[..., Any], access_key_id: str, iam_action: str, *args: Any, **rest: Any
    ) -> Any:
        caller = iam_evaluator.caller_arn()
        if ":assumed-role/" in caller or ":role/" in caller:
            self._file.write(f"call {caller} {iam_action}\n")
        return original(access_key_id, iam_action, *args, **rest)

    def invoke(self, original: Callable[..., Any], func: Any, *args: Any, **rest: Any) -> Any:
        self._file.write(f"invoke {(func.get('config') or func)['FunctionName']} lambda:Invoke\n")
        return original(func, *args, **rest)

    def retry(self, original: Callable[..., Any], retriers: Any, error: str, retry_counts: Any) -> Any:
        found = original(retriers, error, retry_counts)
        if found[0] is not None:
            self._file.write(f"retry {error.replace(' ', '-')} states:Enter\n")
        return found

    def task(self, original: Callable[..., Any], state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        self._file.write(f"task {ctx['State']['Name'].replace(' ', '-')} states:Enter\n")
        return original(state_def, raw_input, execution, ctx)
