"""Dead letters: messages that failed too often on a queue, and can be sent back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from dossier.stores.queues import Queues

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_HIDDEN_FOR = 60
"""Seconds for which a dead letter is invisible to other readers while it is sent back."""
_NO_QUEUE = {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
_NO_MOVES = {"InvalidAction", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"}


class DeadLetters:
    """The ``<queue>-dlq`` of each queue of work."""

    def __init__(self, sqs: SQSClient, wake_queue_url: str) -> None:
        self._sqs = sqs
        self._queues = Queues(sqs, wake_queue_url)

    def count(self, queue: str) -> int:
        """Return the approximate number of a queue's dead letters."""
        return self._queues.depth(f"{queue}-dlq")

    def look(self, queue: str) -> list[str]:
        """Return the texts of some of a queue's dead letters, at most ten, and leave all of them where they are."""
        found = self._sqs.receive_message(
            QueueUrl=self._queues.url(f"{queue}-dlq"), MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=1
        )
        return list({each["MessageId"]: each["Body"] for each in found.get("Messages", [])}.values())

    def dismiss(self, queue: str) -> int:
        """Delete a queue's dead letters, at most as many as there are now; return how many."""
        return self._each(self._queues.url(f"{queue}-dlq"), self.count(queue), None)

    def remove(self, queue: str, when: Callable[[str], bool]) -> int:
        """Delete a queue's dead letters whose text ``when`` accepts; return how many. The others hide a minute."""
        url, removed, looked = self._queues.url(f"{queue}-dlq"), 0, 0
        try:
            number = self.count(queue)
        except ClientError as error:  # the queue of a connection that was removed
            if error.response["Error"]["Code"] not in _NO_QUEUE:
                raise
            return 0
        while looked < number:
            messages = self._sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN_FOR, WaitTimeSeconds=1
            ).get("Messages", [])
            if not messages:
                break
            for message in messages:
                if when(message["Body"]):
                    self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    removed += 1
            looked += len(messages)
        return removed

    def send_back(self, queue: str) -> int:
        """Send a queue's dead letters back to it; return about how many.

        AWS moves them in the background. For an SQS that cannot (the local one) they are moved one by one: each is sent
        before it is deleted, so that none is lost, and at most as many as there are now, so that messages that fail at
        once do not go round forever.
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
        """Send each message to ``target``, if given, and delete it; return how many there were."""
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
