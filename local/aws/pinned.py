"""The private parts of MiniStack that the bridges touch, and the means to replace one of them.

MiniStack has no public extension points, so its version is pinned (``requirements/local.txt``) and every replaced
function is checked against the parameters that the bridge was written for. A new version that moved something stops
the server with a sentence that names it, rather than leaving a bridge silently out of use.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from typing import Any

VERSION = "1.5.33"


class PinnedError(RuntimeError):
    """The installed MiniStack is not the one that the bridges were written for."""


if version("ministack") != VERSION:
    raise PinnedError(f"the bridges are written for ministack {VERSION}, this is {version('ministack')}")


def _module(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


app = _module("app")
iam_actions = _module("core.iam_actions")
iam_evaluator = _module("core.iam_evaluator")
lambda_runtime = _module("core.lambda_runtime")
responses = _module("core.responses")
router = _module("core.router")
provisioners = _module("services.cloudformation.provisioners")
custom_resource = _module("services.cloudformation.custom_resource")
cloudwatch = _module("services.cloudwatch")
eventbridge = _module("services.eventbridge")
lambda_service = _module("services.lambda_svc")
s3 = _module("services.s3")
secretsmanager = _module("services.secretsmanager")
sqs = _module("services.sqs")
stepfunctions = _module("services.stepfunctions")


def require(condition: object, what: str) -> None:
    """Stop with a readable error when a private detail that a bridge builds on has changed.

    Raises:
        PinnedError: if the condition is false.

    """
    if not condition:
        raise PinnedError(f"ministack {VERSION} has changed: {what}")


def replace(owner: Any, name: str, takes: str, replacement: Callable[..., Any]) -> None:
    """Put a function in the place of one of MiniStack's.

    Args:
        owner: the module or class that holds the function.
        name: the function's name there.
        takes: the parameter names that the bridge expects it to have, comma separated.
        replacement: is called with the original function first, then with the call's own arguments.

    Raises:
        PinnedError: if the function is missing or takes something else.

    """
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    original = getattr(owner, name, None)
    require(callable(original), f"{where} is gone")
    found = ", ".join(inspect.signature(original).parameters)  # type: ignore[arg-type]
    require(found == takes, f"{where} takes ({found}), the bridge expects ({takes})")

    @functools.wraps(original)  # type: ignore[arg-type]
    def bridged(*args: Any, **kwargs: Any) -> Any:
        return replacement(original, *args, **kwargs)

    setattr(owner, name, bridged)


def replace_entry(table: MutableMapping[str, Any], key: str, replacement: Callable[..., Any]) -> None:
    """Put a function in the place of one that a dispatch table holds; it gets the original first.

    Raises:
        PinnedError: if the table has no such entry.

    """
    require(key in table, f"no entry {key!r}")
    table[key] = functools.partial(replacement, table[key])


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource in the account and region of the request at hand."""
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"
