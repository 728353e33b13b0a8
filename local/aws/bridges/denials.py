"""A denial names the resource, as on AWS, and appears in the server's log.

On AWS the message of a denied call ends with "on resource: <arn> because no identity-based policy allows the <action>
action", and CloudTrail records the call. MiniStack omits the resource for most services and records nothing. The bridge
completes the message and logs it, for a function's own calls and for services that act as a role (``refusal``: Step
Functions, the poller of a queue, the writer of a function's log).
"""

import logging
from collections.abc import Callable
from typing import Any

from local.aws.pinned import iam_actions, iam_evaluator, replace, responses

WORD = "denied: "
"""The prefix of a denial's line in the log; the message that the caller gets follows."""
_log = logging.getLogger("local.aws")


def install() -> None:
    """Install the bridge."""
    takes = (
        "service, action, principal_arn, request_id, error_code, message, headers, resource_arn, explicit_deny, "
        "resource_policy_arn"
    )
    replace(iam_actions, "access_denied_response", takes, _response)


def _response(original: Callable[..., Any], service: str, action: str, principal: str, *args: Any, **rest: Any) -> Any:
    by_identity = not rest.get("error_code") and not rest.get("resource_policy_arn")
    if by_identity and not rest.get("message"):
        resource = rest.get("resource_arn", "*")
        shown = f'"{resource}"' if service == "s3" else resource
        explicit = rest.get("explicit_deny", False)
        rest["message"] = iam_actions.identity_denial_message(action, principal, shown, explicit)
    _log.warning("%s%s", WORD, rest.get("message") or f"{principal}: {action}")
    return original(service, action, principal, *args, **rest)


def refusal(role_arn: str, action: str, resource_arn: str) -> str | None:
    """Return why the policies of a service's role deny an action; None if they allow it."""
    account = responses.get_account_id()
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=responses.get_region(),
    )
    policies = iam_evaluator._gather_role_policies(role_arn.rsplit("/", 1)[-1], account)
    decision = iam_evaluator.evaluate(context, policies).decision
    if decision == "Allow":
        return None
    words: str = iam_actions.identity_denial_message(action, role_arn, resource_arn, decision == "Deny")
    _log.warning("%s%s", WORD, words)
    return words
