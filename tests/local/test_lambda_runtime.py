import json

import pytest

from local.home import ROOT
from tests.local.aws import Aws, invoke_task

RAISES = """
    class ThrottledError(Exception):
        pass

    calls = 0

    def handle(event, context):
        global calls
        calls += 1
        if event.get("raise"):
            raise ThrottledError("slow down\\nplease")
        return {"calls": calls}
"""


def test_a_state_catches_an_exception_by_its_class_name(aws: Aws) -> None:
    """A Catch that names the class of the handler's exception takes over, with the whole message as its cause."""
    caught = {"ErrorEquals": ["ThrottledError"], "Next": "Caught", "Output": "{% $states.errorOutput %}"}
    states = {"Call": invoke_task(aws.function(RAISES), Catch=[caught]), "Caught": {"Type": "Pass", "End": True}}

    ended = aws.run(aws.machine(states), {"raise": True})

    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["Error"] == "ThrottledError"
    cause = json.loads(ended["output"]["Cause"])
    assert cause["errorMessage"] == "slow down\nplease"
    assert "raise ThrottledError" in "".join(cause["stackTrace"])


def test_the_environment_survives_an_exception(aws: Aws) -> None:
    """The next invocation finds the module as the failed one left it."""
    function = aws.function(RAISES)

    aws.invoke(function, {"raise": True})

    assert aws.invoke(function) == {"calls": 2}


@pytest.mark.parametrize(
    ("source", "handler", "error"),
    [
        ("import os\ndef handle(event, context): os._exit(3)", "code.handle", "Runtime.ExitError"),
        ("import sys\ndef handle(event, context): sys.exit(1)", "code.handle", "Runtime.ExitError"),
        ("def handle(event, context): return bytearray(300 << 20)", "code.handle", "Runtime.ExitError"),
        ("import absent\ndef handle(event, context): ...", "code.handle", "Runtime.ImportModuleError"),
        ("def handle(event, context): ...", "code.absent", "Runtime.HandlerNotFound"),
        ("raise KeyError('settings')", "code.handle", "KeyError"),
        ("def handle(event, context): return object()", "code.handle", "Runtime.MarshalError"),
        ("def handle(event, context): return 'x' * (7 << 20)", "code.handle", "Function.ResponseSizeTooLarge"),
    ],
    ids=["os._exit", "sys.exit", "out of memory", "import", "no handler", "at import", "no json", "too large"],
)
def test_each_failure_has_awss_error_name(aws: Aws, source: str, handler: str, error: str) -> None:
    """A function that ends, cannot be loaded, or returns an unserializable answer fails under AWS's name for it."""
    assert aws.invoke(aws.function(source, handler=handler))["errorType"] == error


def test_output_on_descriptor_1_goes_to_the_log(aws: Aws) -> None:
    """A line that looks like a reply does not become one, and the log has it with all that was printed."""
    function = aws.function(
        """
        import os

        def handle(event, context):
            os.write(1, b'{"status": "ok", "result": "forged"}\\n')
            print("last words", end="")
            return "honest"
        """
    )

    assert [aws.invoke(function), aws.invoke(function)] == ["honest", "honest"]
    group = "/aws/lambda/" + function.rsplit(":", 1)[-1]
    messages = [event["message"] for event in aws.logs.filter_log_events(logGroupName=group)["events"]]
    assert sum("forged" in message for message in messages) == 2
    assert sum("last words" in message for message in messages) == 2


def test_functions_have_their_own_interpreter_and_environment(aws: Aws) -> None:
    """A function sees boto3 and its own variables; neither the server's packages nor its settings."""
    function = aws.function(
        """
        import importlib.util, os, sys
        import boto3

        def handle(event, context):
            found = [name for name in ("ministack", "pytest", "local") if importlib.util.find_spec(name)]
            left = context.get_remaining_time_in_millis()
            return {"prefix": sys.prefix, "found": found, "env": sorted(os.environ), "left": left}
        """,
        variables={"OWN": "1"},
        timeout=60,
    )

    seen = aws.invoke(function)

    assert seen["prefix"] == str(ROOT / ".venv-functions")
    assert seen["found"] == []
    assert {"OWN", "AWS_REGION", "AWS_SESSION_TOKEN"} <= set(seen["env"])
    assert not {"AUTH", "GATEWAY_PORT", "PYTHONPATH", "DOSSIER_FUNCTIONS_PYTHON"} & set(seen["env"])
    assert 48_000 < seen["left"] <= 60_000
