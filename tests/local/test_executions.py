import json
import time

from tests.local.aws import Aws, token_task

WAITS = {"Wait": {"Type": "Wait", "Seconds": 20, "End": True}}


def test_a_stopped_execution_stays_stopped(aws: Aws) -> None:
    """The state that was at work when an execution was stopped does not turn it into a failed one."""
    execution = aws.start(aws.machine({"Wait": token_task(aws.function("def handle(event, context): ..."))}))
    time.sleep(0.6)

    aws.stepfunctions.stop_execution(executionArn=execution, cause="enough")
    time.sleep(0.6)

    ended = aws.end(execution)
    assert (ended["status"], ended["cause"]) == ("ABORTED", "enough")


def test_the_same_start_twice_is_one_execution(aws: Aws) -> None:
    """Name and input of an execution that runs answer its ARN; with another input the name is taken."""
    machine = aws.machine(WAITS)
    first = aws.start(machine, {"a": 1}, name="case")

    assert aws.start(machine, {"a": 1}, name="case") == first
    try:
        aws.start(machine, {"a": 2}, name="case")
    except aws.stepfunctions.exceptions.ExecutionAlreadyExists:
        taken = True
    assert taken


def test_each_change_of_status_is_an_event(aws: Aws) -> None:
    """A rule on the default bus sees an execution start and end."""
    queue = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    machine = aws.machine({"Done": {"Type": "Succeed"}})
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}}
    rule = aws.name("rule")
    aws.events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    arn = aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])

    aws.run(machine)

    seen: list[str] = []

    def receive() -> list[str]:
        messages = aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"])["detail"]["status"] for message in messages)
        return seen

    assert sorted(aws.until(receive, lambda found: len(found) >= 2)) == ["RUNNING", "SUCCEEDED"]
