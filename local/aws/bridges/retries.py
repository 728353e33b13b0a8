"""``MaxDelaySeconds`` and ``JitterStrategy`` of a ``Retry`` take effect, and no delay is cut short.

AWS waits ``IntervalSeconds * BackoffRate ** n`` seconds, at most ``MaxDelaySeconds``; ``JitterStrategy: FULL`` makes it
a random time up to that (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html). MiniStack
ignores both fields and waits 60 seconds at most. The bridge computes the delay where MiniStack looks up the matching
retrier, and passes it to the sleep that follows in the same thread.
"""

import random
import threading
from collections.abc import Callable
from typing import Any

from local.aws.pinned import replace, stepfunctions

_delay = threading.local()


def install() -> None:
    """Install the bridge."""
    replace(stepfunctions, "_find_matching_retrier", "retriers, error, retry_counts", _find)
    replace(stepfunctions, "_scaled_sleep", "seconds", _sleep)


def _find(
    original: Callable[..., tuple[dict[str, Any] | None, int]],
    retriers: list[dict[str, Any]],
    error: str,
    retry_counts: dict[int, int],
) -> tuple[dict[str, Any] | None, int]:
    retrier, index = original(retriers, error, retry_counts)
    if retrier is not None:
        _delay.seconds = delay(retrier, retry_counts.get(index, 0))
    return retrier, index


def delay(retrier: dict[str, Any], attempts: int) -> float:
    """Return the seconds to wait before the next attempt, after ``attempts`` retries by this retrier."""
    seconds = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** attempts
    seconds = min(seconds, float(retrier.get("MaxDelaySeconds", seconds)))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds  # noqa: S311 - no secret


def _sleep(original: Callable[[float], None], seconds: float) -> None:
    planned = getattr(_delay, "seconds", None)
    _delay.seconds = None
    original(seconds if planned is None else planned)
