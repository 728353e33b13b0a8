"""Python functions run as in Lambda: with its error names, a private stdout, a memory limit, and their own interpreter.

AWS reports a handler's exception by its class name (``errorType``), which Step Functions matches in ``Retry`` and
``Catch``; the environment survives it. Failures outside the handler have their own names: ``Runtime.ExitError``,
``Runtime.ImportModuleError``, ``Runtime.HandlerNotFound``. The handler's prints are the log, and memory is limited.

MiniStack names every failure ``Runtime.HandlerError``, takes a line that a handler writes to descriptor 1 for the
reply, drops the process after each exception, limits no memory, loses the end of a function's log when the machine is
slow, waits 50 ms when there is no log, and runs every function with the server's own interpreter and packages.

The bridge runs its own worker script (``local/aws/worker.py``) with the interpreter that ``DOSSIER_FUNCTIONS_PYTHON``
names. That environment has only boto3, as Lambda's has, so that a package that is not deployed fails here too.
Functions of other runtimes are unchanged.
"""

import json
import os
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.aws import worker
from local.aws.pinned import lambda_runtime, lambda_service, replace, require

_SCRIPT = Path(worker.__file__).read_text(encoding="utf-8")
_LOG_DEADLINE = 0.5
_INIT_FAILED = "Worker init failed: "


def install() -> None:
    """Install the bridge."""
    stock = lambda_runtime._PYTHON_WORKER_SCRIPT
    for part in ('init["code_dir"]', '_ms_msg["event"]', '"status": "ready"'):
        require(part in stock, f"the worker's protocol ({part})")
    replace(lambda_runtime, "_detect_runtime_binary", "runtime", _interpreter)
    replace(lambda_service, "_execute_function_warm", "func, event, request_id", _execute)
    replace(lambda_runtime.Worker, "_drain_stderr_bounded", "self, first_line_wait, idle_confirm, hard_cap", _read_log)


def _interpreter(original: Callable[[str], tuple[str, str]], runtime: str) -> tuple[str, str]:
    if runtime.startswith("python"):
        return os.environ["DOSSIER_FUNCTIONS_PYTHON"], _SCRIPT
    return original(runtime)


def _execute(original: Callable[..., dict[str, Any]], func: Any, event: Any, request_id: str) -> dict[str, Any]:
    outcome = original(func, event, request_id)
    body = outcome.get("body")
    if isinstance(body, dict) and worker.FAILURE in body:
        return {**outcome, "body": body[worker.FAILURE], "error": True}
    if outcome.get("error") and isinstance(body, dict):
        outcome["body"] = _runtime_error(body, request_id)
    return outcome


def _runtime_error(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """Give a failure outside the handler AWS's name."""
    message = str(body.get("errorMessage", ""))
    if message.startswith(_INIT_FAILED + "{"):
        return {**json.loads(message.removeprefix(_INIT_FAILED)), "requestId": request_id, "stackTrace": []}
    if message.startswith(("Worker process died", "Worker process exited")):
        reason = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
        return {"errorMessage": reason, "errorType": "Runtime.ExitError"}
    return body


def _read_log(original: Callable[..., str], self: Any, *args: Any, **kwargs: Any) -> str:
    """Read the invocation's log up to the worker's mark, or for as long as MiniStack itself would wait."""
    if not str(self.config.get("Runtime", "")).startswith("python"):
        return original(self, *args, **kwargs)
    lines: list[str] = []
    deadline = time.monotonic() + _LOG_DEADLINE
    while time.monotonic() < deadline:
        try:
            line: str = self._stderr_queue.get(timeout=0.02)
        except queue.Empty:
            if self._proc is None:
                break
            continue
        if line.endswith(worker.END_OF_LOG):
            lines.append(line.removesuffix(worker.END_OF_LOG))
            break
        lines.append(line)
    return "\n".join(line for line in lines if line)
