"""Python functions run as in Lambda: error names, a private stdout, a memory limit, and an interpreter of their own.

AWS reports a handler's exception by its class name (``errorType``), which Step Functions matches in ``Retry`` and
``Catch``; the environment survives it. What goes wrong outside the handler has names of its own: ``Runtime.ExitError``,
``Runtime.ImportModuleError``, ``Runtime.HandlerNotFound``. The handler's prints are the log, and memory is limited.

MiniStack names every failure ``Runtime.HandlerError``, takes a line that a handler writes to descriptor 1 for the
reply, throws the process away after each exception, limits no memory, leaves out what a function logged last when the
machine is slow, waits 50 ms when it logged nothing, and runs every function with the server's own interpreter and
packages.

Bridged by a worker script of our own (``local/aws/worker.py``), run by the interpreter that
``DOSSIER_FUNCTIONS_PYTHON`` names: an environment with boto3 alone, as Lambda's, so that what is not packaged fails
here too. Functions of other runtimes are left as they are.
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
    """Name a failure outside the handler as AWS does."""
    message = str(body.get("errorMessage", ""))
    if message.startswith(_INIT_FAILED + "{"):
        return {**json.loads(message.removeprefix(_INIT_FAILED)), "requestId": request_id, "stackTrace": []}
    if message.startswith(("Worker process died", "Worker process exited")):
        reason = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
        return {"errorMessage": reason, "errorType": "Runtime.ExitError"}
    return body


def _read_log(original: Callable[..., str], self: Any, *args: Any, **kwargs: Any) -> str:
    """Read the invocation's whole log: up to the worker's mark, or for as long as MiniStack itself would wait."""
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
