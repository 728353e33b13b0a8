"""Executions of the state machine: start each once, answer their task tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

CAUSE_LIMIT = 32_768
"""Longest cause of SendTaskFailure, in characters (AWS API reference)."""
INPUT_LIMIT = 262_144 - 2_048
"""Longest input of an execution, in bytes of UTF-8: the quota of Step Functions less what state Accept adds."""
_DEAD_TOKEN = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution's status (``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``ABORTED``, ``TIMED_OUT``) and why it ended."""

    status: str
    error: str = ""
    cause: str = ""
    stopped_at: datetime | None = None


class Executions:
    """The state machine's executions."""

    def __init__(self, sfn: SFNClient, state_machine_arn: str = "") -> None:
        self._sfn = sfn
        self._arn = state_machine_arn

    def start(self, name: str, case: dict[str, Any], *, trace: str | None = None) -> str:
        """Start an execution, unless one of that name exists; return its ARN.

        For the same name and input AWS returns the ARN of a running execution, and ExecutionAlreadyExists once it has
        ended (API_StartExecution). With ``trace``, the header of a trace, it continues that trace.
        """
        continued: dict[str, Any] = {"traceHeader": trace} if trace else {}
        try:
            return self._sfn.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(case, ensure_ascii=False), **continued
            )["executionArn"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return self.arn_of(name)

    def arn_of(self, name: str) -> str:
        """Return the ARN of the execution with a name, whether or not it exists."""
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"

    def succeed(self, token: str, output: dict[str, Any]) -> bool:
        """Answer a task token; return False if the task has ended."""
        return self._answer(lambda: self._sfn.send_task_success(taskToken=token, output=json.dumps(output)))

    def fail(self, token: str, error: Exception) -> bool:
        """Fail a task token with an error; return False if the task has ended."""
        name, cause = type(error).__name__, json.dumps({"errorMessage": str(error)})[:CAUSE_LIMIT]
        return self._answer(lambda: self._sfn.send_task_failure(taskToken=token, error=name, cause=cause))

    def status(self, execution_arn: str) -> str | None:
        """Return an execution's status (``RUNNING``, …), or None if there is no such execution."""
        found = self.describe(execution_arn)
        return None if found is None else found.status

    def describe(self, execution_arn: str) -> Execution | None:
        """Return an execution, or None if it does not exist (AWS deletes it 90 days after its end)."""
        try:
            answer = self._sfn.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise
        return Execution(answer["status"], answer.get("error", ""), answer.get("cause", ""), answer.get("stopDate"))

    def running(self) -> list[str]:
        """Return the names of the state machine's running executions."""
        pages = self._sfn.get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=self._arn, statusFilter="RUNNING")
        return [each["name"] for page in found for each in page["executions"]]

    def given(self, execution_arn: str) -> dict[str, Any] | None:
        """Return an execution's input, or None if it does not exist, or its input is not an object."""
        try:
            found = json.loads(self._sfn.describe_execution(executionArn=execution_arn).get("input", "null"))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ExecutionDoesNotExist", "InvalidArn", "ValidationException"}:
                raise
            return None
        return found if isinstance(found, dict) else None

    def began(self, begin: datetime, end: datetime) -> Iterator[str]:
        """Yield the ARNs of the executions that began from ``begin`` to before ``end``, latest first.

        AWS lists the latest first, and deletes an execution 90 days after its end.
        """
        pages = self._sfn.get_paginator("list_executions").paginate(stateMachineArn=self._arn)
        for each in (execution for page in pages for execution in page["executions"]):
            if each["startDate"] < begin:
                return
            if each["startDate"] < end:
                yield each["executionArn"]

    def history(self, execution_arn: str, *, most: int, data: bool = False) -> list[Mapping[str, Any]]:
        """Return the events of an execution, oldest first, at most ``most``; none if it does not exist.

        With ``data`` they have inputs and outputs.
        """
        pages = self._sfn.get_paginator("get_execution_history")
        try:
            found = pages.paginate(executionArn=execution_arn, includeExecutionData=data)
            return list(islice((event for page in found for event in page["events"]), most))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return []
            raise

    def stop(self, execution_arn: str, error: str, cause: str) -> None:
        """Stop an execution, unless it has ended or does not exist."""
        try:
            self._sfn.stop_execution(executionArn=execution_arn, error=error, cause=cause)
        except ClientError as problem:
            if problem.response["Error"]["Code"] not in {"ExecutionDoesNotExist", "ValidationException"}:
                raise

    @staticmethod
    def _answer(call: Any) -> bool:
        try:
            call()
        except ClientError as error:
            if error.response["Error"]["Code"] in _DEAD_TOKEN:
                return False
            raise
        return True
