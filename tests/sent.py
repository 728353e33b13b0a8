"""SQS's commonest request, in memory: moto's own queues, without HTTP between (see ``tests/objects.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.exceptions import SQSException
from moto.sqs.models import sqs_backends
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
    if not NEEDED <= text.keys() <= KNOWN:
        return None
    try:
        validate_message_attributes(text.get("MessageSystemAttributes"))
        message = sqs_backends[DEFAULT_ACCOUNT_ID][context["client_region"]].send_message(
            text["QueueUrl"].rpartition("/")[2],
            text["MessageBody"],
            message_attributes={},
            delay_seconds=text.get("DelaySeconds"),
            group_id=text.get("MessageGroupId"),
            system_attributes=text.get("MessageSystemAttributes"),
        )
    except SQSException:
        return None
    answered = {"MD5OfMessageBody": message.body_md5, "MessageId": message.id}
    known = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
    return Http(200, answered), {**answered, "ResponseMetadata": known}
