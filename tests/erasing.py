"""What an erasure needs, over a world in process: its stores, queues of dead letters, and executions' inputs."""

from __future__ import annotations

from typing import Any

from dossier.steps.context import Context
from tests.conftest import Cloud
from tests.machine import World

DEAD = ("wake-dlq", "drop-dlq", "poll-claims-dlq", "poll-invoices-dlq", "poll-disputes-dlq")


def with_dead_letters(cloud: Cloud) -> World:
    """Return a world with queues of dead letters."""
    sqs = cloud.session.client("sqs")
    for each in DEAD:
        sqs.create_queue(QueueName=f"dossier-dev-{each}")
    return World(cloud)


class Inputs:
    """Executions whose inputs are known, as Step Functions keeps them."""

    def __init__(self, inputs: dict[str, dict[str, Any]]) -> None:
        self.inputs, self.running = inputs, set[str]()

    def arn_of(self, name: str) -> str:
        """Return an execution's ARN."""
        return f"arn:{name}"

    def given(self, arn: str) -> dict[str, Any] | None:
        """Return an execution's input."""
        return self.inputs.get(arn)

    def status(self, arn: str) -> str:
        """Return an execution's status."""
        return "RUNNING" if arn in self.running else "SUCCEEDED"


class NoRuns:
    """Batches of which no run is known any more."""

    def find(self, _batch: str, _run: int) -> None:
        """Return the execution of a run: none."""


def erasing(world: World, inputs: Inputs | None = None) -> Context:
    """Return the context of an erasure in a world."""
    return world.cloud.app.replacing(executions=inputs or Inputs({}), batch_runs=NoRuns())
