import json
from typing import Any

from tests.local.aws import Aws, token_task


def _nested(machine: str, *, resource: str = "startExecution.sync:2", **arguments: Any) -> dict[str, Any]:
    given = {"StateMachineArn": machine, "Input": "{% $states.input %}", **arguments}
    return {"Type": "Task", "Resource": f"arn:aws:states:::states:{resource}", "Arguments": given, "End": True}


def test_a_nested_executions_output_is_the_tasks(aws: Aws) -> None:
    """``.sync:2`` waits for the end, and gives input and output as JSON."""
    nested = aws.machine({"Echo": {"Type": "Pass", "End": True}})

    ended = aws.run(aws.machine({"Do": _nested(nested, Name="one")}), {"a": 1})

    assert (ended["output"]["Status"], ended["output"]["Name"]) == ("SUCCEEDED", "one")
    assert ended["output"]["Input"] == ended["output"]["Output"] == {"a": 1}


def test_a_nested_executions_failure_is_the_tasks(aws: Aws) -> None:
    """The error is States.TaskFailed; its cause has the nested execution's own error."""
    nested = aws.machine({"Fail": {"Type": "Fail", "Error": "CaseFailedError", "Cause": "so it is"}})

    ended = aws.run(aws.machine({"Do": _nested(nested)}))

    cause = json.loads(ended["cause"])
    assert (ended["error"], cause["Error"], cause["Cause"]) == ("States.TaskFailed", "CaseFailedError", "so it is")


def test_a_taken_name_has_its_own_error(aws: Aws) -> None:
    """An execution that has ended keeps its name and its output."""
    nested = aws.machine({"Echo": {"Type": "Pass", "End": True}})
    first = aws.end(aws.start(nested, {"a": 1}, name="taken"))
    caught = {"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Known"}
    states = {"Do": {**_nested(nested, Name="taken"), "Catch": [caught]}, "Known": {"Type": "Pass", "End": True}}

    assert aws.run(aws.machine(states), {"a": 2})["status"] == "SUCCEEDED"
    assert aws.end(first["executionArn"])["output"] == {"a": 1}
    failed = aws.run(aws.machine({"Do": _nested(nested, resource="startExecution", Name="taken")}), {"a": 2})
    assert failed["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_nested_execution_survives_its_parent(aws: Aws) -> None:
    """The parent is stopped; its role may not stop the other, which continues."""
    nested = aws.machine({"Wait": token_task(aws.function("def handle(event, context): ..."))})
    parent = aws.start(aws.machine({"Do": _nested(nested, Name="goes-on")}))
    arn = f"{nested.replace(':stateMachine:', ':execution:')}:goes-on"
    running = aws.until(lambda: aws.stepfunctions.list_executions(stateMachineArn=nested)["executions"], bool)
    assert [each["executionArn"] for each in running] == [arn]

    aws.stepfunctions.stop_execution(executionArn=parent)

    assert aws.end(parent)["status"] == "ABORTED"
    assert aws.stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING"
    aws.stepfunctions.stop_execution(executionArn=arn)
