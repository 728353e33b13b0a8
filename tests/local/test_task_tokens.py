import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.aws import Aws, token_task

# Passes its token on through a queue and returns; the state goes on waiting.
PASSES_ON = """
    import boto3, json, os

    def handle(event, context):
        boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=event["token"])
        if os.environ.get("FAIL"):
            raise RuntimeError("after all")
"""
ANSWERS = """
    import boto3

    def handle(event, context):
        boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output='{"answer": 42}')
"""


def test_a_function_that_fails_fails_its_state_at_once(aws: Aws) -> None:
    """A waiting state does not wait for an answer that its failed function can never give."""
    function = aws.function("class Refused(Exception): pass\ndef handle(event, context): raise Refused('no')")

    started = time.monotonic()
    ended = aws.run(aws.machine({"Wait": token_task(function, TimeoutSeconds=60)}))

    assert ended["error"] == "Refused"
    assert time.monotonic() - started < 15


def test_a_missing_heartbeat_ends_the_wait(aws: Aws) -> None:
    """HeartbeatSeconds without a heartbeat is States.HeartbeatTimeout, with heartbeats the wait continues."""
    queue, function = _passes_on(aws)
    execution = aws.start(aws.machine({"Wait": token_task(function, HeartbeatSeconds=3, TimeoutSeconds=30)}))
    token = _token(aws, queue)

    for _ in range(4):
        time.sleep(1)
        aws.stepfunctions.send_task_heartbeat(taskToken=token)
    during = aws.stepfunctions.describe_execution(executionArn=execution)["status"]

    assert during == "RUNNING"
    assert aws.end(execution)["error"] == "States.HeartbeatTimeout"


def test_each_attempt_has_its_own_token(aws: Aws) -> None:
    """A retried state hands out another token, and the first one no longer answers it."""
    queue, function = _passes_on(aws, FAIL="1")
    retry = [{"ErrorEquals": ["RuntimeError"], "MaxAttempts": 1}]

    aws.run(aws.machine({"Wait": token_task(function, Retry=retry)}))

    assert _token(aws, queue) != _token(aws, queue)


def test_a_late_answer_and_an_invented_token_get_different_errors(aws: Aws) -> None:
    """The token of an ended task is TaskTimedOut; any other text is InvalidToken."""
    queue, function = _passes_on(aws)
    machine = aws.machine({"Wait": token_task(function)})
    answered = aws.start(machine)
    first = _token(aws, queue)
    aws.stepfunctions.send_task_success(taskToken=first, output='{"done": true}')
    stopped = aws.start(machine)
    second = _token(aws, queue)
    aws.stepfunctions.stop_execution(executionArn=stopped)
    assert aws.end(answered)["output"] == {"done": True}
    time.sleep(0.5)

    assert [_code(aws, token) for token in (first, second, "x" * 40)] == [
        "TaskTimedOut",
        "TaskTimedOut",
        "InvalidToken",
    ]


def test_the_permission_to_answer_is_checked_on_the_tokens_machine(aws: Aws) -> None:
    """A role that may answer this machine's tasks does; one that may answer another machine's is denied."""
    queue, function = _passes_on(aws)
    machine = aws.machine({"Wait": token_task(function)})
    action = "states:SendTaskSuccess"
    allowed, other = aws.role((action, machine)), aws.role((action, machine + "-other"))
    execution = aws.start(machine)
    token = _token(aws, queue)

    denied = aws.invoke(aws.function(ANSWERS, role=other), {"token": token})
    granted = aws.invoke(aws.function(ANSWERS, role=allowed), {"token": token})

    assert "AccessDenied" in denied["errorMessage"]
    assert granted is None
    assert aws.end(execution)["output"] == {"answer": 42}


def _passes_on(aws: Aws, **variables: str) -> tuple[str, str]:
    queue = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    role = aws.role(("sqs:SendMessage", "*"))
    return queue, aws.function(PASSES_ON, role=role, variables={"QUEUE": queue, **variables})


def _token(aws: Aws, queue: str) -> str:
    def receive() -> Any:
        return aws.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=600).get("Messages")

    messages = aws.until(receive, bool)
    return str(messages[0]["Body"])


def _code(aws: Aws, token: str) -> str:
    with pytest.raises(ClientError) as raised:
        aws.stepfunctions.send_task_success(taskToken=token, output=json.dumps({}))
    return str(raised.value.response["Error"]["Code"])
