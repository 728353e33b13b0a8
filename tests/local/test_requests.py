from collections.abc import Callable
from pathlib import Path

from local.processes import Process
from tests.local.aws import LOGS, Aws, invoke_task


def test_requests_of_a_role_invocations_and_tasks_are_written_down(
    start_aws: Callable[..., tuple[Process, Aws]], tmp_path: Path
) -> None:
    """One line for each, in a file that the environment names; people's requests are not."""
    file = tmp_path / "requests.txt"
    _, aws = start_aws(tmp_path, AUTH="true", DOSSIER_LOCAL_REQUESTS=str(file))
    aws.sqs.create_queue(QueueName="counted")
    role = aws.role(*LOGS, ("sqs:ListQueues", "*"))
    function = aws.function(
        "import boto3\n\ndef handle(event, context): boto3.client('sqs').list_queues(); return 'answered'", role=role
    )
    assert [aws.invoke(function) for _ in range(2)] == ["answered"] * 2
    once = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 0}
    fails = invoke_task(aws.function("def handle(event, context): raise ValueError"), Retry=[once])
    body = {"StartAt": "Call It", "States": {"Call It": invoke_task(function)}}
    each = {"Type": "Map", "Items": [1, 2], "ItemProcessor": body, "Next": "Fails"}
    assert aws.run(aws.machine({"Each": each, "Fails": fails}))["status"] == "FAILED"
    lines = [line.split() for line in file.read_text().splitlines()]
    assert [action for kind, caller, action in lines if kind == "call" and role.rpartition("/")[2] in caller] == [
        "sqs:ListQueues"
    ] * 4
    assert [name for kind, name, _ in lines if kind == "invoke"][:4] == [function.rpartition(":")[2]] * 4
    assert sorted(name for kind, name, _ in lines if kind == "task") == ["Call-It", "Call-It", "Fails"]
    assert [name for kind, name, _ in lines if kind == "retry"] == ["ValueError"]
    assert not any(action == "sqs:CreateQueue" for _, _, action in lines)
