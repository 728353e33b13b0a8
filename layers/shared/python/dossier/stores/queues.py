"""The queues of work, by name: ``wake``, ``drop`` and ``poll-<connection>``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dossier import traces

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

WAKE, DROP = "wake", "drop"
BATCHES_AT_ONCE = 10
"""Batches of deliveries, and drops, that are processed at once."""
_GROUP = re.compile(r"[!-~]{1,128}")
LONGEST_DELAY = 900
"""Most seconds for which SQS delays a message (AWS: SendMessage, DelaySeconds)."""


def poll_queue(connection: str) -> str:
    """Return the name of a connection's poll queue."""
    return f"poll-{connection}"


class Queues:
    """The queues of a stage: their URLs share the wake queue's prefix."""

    def __init__(self, sqs: SQSClient, wake_queue_url: str) -> None:
        self._sqs = sqs
        self._wake_queue_url = wake_queue_url

    def url(self, name: str) -> str:
        """Return a queue's URL."""
        return self._wake_queue_url if name == WAKE else self._wake_queue_url.removesuffix(WAKE) + name

    def send(
        self,
        name: str,
        message: Mapping[str, Any],
        *,
        after: float = 0,
        group: str | None = None,
        trace: str | None = None,
    ) -> None:
        """Queue a message that becomes visible ``after`` seconds, at most ``LONGEST_DELAY``.

        Messages of a group that has many in flight let others pass, so that one connection does not delay another:
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html

        Args:
            name: the queue's.
            message: what is sent as JSON.
            after: seconds.
            group: the group; on a queue of several connections by default the message's connection. A name that SQS
                would reject makes no group.
            trace: the header of the trace that it belongs to; by default this invocation's.

        """
        delay = min(LONGEST_DELAY, math.ceil(max(0, after)))
        group = group or (message.get("connection") if name in {WAKE, DROP} else None)
        fair: dict[str, Any] = {"MessageGroupId": group} if group and _GROUP.fullmatch(group) else {}
        header = trace or traces.current()
        traced: dict[str, Any] = {"StringValue": header, "DataType": "String"}
        more = {**fair, "MessageSystemAttributes": {"AWSTraceHeader": traced}} if header else fair
        self._sqs.send_message(QueueUrl=self.url(name), MessageBody=json.dumps(message), DelaySeconds=delay, **more)

    def depth(self, name: str) -> int:
        """Return about how many messages are visible or in flight; delayed ones do not count."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self.url(name),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in attributes.values())
