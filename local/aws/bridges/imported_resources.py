"""A stack may import a bucket that exists.

On AWS a change set with ``ImportExistingResources`` adopts a resource that the template names and that exists
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html). MiniStack does so
too, but rejects a bucket before: its check of names takes the bucket for somebody else's. The bridge leaves out the
check of such a change set.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import changesets, cloudformation, replace

_TAKES = (
    "stack_name, stack_id, template, param_values, disable_rollback, tags, is_update, previous_stack, "
    "retain_except_on_create, imports"
)


def install() -> None:
    """Install the bridge."""
    replace(changesets, "_deploy_stack_async", _TAKES, _deploy)


def _deploy(original: Callable[..., Any], stack_name: str, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("imports"):
        cloudformation._stacks[stack_name]["_disable_validation"] = True
    return original(stack_name, *args, **kwargs)
