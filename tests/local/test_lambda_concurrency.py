from concurrent.futures import ThreadPoolExecutor

from tests.local.aws import Aws


def test_calls_above_the_limit_wait_for_a_free_environment(aws: Aws) -> None:
    """Twelve calls at a time are served by four processes, and none of them fails."""
    function = aws.function(
        """
        import os, time

        def handle(event, context):
            time.sleep(0.2)
            return os.getpid()
        """
    )

    with ThreadPoolExecutor(12) as callers:
        pids = list(callers.map(lambda _: aws.invoke(function), range(12)))

    assert all(isinstance(pid, int) for pid in pids)
    assert len(set(pids)) <= 4
