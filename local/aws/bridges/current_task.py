"""The current task: the bridges of Step Functions read its execution, role and token."""

import contextvars
from dataclasses import dataclass
from typing import Any

from local.aws.pinned import stepfunctions


@dataclass(frozen=True, slots=True)
class Task:
    """A running task state.

    Attributes:
        execution: MiniStack's record of its execution.
        machine_arn: the state machine, also for a child execution of a Distributed Map.
        role_arn: the state machine's role.

    """

    execution: dict[str, Any]
    machine_arn: str
    role_arn: str

    @property
    def stopped(self) -> bool:
        """Whether the execution has ended meanwhile (stopped or timed out)."""
        return bool(self.execution["status"] != "RUNNING")


current: contextvars.ContextVar[Task | None] = contextvars.ContextVar("current_task", default=None)


def task_of(execution: dict[str, Any]) -> Task:
    """Return the task that an execution is about to run."""
    machine_arn = execution["stateMachineArn"].split("/")[0]  # a Distributed Map's child has "/<label>" appended
    machine = stepfunctions._state_machines.get(machine_arn) or {}
    return Task(execution=execution, machine_arn=machine_arn, role_arn=machine.get("roleArn", ""))
