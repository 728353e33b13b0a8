"""``Output`` of a Succeed state shapes the execution's result.

AWS evaluates it, as in any JSONata state; MiniStack passes the input through. The bridge wraps the function that
MiniStack calls for a Succeed state, with the state and its input.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import replace, stepfunctions


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_apply_output_path", "state_def, data, ctx", _output)


def _output(original: Callable[..., Any], state: dict[str, Any], data: Any, ctx: dict[str, Any] | None = None) -> Any:
    if state.get("Type") == "Succeed" and stepfunctions._state_query_language(state, ctx) == "JSONata":
        return stepfunctions._apply_jsonata_output(state, data, ctx, default=data)
    return original(state, data, ctx)
