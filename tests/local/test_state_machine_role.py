from typing import Any

import pytest

from tests.local.aws import ACCOUNT, REGION, Aws

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
MESSAGE = {"QueueUrl": "http://localhost/000000000000/absent", "MessageBody": "x"}
EVENT = {"EventBusName": "dossier", "Source": "x", "DetailType": "x", "Detail": {}}


def _task(resource: str, **arguments: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, "End": True}


@pytest.mark.parametrize(
    ("task", "action"),
    [
        (_task("lambda:invoke", FunctionName="absent"), "lambda:InvokeFunction"),
        (_task("sqs:sendMessage", **MESSAGE), "sqs:SendMessage"),
        (_task("sqs:sendMessage.waitForTaskToken", **MESSAGE), "sqs:SendMessage"),
        (_task("events:putEvents", Entries=[EVENT]),
         "events:PutEvents"),
        (_task("dynamodb:putItem", TableName="absent", Item={"pk": {"S": "x"}}), "dynamodb:PutItem"),
        (_task("states:startExecution", StateMachineArn="arn:aws:states:::x", Input={}), "states:StartExecution"),
        (_task("aws-sdk:dynamodb:query", TableName="absent"), "dynamodb:Query"),
        (_task("aws-sdk:secretsmanager:getSecretValue", SecretId="absent"), "secretsmanager:GetSecretValue"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_task_that_the_role_does_not_allow_is_denied(aws: Aws, task: dict[str, Any], action: str) -> None:
    """Each integration fails without a grant, and its cause names the action that is missing."""
    assert f"not authorized to perform: {action} on" in aws.run(aws.machine({"Do": task}, role=aws.role()))["cause"]


def test_a_grant_covers_only_its_resource(aws: Aws) -> None:
    """A role that may send to one queue sends to that one and not to another."""
    ours, theirs = aws.name("queue"), aws.name("queue")
    urls = [aws.sqs.create_queue(QueueName=name)["QueueUrl"] for name in (ours, theirs)]
    role = aws.role(("sqs:SendMessage", QUEUE + ours))
    machines = [aws.machine({"Do": _task("sqs:sendMessage", QueueUrl=url, MessageBody="x")}, role=role) for url in urls]

    assert [aws.run(machine)["status"] for machine in machines] == ["SUCCEEDED", "FAILED"]


def test_a_grant_on_a_bus_lets_the_machine_put_events(aws: Aws) -> None:
    """A machine needs events:PutEvents on the bus to publish there."""
    bus = aws.events.create_event_bus(Name=aws.name("bus"))["EventBusArn"]
    entry = {"EventBusName": bus.rsplit("/", 1)[-1], "Source": "x", "DetailType": "x", "Detail": {"a": 1}}
    machine = aws.machine({"Do": _task("events:putEvents", Entries=[entry])}, role=aws.role(("events:PutEvents", bus)))

    assert aws.run(machine)["status"] == "SUCCEEDED"
