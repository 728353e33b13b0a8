from tests.local.aws import ACCOUNT, LOGS, REGION, Aws
from tests.local.calls import CALLS


def test_a_bus_is_described_with_a_permission_on_it(aws: Aws) -> None:
    """The permission to describe an event bus is one on the bus; one on another bus is not enough."""
    name = aws.name("bus")
    aws.events.create_event_bus(Name=name)
    describe = {"service": "events", "call": "describe_event_bus", "given": {"Name": name}}

    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"
    allowed = aws.function(CALLS, role=aws.role(*LOGS, ("events:DescribeEventBus", bus)))
    assert not aws.invoke(allowed, describe)

    other = aws.function(CALLS, role=aws.role(*LOGS, ("events:DescribeEventBus", f"{bus}-2")))
    assert f"events:DescribeEventBus on resource: {bus} because" in aws.invoke(other, describe)["errorMessage"]


def test_dead_letters_are_moved_with_a_permission_on_their_queue(aws: Aws) -> None:
    """The permission to move dead letters is one on their queue; with it, the local AWS says that it cannot."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{aws.name('queue')}"
    move = {"service": "sqs", "call": "start_message_move_task", "given": {"SourceArn": arn}}

    allowed = aws.function(CALLS, role=aws.role(*LOGS, ("sqs:StartMessageMoveTask", arn)))
    assert "not authorized" not in aws.invoke(allowed, move)["errorMessage"]

    other = aws.function(CALLS, role=aws.role(*LOGS, ("sqs:StartMessageMoveTask", f"{arn}-2")))
    assert f"sqs:StartMessageMoveTask on resource: {arn} because" in aws.invoke(other, move)["errorMessage"]


def test_a_map_run_is_described_with_a_permission_on_it(aws: Aws) -> None:
    """The permission to describe a Map Run is one on the Map Run, by its machine and label."""
    run = f"arn:aws:states:{REGION}:{ACCOUNT}:mapRun:{aws.name('machine')}/cases:0"
    describe = {"service": "stepfunctions", "call": "describe_map_run", "given": {"mapRunArn": run}}

    allowed = aws.function(CALLS, role=aws.role(*LOGS, ("states:DescribeMapRun", run.replace("cases:0", "*"))))
    assert "not authorized" not in aws.invoke(allowed, describe)["errorMessage"]

    other = aws.function(CALLS, role=aws.role(*LOGS, ("states:DescribeMapRun", f"{run}-2")))
    assert f"states:DescribeMapRun on resource: {run} because" in aws.invoke(other, describe)["errorMessage"]
