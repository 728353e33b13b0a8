"""The waiting room, which polls the waits."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.settings import Connection
from dossier.stores.limiter import BULK
from infra.settings import Settings
from infra.work_queue import WorkQueue

POLL_TIMEOUT = cdk.Duration.seconds(BULK)
# AWS advises six times the function's timeout, for batches that wait in line. Here a message is one poll, the mapping
# limits how many run, and two polls of one wait converge (`seq`): a failed one is retried soon.
_VISIBILITY = cdk.Duration.seconds(150)


class WaitingRoom(Construct):
    """A queue of delayed poll messages for each connection, so that a slow vendor starves no other."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        self._settings = settings
        self.queues = {
            name: WorkQueue(
                self, name, settings=settings, name=settings.named("poll", name), visibility_timeout=_VISIBILITY
            )
            for name in settings.connections
        }

    @property
    def queue_arns(self) -> list[str]:
        """ARNs of the queues."""
        return [each.queue.queue_arn for each in self.queues.values()]

    def arns_of(self, kind: Callable[[Connection], bool]) -> list[str]:
        """Return the ARNs of the queues of the connections that ``kind`` selects."""
        connections = self._settings.connections
        return [each.queue.queue_arn for name, each in self.queues.items() if kind(connections[name])]

    def polled_by(self, function: lambda_.Function) -> None:
        """Pass poll messages to the function one by one, as many at once as the connection's limits allow."""
        for name, queue in self.queues.items():
            limits = self._settings.connections[name].limits
            queue.consumed_by(function, batch_size=1, at_once=limits.polls_at_once)

    def swept_by(self, function: lambda_.Function) -> None:
        """Run the function each minute."""
        events.Rule(
            self,
            "Sweep",
            description=f"Dossier ({self._settings.stage}): sends the polls whose message was lost",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(function)],
        )
