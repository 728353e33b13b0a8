import json

import pytest
from botocore.exceptions import ClientError

from tests.local.aws import Aws, invoke_task

LARGE = "def handle(event, context): return 'x' * (300 << 10)"


def test_a_result_of_more_than_256_kib_fails_and_states_all_does_not_catch_it(aws: Aws) -> None:
    """A task's oversized result ends the execution with States.DataLimitExceeded."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"Call": invoke_task(aws.function(LARGE), Catch=catch), "Caught": {"Type": "Pass", "End": True}}

    assert aws.run(aws.machine(states))["error"] == "States.DataLimitExceeded"


def test_all_results_of_a_map_have_the_same_limit(aws: Aws) -> None:
    """Results that are small one by one and large together fail the Map."""
    one = {"One": {"Type": "Pass", "Output": {"text": "{% $string([1..30000]) %}"}, "End": True}}
    each = {"Type": "Map", "Items": "{% [1, 2] %}", "ItemProcessor": {"StartAt": "One", "States": one}, "End": True}

    assert aws.run(aws.machine({"Each": each}))["error"] == "States.DataLimitExceeded"


@pytest.mark.parametrize("name", ["x" * 81, "a/b", "with space", "a:b"])
def test_a_name_that_aws_rejects_is_rejected(aws: Aws, name: str) -> None:
    """An execution's name has at most 80 characters, none of them special."""
    machine = aws.machine({"Done": {"Type": "Succeed"}})

    with pytest.raises(aws.stepfunctions.exceptions.InvalidName):
        aws.start(machine, name=name)


def test_an_input_has_at_most_256_kib(aws: Aws) -> None:
    """A larger input is rejected before anything starts."""
    machine = aws.machine({"Done": {"Type": "Succeed"}})

    with pytest.raises(ClientError, match="262144"):
        aws.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps("x" * (257 << 10)))
