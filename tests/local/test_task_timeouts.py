import time

from tests.local.aws import Aws, invoke_task, token_task

KEEPS_SILENT = "def handle(event, context): ..."


def test_a_timeout_may_be_an_expression(aws: Aws) -> None:
    """TimeoutSeconds computed from the input ends the wait for a token with States.Timeout."""
    state = token_task(aws.function(KEEPS_SILENT), TimeoutSeconds="{% $states.input.limit %}")

    started = time.monotonic()
    ended = aws.run(aws.machine({"Wait": state}), {"limit": 5})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert 5 <= time.monotonic() - started < 15


def test_a_stopped_execution_starts_no_further_task(aws: Aws) -> None:
    """The rest of a Map's items is not worked on once the execution was stopped."""
    queue = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    role = aws.role(("sqs:SendMessage", "*"))
    source = """
        import boto3, os, time

        def handle(event, context):
            boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody="called")
            time.sleep(3)
    """
    function = aws.function(source, role=role, variables={"QUEUE": queue})
    each = {"Type": "Map", "Items": "{% [1, 2, 3, 4, 5] %}", "MaxConcurrency": 1, "End": True,
            "ItemProcessor": {"StartAt": "Call", "States": {"Call": invoke_task(function)}}}  # fmt: skip
    execution = aws.start(aws.machine({"Each": each}))
    aws.until(lambda: _waiting(aws, queue), lambda count: count >= 1)

    aws.stepfunctions.stop_execution(executionArn=execution)
    time.sleep(4)

    assert _waiting(aws, queue) == 1
    assert aws.end(execution)["status"] == "ABORTED"


def _waiting(aws: Aws, queue: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int(aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])
