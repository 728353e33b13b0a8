import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.local.aws import Aws


def test_an_environment_that_dies_at_its_start_stops_no_other(aws: Aws, tmp_path: Path) -> None:
    """While every third process dies as it starts, its own call fails as Runtime.ExitError, and no other's does."""
    function = aws.function(
        f"""
        import os, pathlib, signal, time, uuid

        starts = pathlib.Path({str(tmp_path)!r})
        (starts / uuid.uuid4().hex).touch()
        if len(list(starts.iterdir())) % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)

        def handle(event, context):
            time.sleep(0.4)
            return "done"
        """
    )

    def call(number: int) -> Any:
        time.sleep(number * 0.1)
        return aws.invoke(function)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(call, range(16)))

    failures = [answer for answer in answers if answer != "done"]
    assert {answer["errorType"] for answer in failures} <= {"Runtime.ExitError"}
    assert answers.count("done") >= 8
