from tests.local.aws import Aws


def test_a_succeed_state_shapes_the_output(aws: Aws) -> None:
    """Output of a Succeed state is the execution's output, also inside a Map."""
    inner = {"StartAt": "One", "States": {"One": {"Type": "Succeed", "Output": "{% $states.input * 2 %}"}}}
    states = {
        "Each": {"Type": "Map", "Items": "{% [1, 2] %}", "ItemProcessor": inner, "Next": "Done"},
        "Done": {"Type": "Succeed", "Output": {"doubled": "{% $states.input %}"}},
    }

    assert aws.run(aws.machine(states))["output"] == {"doubled": [2, 4]}
