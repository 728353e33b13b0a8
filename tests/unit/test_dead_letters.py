"""Dead letters, sent back by AWS where it can, else one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from dossier.stores.dead_letters import DeadLetters
from tests.conftest import Cloud

MOVE = "before-call.sqs.StartMessageMoveTask"


class Sqs:
    """SQS with a queue's dead letters, and its answer to a request to move them (moto cannot)."""

    def __init__(self, cloud: Cloud) -> None:
        self.client = cloud.session.client("sqs")
        self.cloud = cloud
        self.error = "InvalidAction"
        self.moved: list[str] = []
        for queue in ("wake", "poll-invoices"):
            self.client.create_queue(QueueName=f"dossier-dev-{queue}-dlq")
        self.letters = DeadLetters(self.client, cloud.app.environment.wake_queue_url)
        self.client.meta.events.register(MOVE, self._move)

    def _move(self, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        self.moved.append(json.loads(params["body"])["SourceArn"])
        answer = {"Error": {"Code": self.error, "Message": "no"}} if self.error else {"TaskHandle": "handle"}
        status = 400 if self.error else 200
        return AWSResponse("https://sqs", status, {}, None), {**answer, "ResponseMetadata": {"HTTPStatusCode": status}}

    def bury(self, queue: str, *bodies: str) -> None:
        """Put messages among a queue's dead letters."""
        url = self.client.get_queue_url(QueueName=f"dossier-dev-{queue}-dlq")["QueueUrl"]
        for body in bodies:
            self.client.send_message(QueueUrl=url, MessageBody=body)


@pytest.fixture
def sqs(cloud: Cloud) -> Sqs:
    """Return SQS with queues of dead letters."""
    return Sqs(cloud)


def test_dead_letters_are_counted(sqs: Sqs) -> None:
    """Each queue has its own."""
    sqs.bury("wake", "a", "b")
    assert (sqs.letters.count("wake"), sqs.letters.count("poll-invoices")) == (2, 0)


def test_dead_letters_are_read_and_stay(sqs: Sqs) -> None:
    """Reading some of them hides none: they can be read, and sent back, at once."""
    sqs.bury("wake", "a", "b")
    assert sorted(sqs.letters.look("wake")) == sorted(sqs.letters.look("wake")) == ["a", "b"]
    assert sqs.letters.send_back("wake") == 2
    assert sqs.letters.look("wake") == []


def test_messages_are_moved_one_by_one_without_a_move_task(sqs: Sqs) -> None:
    """Every one comes back to its queue, unchanged, and none stays dead."""
    bodies = [json.dumps({"number": number}) for number in range(23)]
    sqs.bury("poll-invoices", *bodies)
    sqs.bury("wake", "other")
    assert sqs.letters.send_back("poll-invoices") == 23
    assert sorted(sqs.cloud.messages("poll-invoices")) == sorted(bodies)
    assert (sqs.letters.count("poll-invoices"), sqs.letters.count("wake")) == (0, 1)
    assert sqs.letters.send_back("poll-invoices") == 0


def test_aws_moves_messages_with_a_move_task(sqs: Sqs) -> None:
    """If SQS has the move task, it gets the queue of the dead letters, and nothing else is called."""
    sqs.error = ""
    sqs.bury("wake", "a")
    assert sqs.letters.send_back("wake") == 1
    assert sqs.moved == ["arn:aws:sqs:us-east-1:123456789012:dossier-dev-wake-dlq"]
    assert sqs.cloud.messages("wake") == []


def test_any_other_error_is_raised(sqs: Sqs) -> None:
    """A missing permission is reported to the operator."""
    sqs.error = "AccessDenied"
    sqs.bury("wake", "a")
    with pytest.raises(sqs.client.exceptions.ClientError, match="AccessDenied"):
        sqs.letters.send_back("wake")
    assert sqs.letters.count("wake") == 1
