"""IAM checks a request on the resource that AWS documents for it.

AWS authorizes ``events:DescribeEventBus`` on the bus, and ``sqs:StartMessageMoveTask`` on the queue of dead letters
that ``SourceArn`` names, and ``states:DescribeMapRun`` on the Map Run (Service Authorization Reference). MiniStack
authorizes the first on ``rule/default/<name>`` and the others on ``*``, so it denies requests that a policy allows on
bus, queue and Map Run. The bridge corrects the resource.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.pinned import iam_actions, replace

_OF_A_BUS = {"AWSEvents.DescribeEventBus", "AWSEvents.DeleteEventBus", "AWSEvents.UpdateEventBus"}
_OF_A_MAP_RUN = {"AWSStepFunctions.DescribeMapRun", "AWSStepFunctions.UpdateMapRun"}
_OF_A_SOURCE = {"AmazonSQS.StartMessageMoveTask", "AmazonSQS.ListMessageMoveTasks"}


def install() -> None:
    """Install the bridge."""
    takes = "service, method, path, headers, body, query_params, region, account_id"
    replace(iam_actions, "extract_resource_arn", takes, _resource)


def _resource(original: Callable[..., str], service: str, *request: Any) -> str:
    found = original(service, *request)
    _, _, headers, body, *_ = request
    target = headers.get("x-amz-target")
    if target in _OF_A_MAP_RUN:
        return str(json.loads(body).get("mapRunArn") or found)
    if target in _OF_A_SOURCE:
        return str(json.loads(body).get("SourceArn") or found)
    return found.replace(":rule/default/", ":event-bus/", 1) if target in _OF_A_BUS else found
