"""What AWS's services do as the roles: write a function's log, take messages from its queue, call it from a state.

Their cases are not calls but their effects: a log that is there, a message that is gone, an execution that does
not end by a refused call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.world import until
from tests.grants.bench import BATCHES, MACHINE, PREFIX, Bench, CaseBrokenError
from tests.grants.cases import Cases

LOGGING = ("logs:CreateLogStream", "logs:PutLogEvents")
CONSUMING = ("sqs:ReceiveMessage", "sqs:GetQueueAttributes", "sqs:DeleteMessage")
"""Deleting comes last: a message that could not be deleted stays with who received it."""
_LEFT = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


class Services:
    """Sees the services fail on a bench, after its cases."""

    def __init__(self, bench: Bench, cases: Cases) -> None:
        self._bench = bench
        self._cases = cases

    def all(self) -> None:
        """See each grant that a service needs be missed."""
        for verb in self._bench.functions:
            self._miss(verb, LOGGING, lambda verb=verb: self._logged(verb))  # type: ignore[misc]
        self._bench.switch(on=True)
        poll = {"connection": "invoices", "reference": "of-nobody", "seq": 1}
        self._miss("poll", CONSUMING, lambda: self._consumed("poll", "poll-invoices", poll))
        wake = {"connection": "claims", "delivery": self._cases.delivery(b"{}")}
        self._miss("wake", CONSUMING, lambda: self._consumed("wake", "wake", wake))
        nothing = {"key": "inbox/claims/", "version_id": None}
        self._miss("drop", CONSUMING, lambda: self._consumed("drop", "drop", nothing))
        for verb, submission in self._cases.reaching().items():
            self._call(verb, submission)
        self._executed(self._cases.reaching()["publish"])
        self._batches()

    def _call(self, verb: str, submission: Callable[[], dict[str, Any]]) -> None:
        """Miss the state machine's grant to call a function, on the way of a case that leads there."""
        role = self._bench.roles[MACHINE]
        [grant] = [each for each in role.grants if each.resource.endswith(f":function:{PREFIX}{verb}")]
        try:
            self._bench.miss(MACHINE, grant, lambda: self._executed(submission))
        finally:
            role.restore()

    def _batches(self) -> None:
        """Miss each grant of the state machine that runs batches, but those that the local AWS does not ask for."""
        role = self._bench.roles[BATCHES]
        asked = {"states:StartExecution", "s3:GetObject", "s3:PutObject", "lambda:InvokeFunction"}
        try:
            for grant in sorted(each for each in role.grants if each.action in asked):
                self._bench.miss(BATCHES, grant, self._ran)
        finally:
            role.restore()
        self._ran()

    def _ran(self) -> None:
        """Run a batch of one case to its end: the case is known afterwards, and the run's lists are there."""
        batch, data = self._cases.batch()
        step_functions = self._bench.client("stepfunctions")
        machine = f"{self._bench.deployment.outputs['state_machine_arn']}-batch"
        given = json.dumps({"batch": batch, "run": 1, "concurrency": 1})
        arn = step_functions.start_execution(stateMachineArn=machine, name=f"{batch}-1", input=given)["executionArn"]

        def ended() -> dict[str, Any] | None:
            found = dict(step_functions.describe_execution(executionArn=arn))
            return None if found["status"] == "RUNNING" else found

        found = until(ended, 60, "the run goes on and on")
        if found["status"] != "SUCCEEDED" or self._cases.status(data) != "completed":
            raise CaseBrokenError(f"the run ended as {found['status']}: {found.get('error')}: {found.get('cause')}")

    def _logged(self, verb: str) -> None:
        """Call a function with nothing: whatever it says to that is in its log."""
        before = self._starts(verb)
        self._bench.client("lambda").invoke(FunctionName=PREFIX + verb, Payload=b"{}")
        if self._starts(verb) == before:
            raise CaseBrokenError(f"{verb} left nothing in its log")

    def _starts(self, verb: str) -> int:
        """Return the number of calls in a function's log."""
        group = f"/aws/lambda/{PREFIX}{verb}"
        pages = self._bench.client("logs").get_paginator("filter_log_events")
        return sum(len(page["events"]) for page in pages.paginate(logGroupName=group, filterPattern="START"))

    def _consumed(self, verb: str, queue: str, message: dict[str, Any]) -> None:
        """Send a message and see it handled and deleted."""
        sqs, denials = self._bench.client("sqs"), self._bench.denials
        url = sqs.get_queue_url(QueueName=PREFIX + queue)["QueueUrl"]
        sqs.purge_queue(QueueUrl=url)
        start, deadline = denials.mark(), time.monotonic() + 30
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        while any(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_LEFT)["Attributes"].values())):
            if denials.since(start, self._bench.roles[verb]) or time.monotonic() > deadline:
                raise CaseBrokenError("the message stays in the queue")
            time.sleep(0.05)

    def _executed(self, submission: Callable[[], dict[str, Any]]) -> None:
        """Run a case to its end: a state that may not call its function ends it, and a failure is written down."""
        step_functions = self._bench.client("stepfunctions")
        machine = self._bench.deployment.outputs["state_machine_arn"]
        data = submission()
        arn = step_functions.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]

        def ended() -> dict[str, Any] | None:
            found = dict(step_functions.describe_execution(executionArn=arn))
            return None if found["status"] == "RUNNING" else found

        found = until(ended, 60, "the execution goes on and on")
        if found.get("error") == "Lambda.AWSLambdaException":
            raise CaseBrokenError(found["cause"])
        if found["status"] == "FAILED" and self._cases.status(data) != "failed":
            raise CaseBrokenError(f"nobody wrote down that the case failed: {found['error']}")

    def _miss(self, verb: str, actions: tuple[str, ...], case: Callable[[], None]) -> None:
        """Miss each grant of these actions that a function has; before and after, the case is well."""
        role = self._bench.roles[verb]
        case()
        try:
            for action in actions:
                [grant] = [each for each in role.grants if each.action == action]
                self._bench.miss(verb, grant, case)
        finally:
            role.restore()
        case()
