"""Everything that a deployment has written, as text with its place, to be searched."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.e2e.world import World

CONTENT = re.compile(r"staging/|uploads/|inbox/|cases/[^/]+/[^/]+/(documents|artifacts|vendor)/")
"""Keys of objects that are a document, an artifact or a raw answer."""
Written = tuple[str, str]
"""A place (``log …``, ``object …``) and its text."""


def written(world: World) -> Iterator[Written]:
    """Yield every place that anybody but the secrets' owner can read, and its text.

    Documents, artifacts and raw answers belong into the bucket; their places begin with ``content``.
    """
    yield from _logs(world)
    yield from _metrics(world)
    yield from _functions(world)
    yield from _executions(world)
    yield from _messages(world)
    yield from _items(world)
    yield from _objects(world)
    yield from (("event", _text(each)) for each in world.all_events())
    yield from (("command", each) for each in world.printed)
    yield from ((f"file {path.name}", path.read_text("utf-8", "replace")) for path in world.home.glob("logs/*"))
    yield from ((f"file {path.name}", path.read_text("utf-8", "replace")) for path in world.home.glob("*.json"))


def _text(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _pages(world: World, service: str, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    yield from world.client(service).get_paginator(operation).paginate(**arguments)


def _logs(world: World) -> Iterator[Written]:
    for group in world.client("logs").describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for page in _pages(world, "logs", "filter_log_events", logGroupName=name):
            yield f"log {name}", "\n".join(event["message"] for event in page["events"])


def _metrics(world: World) -> Iterator[Written]:
    for page in _pages(world, "cloudwatch", "list_metrics"):
        yield "metric", _text(page["Metrics"])


def _functions(world: World) -> Iterator[Written]:
    for page in _pages(world, "lambda", "list_functions"):
        yield from ((f"function {each['FunctionName']}", _text(each)) for each in page["Functions"])


def _executions(world: World) -> Iterator[Written]:
    client = world.client("stepfunctions")
    for arn in world.executions(""):
        yield f"execution {arn}", _text(client.describe_execution(executionArn=arn))
        for page in _pages(world, "stepfunctions", "get_execution_history", executionArn=arn):
            yield f"history {arn}", _text(page["events"])


def _messages(world: World) -> Iterator[Written]:
    """Dead letters too. Each message is only hidden for a moment."""
    sqs = world.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5).get("Messages"):
            yield f"queue {url}", _text([each["Body"] for each in batch])


def _items(world: World) -> Iterator[Written]:
    for page in _pages(world, "dynamodb", "scan", TableName=world.outputs["table"]):
        yield from ((f"item {each['pk']['S']} {each['sk']['S']}", _text(each)) for each in page["Items"])


def _objects(world: World) -> Iterator[Written]:
    for key in world.keys(""):
        body = world.read(key)
        text = body.decode("utf-8", "replace")
        if key.startswith(("webhooks/", "webhooks-refused/")):
            text += base64.b64decode(json.loads(body)["body_base64"]).decode("utf-8", "replace")
        yield f"{'content' if CONTENT.match(key) else 'object'} {key}", text
