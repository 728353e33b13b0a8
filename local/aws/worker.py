"""The process of one execution environment of a Python function: loads the handler, then serves invocations.

MiniStack starts this file as a script with the functions' interpreter (see ``bridges/lambda_runtime.py``), so it
imports only the standard library. It uses MiniStack's protocol (one JSON document a line, in and out) and behaves like
AWS's runtime where MiniStack's script does not:

- it reports an exception by its class name and survives it (MiniStack's script names every failure
  ``Runtime.HandlerError``, and its process is dropped);
- the handler cannot reach the protocol: it has its own file descriptors 0 and 1, as in Lambda;
- the environment has Lambda's variables and the function's, without those of the server;
- memory is limited to the function's size, and running out of memory ends the environment.

See https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html for the shape of errors.
"""

import importlib
import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

FAILURE = "local.aws/failure"
"""The key of a reply that has an error in place of a result."""
END_OF_LOG = "\x00local.aws/end-of-log"
"""Ends an invocation's log on stderr, so that the server knows when it has read it completely."""
LAYER_POINTER = ".unpacked-at"
"""A file in place of a layer's content, with the path of the folder that has the unpacked content."""
_MIB = 1 << 20
# RLIMIT_DATA also counts memory that is reserved without being used.
_SLACK_MIB = 64
_MAX_REPLY = 6 * _MIB + 100
_KEPT = ("AWS_", "LAMBDA_", "_LAMBDA_", "_X_AMZN_", "LD_LIBRARY_PATH", "PATH", "LANG", "LC_", "TMPDIR", "TZ")

Handler = Callable[[Any, Any], Any]


class Context:
    """The context that Lambda passes to a handler.

    See https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.
    """

    identity = None
    client_context = None

    def __init__(self, init: dict[str, Any], call: dict[str, Any]) -> None:
        self.function_name: str = init["function_name"]
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb: int = init["memory"]
        self.invoked_function_arn: str = call.get("invoked_function_arn", init["arn"])
        self.aws_request_id: str = call["request_id"]
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline = time.monotonic() + call["timeout_ms"] / 1000

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def _take_protocol() -> tuple[TextIO, TextIO]:
    """Return the protocol's two streams; give the handler an empty stdin, and the log as its stdout."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:  # noqa: PTH123 - only the descriptor is needed
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _set_environment(init: dict[str, Any]) -> None:
    own = init["env"]
    for name in [name for name in os.environ if name not in own and not name.startswith(_KEPT)]:
        del os.environ[name]
    os.environ.update(own)
    os.environ.setdefault("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/" + init["function_name"])
    os.environ.setdefault("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    os.environ.setdefault("_HANDLER", f"{init['module']}.{init['handler']}")
    # sys.path as in Lambda: the code, then the layers, in place of the folder of this script.
    layers = [layer(Path(folder)) for folder in os.environ.pop("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep) if folder]
    sys.path[0:1] = [init["code_dir"], *reversed(layers)]


def layer(folder: Path) -> str:
    """Return the folder with a layer's packages, given the folder that the server has unpacked it in."""
    pointer = folder / LAYER_POINTER
    return str((Path(pointer.read_text(encoding="utf-8")) if pointer.is_file() else folder) / "python")


def _limit_memory(mebibytes: int) -> None:
    threading.stack_size(_MIB)  # the default of 8 MiB a thread would count against the limit
    limit = (mebibytes + _SLACK_MIB) * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _load(module: str, name: str) -> Handler:
    """Return the handler, or fail as Lambda's runtime words it."""
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise InitError("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}") from error
    except SyntaxError as error:
        raise InitError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}") from error
    except Exception as error:
        raise InitError(type(error).__name__, str(error)) from error
    try:
        handler: Handler = getattr(loaded, name)
    except AttributeError as error:
        raise InitError("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module}'") from error
    return handler


class InitError(Exception):
    """The handler could not be loaded; ``error_type`` is AWS's name of the error."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class ReplyError(Exception):
    """The handler's result is larger than Lambda's limit."""

    def __init__(self) -> None:
        super().__init__(f"Response payload size exceeded maximum allowed payload size ({_MAX_REPLY} bytes).")


def _failure(error_type: str, error: BaseException, request_id: str) -> dict[str, Any]:
    stack = traceback.format_tb(error.__traceback__)[1:]  # without this file's own frame
    print(f"[ERROR] {error_type}: {error}\nTraceback (most recent call last):\n{''.join(stack)}", file=sys.stderr)  # noqa: T201
    return {"errorMessage": str(error), "errorType": error_type, "requestId": request_id, "stackTrace": stack}


def _invoke(handler: Handler, event: Any, context: Context) -> str:
    """Return one invocation's reply. The environment survives only errors that derive from ``Exception``."""
    try:
        result = handler(event, context)
    except MemoryError:
        os._exit(137)  # the exit code of a process that the kernel kills
    except Exception as error:  # noqa: BLE001 - a handler may raise anything
        return json.dumps({FAILURE: _failure(type(error).__name__, error, context.aws_request_id)})
    try:
        reply = json.dumps(result)
        if len(reply) > _MAX_REPLY:
            raise ReplyError
    except ReplyError as error:
        return json.dumps({FAILURE: _failure("Function.ResponseSizeTooLarge", error, context.aws_request_id)})
    except (TypeError, ValueError) as error:
        return json.dumps({FAILURE: _failure("Runtime.MarshalError", error, context.aws_request_id)})
    return reply


def _set_call_variables(call: dict[str, Any]) -> None:
    if call.get("trace_id"):
        os.environ["_X_AMZN_TRACE_ID"] = call["trace_id"]
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def main() -> None:
    """Load the handler, report that, and serve until the server closes the pipe."""
    requests, replies = _take_protocol()

    def reply(line: str) -> None:
        replies.write(line + "\n")
        replies.flush()

    init = json.loads(requests.readline())
    _set_environment(init)
    _limit_memory(init["memory"])
    try:
        handler = _load(init["module"], init["handler"])
    except InitError as error:
        failure = json.dumps({"errorMessage": str(error), "errorType": error.error_type})
        reply(json.dumps({"status": "error", "error": failure}))
        return
    reply(json.dumps({"status": "ready"}))
    for line in requests:
        request = json.loads(line)
        _set_call_variables(request["ctx"])
        result = _invoke(handler, request["event"], Context(init, request["ctx"]))
        print(END_OF_LOG, file=sys.stderr, flush=True)  # noqa: T201
        reply('{"status": "ok", "result": ' + result + "}")


if __name__ == "__main__":
    main()
