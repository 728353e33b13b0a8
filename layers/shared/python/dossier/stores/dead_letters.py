"""Dead letters: what failed too often on a queue of work, to be sent back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from dossier.stores.queues import Queues

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_HIDDEN_FOR = 60
"""Seconds for which a dead letter that is being sent back is nobody else's."""
_NO_MOVES = {"InvalidAction", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"}


class DeadLetters:
    """The ``<queue>-dlq`` of each queue of work."""

    def __init__(self, sqs: SQSClient, wake_queue_url: str) -> None:
        self._sqs = sqs
        self._queues = Queues(sqs, wake_queue_url)

    def count(self, queue: str) -> int:
        """Return about how many dead letters a queue has."""
        return self._queues.depth(f"{queue}-dlq")

    def dismiss(self, queue: str) -> int:
        """Delete a queue's dead letters, no more than there are now; return how many."""
        return self._each(self._queues.url(f"{queue}-dlq"), self.count(queue), None)

    def send_back(self, queue: str) -> int:
        """Send a queue's dead letters back to it; return about how many.

        AWS moves them by itself, and takes its time. An SQS that cannot (the local one) has them moved one by one: sent
        before deleted, so that none is lost, and no more than there were, so that what fails at once does not go round
        for ever.
        """
        number = self.count(queue)
        if number == 0:
            return 0
        source = self._queues.url(f"{queue}-dlq")
        arn = self._sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        try:
            self._sqs.start_message_move_task(SourceArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_MOVES:
                raise
            return self._each(source, number, self._queues.url(queue))
        return number

    def _each(self, source: str, number: int, target: str | None) -> int:
        """Send each message to ``target``, if there is one, and delete it; return how many there were."""
        moved = 0
        while moved < number:
            messages = self._sqs.receive_message(
                QueueUrl=source,
                MaxNumberOfMessages=min(10, number - moved),
                VisibilityTimeout=_HIDDEN_FOR,
                WaitTimeSeconds=1,
            ).get("Messages", [])
            if not messages:
                break
            for message in messages:
                if target is not None:
                    self._sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
                self._sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += len(messages)
        return moved
