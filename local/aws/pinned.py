"""The private parts of MiniStack that the bridges use, and functions to replace them.

MiniStack has no public extension points, so its version is pinned (``requirements/local.txt``), and the parameters of
every replaced function are checked. If a new version moves something, the server stops with an error that names it,
instead of running without a bridge.
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
    raise PinnedError(f"the bridges need ministack {VERSION}, but {version('ministack')} is installed")


def _module(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


app = _module("app")
iam_actions = _module("core.iam_actions")
iam_evaluator = _module("core.iam_evaluator")
lambda_runtime = _module("core.lambda_runtime")
responses = _module("core.responses")
router = _module("core.router")
cloudformation = _module("services.cloudformation")
changesets = _module("services.cloudformation.changesets")
provisioners = _module("services.cloudformation.provisioners")
custom_resource = _module("services.cloudformation.custom_resource")
cloudwatch = _module("services.cloudwatch")
dynamodb = _module("services.dynamodb")
eventbridge = _module("services.eventbridge")
lambda_service = _module("services.lambda_svc")
s3 = _module("services.s3")
secretsmanager = _module("services.secretsmanager")
sqs = _module("services.sqs")
stepfunctions = _module("services.stepfunctions")


def require(condition: object, what: str) -> None:
    """Stop with an error if a private detail that a bridge needs has changed.

    Raises:
        PinnedError: if the condition is false.

    """
    if not condition:
        raise PinnedError(f"ministack {VERSION} has changed: {what}")


def replace(owner: Any, name: str, takes: str, replacement: Callable[..., Any]) -> None:
    """Replace one of MiniStack's functions.

    Args:
        owner: the module or class of the function.
        name: the function's name.
        takes: the parameter names that the bridge expects, separated by commas.
        replacement: gets the original function, then the arguments of the call.

    Raises:
        PinnedError: if the function is missing or has other parameters.

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
    """Replace a function in a dispatch table; the replacement gets the original first.

    Raises:
        PinnedError: if the table has no such entry.

    """
    require(key in table, f"no entry {key!r}")
    table[key] = functools.partial(replacement, table[key])


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource in the account and region of the request at hand."""
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"
