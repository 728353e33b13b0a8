"""State Record Failure, and executions that failed, were aborted or timed out (EventBridge)."""

import json
from typing import Any

from dossier.bootstrap import context
from dossier.observe import observed
from dossier.steps.publish import fail, stopped


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Record ``{"input", "execution_arn", "error", "cause"}``, or an execution's status change."""
    if "detail" in event:
        detail = event["detail"]
        submitted, arn = json.loads(detail.get("input") or "null"), detail["executionArn"]
        error = detail.get("error") or detail["status"]
        cause = detail.get("cause") or f"the execution ended as {detail['status']}"
        if detail["status"] == "ABORTED":
            stopped(submitted, context=context())
    else:
        submitted, arn, error, cause = (event[key] for key in ("input", "execution_arn", "error", "cause"))
    return fail(submitted, arn, error, cause, context=context())
