"""A function needs permission to write its log.

On AWS a function whose role lacks ``logs:CreateLogStream`` or ``logs:PutLogEvents`` runs and leaves no log
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html). MiniStack writes it for any role. The
bridge checks the role first.
"""

from collections.abc import Callable
from typing import Any

from local.aws.bridges.denials import refusal
from local.aws.pinned import arn, lambda_service, replace

_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")


def install() -> None:
    """Install the bridge."""
    takes = "func, request_id, log_text, error, duration_ms, log_source"
    replace(lambda_service, "_emit_lambda_logs", takes, _emit)


def _emit(original: Callable[..., None], func: Any, *args: Any, **kwargs: Any) -> None:
    config = func.get("config") or func
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    stream = arn("logs", f"log-group:{group}:log-stream:*")
    if not any(refusal(config.get("Role", ""), action, stream) for action in _ACTIONS):
        original(func, *args, **kwargs)
