"""A custom resource whose function fails ends the deployment at once; emptying a bucket needs no function.

CloudFormation waits for a custom resource's answer for up to an hour, and a function that fails never answers. Locally
a failed function counts as an answer. CDK's function for ``auto_delete_objects`` runs on Node with an SDK that does not
exist here; MiniStack deletes a bucket with its content anyway.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.pinned import custom_resource, lambda_service, provisioners, replace, require

_RESPONSE_PATH = "/_ministack/cfn-response/"


def install() -> None:
    """Install the bridge."""
    require(_RESPONSE_PATH in custom_resource._response_url("t"), "the address that custom resources answer to")
    replace(lambda_service, "_execute_function_with_config_scope", "func, event", _execute)
    provisioners._RESOURCE_HANDLERS["Custom::S3AutoDeleteObjects"] = {
        "create": lambda logical_id, _properties, _stack: (logical_id, {}),
        "update": lambda physical_id, *_: (physical_id, {}),
        "delete": lambda *_: None,
    }


def _execute(original: Callable[..., Any], func: Any, event: Any) -> Any:
    outcome = original(func, event)
    address = str(event.get("ResponseURL", "")) if isinstance(event, dict) else ""
    if _RESPONSE_PATH in address and isinstance(outcome, dict) and outcome.get("error"):
        reason = json.dumps(outcome.get("body"))[:900]
        custom_resource.deliver_response(address.rsplit("/", 1)[-1], {"Status": "FAILED", "Reason": reason})
    return outcome
