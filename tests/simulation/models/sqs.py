"""SQS standard queues: delays, visibility, delivery at least once and in no order, dead letters; and Lambda's pollers.

A queue is fair: of the visible messages it hands out those first whose group has the fewest in flight.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults
from tests.simulation.models.errors import refused
from tests.simulation.models.wire import Tracing, Wire
from tests.simulation.scheduler import Scheduler

LONGEST_DELAY = 900
LARGEST = 1024 * 1024
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""
ACCOUNT = "https://sqs.us-east-1.amazonaws.com/123456789012/"


@dataclass(slots=True)
class Message:
    """A message; ``sent_at`` is when it was sent first."""

    id: str
    body: str
    sent_at: float
    group: str = ""
    receives: int = 0


class Invoke(Protocol):
    """Invokes a function; ``done`` gets its result, or its error."""

    def __call__(self, verb: str, payload: Any, done: Callable[[Any, Any], None], *, source: str) -> None:
        """Invoke it."""


class Queue:
    """A queue; ``dead`` is its queue of dead letters."""

    def __init__(
        self, name: str, scheduler: Scheduler, faults: Faults, *, visibility: float = 30, tries: int = 0
    ) -> None:
        self.name, self.visibility, self.tries = name, visibility, tries
        self.url = ACCOUNT + name
        self.ready: list[Message] = []
        self.flying: dict[str, Message] = {}
        self.delayed = 0
        self.held = 0
        """Messages of batches that failed or were killed: hidden until their visibility timeout is over."""
        self.dead: Queue | None = None
        self.poke: Callable[[], None] = lambda: None
        self.sent = 0
        self._scheduler, self._faults = scheduler, faults

    def send(self, body: str, *, after: float = 0, group: str = "") -> None:
        """Take a message; it is visible after its delay, and sometimes later than that, or twice."""
        copies = 2 if self._faults.strikes("message_twice", body) else 1
        for copy in range(copies):
            self.sent += copy == 0
            message = Message(f"{self.name}-{self.sent}", body, CLOCK.at, group)
            is_late = self._faults.strikes("message_late", body)
            late = self._faults.between("message_late", 0.5, 60) if is_late else 0.0
            self.hold(message, after + late + (self._faults.between("message_twice", 0, 30) if copy else 0.0))

    def hold(self, message: Message, seconds: float) -> None:
        """Show a message after some seconds."""
        self.delayed += 1
        self._scheduler.later(seconds, lambda: self._show(message))

    def _show(self, message: Message) -> None:
        self.delayed -= 1
        self.ready.append(message)
        self.poke()

    def take(self, most: int) -> list[Message]:
        """Receive messages: any of those that are visible."""
        found: list[Message] = []
        dice = self._faults.dice("order")
        while self.ready and len(found) < most:
            message = self._pick(dice.randrange(min(10, len(self.ready))))
            message.receives += 1
            if self.tries and message.receives > self.tries and self.dead is not None:
                self.dead.ready.append(message)
                continue
            self.flying[message.id] = message
            found.append(message)
        return found

    def _pick(self, place: int) -> Message:
        """Remove a visible message: of several groups, one of the group that has the fewest in flight."""
        if len({each.group for each in self.ready}) == 1:
            return self.ready.pop(place)
        flying = Counter(each.group for each in self.flying.values())
        fewest = min(self.ready, key=lambda each: flying[each.group])
        own = [number for number, each in enumerate(self.ready) if each.group == fewest.group]
        return self.ready.pop(own[min(place, len(own) - 1)])

    def delete(self, message: Message) -> None:
        """Delete a message that was received."""
        self.flying.pop(message.id, None)

    def give_back(self, message: Message, seconds: float) -> None:
        """Show a message again once its visibility timeout is over."""
        self.held += 1

        def show() -> None:
            self.held -= 1
            if self.flying.pop(message.id, None) is not None:
                self.ready.append(message)
                self.poke()

        self._scheduler.later(seconds, show)

    @property
    def depth(self) -> int:
        """Messages that are visible, in flight, or delayed."""
        return len(self.ready) + len(self.flying) + self.delayed


class Poller:
    """An event source mapping: passes batches of messages to a function, at most a given number at once."""

    def __init__(
        self,
        queue: Queue,
        verb: str,
        invoke: Invoke,
        scheduler: Scheduler,
        faults: Faults,
        *,
        batch: int,
        at_once: int,
    ) -> None:
        self.queue, self.verb, self.batch, self.at_once = queue, verb, batch, at_once
        self.running = self.most_running = 0
        self._invoke, self._scheduler, self._faults = invoke, scheduler, faults
        self._poking = False
        queue.poke = self.poke

    def poke(self) -> None:
        """Receive soon, if there is something to receive."""
        if not self._poking and self.queue.ready and self.running < self.at_once:
            self._poking = True
            self._scheduler.later(self._faults.dice("poller").uniform(0.005, 0.05), self._receive)

    def _receive(self) -> None:
        self._poking = False
        if self.running >= self.at_once:
            return
        messages = self.queue.take(self.batch)
        if not messages:
            return
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        received = CLOCK.at
        records = [
            {
                "messageId": each.id,
                "receiptHandle": each.id,
                "body": each.body,
                "attributes": {"ApproximateReceiveCount": str(each.receives)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{self.queue.name}",
                "awsRegion": "us-east-1",
            }
            for each in messages
        ]

        def done(result: Any, error: Any) -> None:
            self.running -= 1
            failed = {each.id for each in messages} if error else _failed(result)
            left = max(0.0, received + self.queue.visibility - CLOCK.at)
            for each in messages:
                if each.id in failed:
                    self.queue.give_back(each, left)
                else:
                    self.queue.delete(each)
            self.poke()

        self._invoke(self.verb, {"Records": records}, done, source="sqs")
        self.poke()


def _failed(result: Any) -> set[str]:
    return {each["itemIdentifier"] for each in (result or {}).get("batchItemFailures", [])}


class SQS:
    """What boto3's SQS client does."""

    def __init__(self, queues: Mapping[str, Queue], wire: Wire, trace: Tracing) -> None:
        self._queues, self._wire, self._trace = queues, wire, trace

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        DelaySeconds: int = 0,  # noqa: N803
        MessageGroupId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Send a message."""
        queue = self._of(QueueUrl, "SendMessage")
        if not 0 <= DelaySeconds <= LONGEST_DELAY:
            raise refused("InvalidParameterValue", "SendMessage")
        if not 0 < len(MessageBody.encode()) <= LARGEST:
            raise refused("InvalidParameterValue", "SendMessage", "One or more parameters are invalid")
        about = f"{queue.name}: {_short(MessageBody)} after {DelaySeconds} s"
        send = partial(queue.send, MessageBody, after=DelaySeconds, group=MessageGroupId)
        self._wire.call("sqs", "SendMessage", about, send, on=queue.name)
        return {"MessageId": f"{queue.name}-{queue.sent}"}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        """Return a queue's figures."""
        queue = self._of(QueueUrl, "GetQueueAttributes")

        def act() -> dict[str, Any]:
            known = {
                "ApproximateNumberOfMessages": str(len(queue.ready)),
                "ApproximateNumberOfMessagesNotVisible": str(len(queue.flying)),
                "ApproximateNumberOfMessagesDelayed": str(queue.delayed),
                "QueueArn": f"arn:aws:sqs:us-east-1:123456789012:{queue.name}",
            }
            return {"Attributes": {name: known[name] for name in AttributeNames}}

        return self._wire.call("sqs", "GetQueueAttributes", queue.name, act, on=queue.name)

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int = 1, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Receive messages, as ``dossier redrive`` does with dead letters."""
        queue = self._of(QueueUrl, "ReceiveMessage")

        def act() -> dict[str, Any]:
            found = queue.take(MaxNumberOfMessages)
            return {"Messages": [{"Body": each.body, "ReceiptHandle": each.id} for each in found]} if found else {}

        return self._wire.call("sqs", "ReceiveMessage", queue.name, act)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        """Delete a message that was received."""
        queue = self._of(QueueUrl, "DeleteMessage")
        self._wire.call("sqs", "DeleteMessage", queue.name, lambda: queue.flying.pop(ReceiptHandle, None))

    def _of(self, url: str, operation: str) -> Queue:
        name = url.removeprefix(ACCOUNT)
        if name not in self._queues:
            raise refused("AWS.SimpleQueueService.NonExistentQueue", operation)
        return self._queues[name]


def _short(body: str) -> str:
    said = json.loads(body)
    return " ".join(str(each) for each in said.values())[:80] if isinstance(said, dict) else body[:80]
