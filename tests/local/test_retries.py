import time

import pytest

from tests.local.aws import Aws, invoke_task

FAILS = "class Nope(Exception): pass\ndef handle(event, context): raise Nope('again')"


@pytest.mark.parametrize("jitter", ["NONE", "FULL"])
def test_a_delay_ends_at_its_maximum(aws: Aws, jitter: str) -> None:
    """Three retries that would back off to 555 s take 15 s at most (here a fifth of it) with MaxDelaySeconds 5."""
    retry = {"ErrorEquals": ["Nope"], "MaxAttempts": 3, "IntervalSeconds": 5, "BackoffRate": 10.0, "MaxDelaySeconds": 5}
    machine = aws.machine({"Call": invoke_task(aws.function(FAILS), Retry=[{**retry, "JitterStrategy": jitter}])})

    started = time.monotonic()
    ended = aws.run(machine)
    took = time.monotonic() - started

    assert ended["error"] == "Nope"
    assert took < 15
    assert jitter == "FULL" or took > 3
    history = aws.stepfunctions.get_execution_history(executionArn=ended["executionArn"])["events"]
    assert sum(event["type"] == "TaskFailed" for event in history) == 4
