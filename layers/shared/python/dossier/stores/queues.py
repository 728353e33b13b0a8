"""The queues of work, by name: ``wake`` and ``poll-<connection>``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

WAKE = "wake"


def poll_queue(connection: str) -> str:
    """Return the name of a connection's poll queue."""
    return f"poll-{connection}"


class Queues:
    """The queues that lie beside the wake queue."""

    def __init__(self, sqs: SQSClient, wake_queue_url: str) -> None:
        self._sqs = sqs
        self._base = wake_queue_url.removesuffix(WAKE)

    def url(self, name: str) -> str:
        """Return a queue's URL."""
        return self._base + name

    def depth(self, name: str) -> int:
        """Return about how many messages wait to be worked on, or are worked on now; delayed ones do not count."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self.url(name),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in attributes.values())
