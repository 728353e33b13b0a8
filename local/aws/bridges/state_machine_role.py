"""A state machine needs the permissions of its role.

AWS authorizes each call of a task as the machine's role. MiniStack checks no role. The bridge evaluates the role's
policies with MiniStack's own evaluator before the call: for Lambda, SQS, SNS, EventBridge, DynamoDB, Step Functions and
S3 on the call's resource, for other ``aws-sdk`` integrations on the resource that MiniStack derives.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.bridges.current_task import Task, current
from local.aws.bridges.denials import refusal
from local.aws.pinned import arn, iam_actions, replace, responses, stepfunctions

# Optimized integrations name an error after the service, by the SDK's base exception where AWS has no specific one.
_ERRORS = {
    "lambda": "Lambda.AWSLambdaException",
    "sqs": "SQS.AmazonSQSException",
    "sns": "SNS.AmazonSNSException",
    "events": "EventBridge.AccessDeniedException",
    "dynamodb": "DynamoDB.AmazonDynamoDBException",
    "states": "StepFunctions.AWSStepFunctionsException",
    "s3": "S3.S3Exception",
}
_IAM_PREFIXES = {"sfn": "states", "eventbridge": "events", "cloudwatchlogs": "logs"}
_S3_ACTIONS = {"ListObjectsV2": "ListBucket", "ListObjects": "ListBucket", "HeadObject": "GetObject"}


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_invoke_resource", "resource, input_data", _invoke)


def _invoke(original: Callable[..., Any], resource: str, input_data: Any) -> Any:
    task = current.get()
    if task is not None and task.role_arn:
        needed = requirement(resource, input_data if isinstance(input_data, dict) else {})
        if needed:
            authorize(task, *needed)
    return original(resource, input_data)


def authorize(task: Task, action: str, resource_arn: str) -> None:
    """Check one action of a machine.

    Raises:
        _ExecutionError: with Step Functions' name for a denied call of that service.

    """
    cause = refusal(task.role_arn, action, resource_arn)
    if cause:
        service = action.split(":", maxsplit=1)[0]
        raise stepfunctions._ExecutionError(_ERRORS.get(service, "States.TaskFailed"), cause)


def requirement(resource: str, arguments: dict[str, Any]) -> tuple[str, str] | None:
    """Return the IAM action and resource that a task needs; None for one that needs none (an activity)."""
    if ":function:" in resource:
        return "lambda:InvokeFunction", resource
    parts = resource.removesuffix(".waitForTaskToken").split(":")
    if ":activity:" in resource or len(parts) < 7:
        return None
    service, action = (parts[6], parts[7]) if parts[5] == "aws-sdk" else (parts[5], parts[6])
    prefix = _IAM_PREFIXES.get(service, service)
    action = action.split(".")[0]
    action = action[0].upper() + action[1:]
    if prefix == "s3":
        action = _S3_ACTIONS.get(action, action)
    if prefix == "lambda" and action == "Invoke":
        action = "InvokeFunction"
    return f"{prefix}:{action}", _resource_arn(prefix, arguments)


def _resource_arn(service: str, arguments: dict[str, Any]) -> str:
    given = {name[0].lower() + name[1:]: value for name, value in arguments.items()}
    match service:
        case "lambda":
            name = str(given.get("functionName", ""))
            return name if name.startswith("arn:") else arn("lambda", f"function:{name}")
        case "sqs":
            return arn("sqs", str(given.get("queueUrl", "")).rsplit("/", 1)[-1])
        case "sns":
            return str(given.get("topicArn", "*"))
        case "states":
            return str(given.get("stateMachineArn") or given.get("executionArn") or "*")
        case "s3":
            key = given.get("key")
            return f"arn:aws:s3:::{given.get('bucket', '')}" + (f"/{key}" if key else "")
    body = json.dumps(arguments).encode()
    region, account = responses.get_region(), responses.get_account_id()
    return str(iam_actions.extract_resource_arn(service, "POST", "/", {}, body, {}, region, account))
