"""SQS's commonest request, in memory: moto's own queues, without HTTP between (see ``tests/objects.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.exceptions import SQSException
from moto.sqs.models import MAXIMUM_MESSAGE_DELAY, Message, SQSBackend, sqs_backends
from moto.sqs.utils import validate_message_attributes

from tests.dynamodb import Http
from tests.shortcuts import is_answered_here

NEEDED = {"QueueUrl", "MessageBody"}
KNOWN = NEEDED | {"DelaySeconds", "MessageGroupId", "MessageSystemAttributes"}


def answer(model: Any, params: Mapping[str, Any], context: Any, **_: Any) -> tuple[Http, dict[str, Any]] | None:
    """Queue a message, if AWS is in memory; None leaves it, and what is refused, to moto."""
    if model.name != "SendMessage" or model.service_model.service_name != "sqs" or not is_answered_here(params):
        return None
    text = json.loads(params["body"])
    if not NEEDED <= text.keys() <= KNOWN or text.get("DelaySeconds", 0) > MAXIMUM_MESSAGE_DELAY:
        return None
    try:
        validate_message_attributes(text.get("MessageSystemAttributes"))
        message = _sent(sqs_backends[DEFAULT_ACCOUNT_ID][context["client_region"]], text)
    except SQSException:
        return None
    answered = {"MD5OfMessageBody": message.body_md5, "MessageId": message.id}
    known = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
    return Http(200, answered), {**answered, "ResponseMetadata": known}


def _sent(sqs: SQSBackend, text: Mapping[str, Any]) -> Message:
    """Do what moto's backend does, which also counts the messages of the queue, each time."""
    queue, body = sqs.get_queue(text["QueueUrl"].rpartition("/")[2]), text["MessageBody"]
    delay, group = text.get("DelaySeconds"), text.get("MessageGroupId")
    sqs._validate_message(queue, body, delay or 0, None, group)
    message = Message(str(uuid4()), body, text.get("MessageSystemAttributes"))
    if group is not None:
        message.group_id = group
    message.mark_sent(delay_seconds=queue.delay_seconds if delay is None else delay)  # type: ignore[attr-defined]
    queue.add_message(message)
    return message
