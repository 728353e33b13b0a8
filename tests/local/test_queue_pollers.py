import time

import pytest

from tests.local.aws import LOGS, Aws

ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
TAKES = "def handle(event, context): print('taken')"


@pytest.mark.parametrize("missing", [None, *ACTIONS])
def test_a_queue_is_polled_as_the_functions_role(aws: Aws, missing: str | None) -> None:
    """A message reaches the function and is deleted if the role may receive and delete, and stays if it may not."""
    url = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function = aws.function(TAKES, role=aws.role(*LOGS, *((each, arn) for each in ACTIONS if each != missing)))
    aws.lambda_.create_event_source_mapping(FunctionName=function, EventSourceArn=arn)
    aws.sqs.send_message(QueueUrl=url, MessageBody="x")
    group = f"/aws/lambda/{function.rpartition(':')[2]}"

    def left() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in found.values())

    def taken() -> bool:
        groups = aws.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return bool(groups and aws.logs.filter_log_events(logGroupName=group, filterPattern="taken")["events"])

    if missing in {None, "sqs:DeleteMessage"}:
        assert aws.until(taken, bool)
    if missing is None:
        assert aws.until(left, lambda number: number == 0) == 0
    else:
        time.sleep(0.5)
        assert left() == 1
        assert taken() == (missing == "sqs:DeleteMessage")
