"""An execution environment that breaks does not break others.

On AWS an environment that dies fails only its own invocation. When one of a function's processes cannot start or dies
early, MiniStack drops all processes of the function with their folders, even busy ones; under load each such failure
causes the next. The bridge drops only the environment of the failed call. Changing or deleting a function still drops
all of them.
"""

import threading
from collections.abc import Callable
from typing import Any

from local.aws.pinned import lambda_runtime, lambda_service, replace

_leased = threading.local()


def install() -> None:
    """Install the bridge."""
    takes = "func_name, config, code_zip, qualifier, max_concurrency"
    replace(lambda_service, "acquire_worker", takes, _acquire)
    replace(lambda_service, "release_worker", "worker", _release)
    replace(lambda_service, "invalidate_worker", "func_name, qualifier, account, region", _invalidate)


def _acquire(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    worker, reason = original(*args, **kwargs)
    _leased.worker = worker
    return worker, reason


def _release(original: Callable[[Any], None], worker: Any) -> None:
    _leased.worker = None
    original(worker)


def _invalidate(original: Callable[..., None], func_name: str, *args: Any, **kwargs: Any) -> None:
    worker = getattr(_leased, "worker", None)
    if worker is None or worker.func_name != func_name:
        original(func_name, *args, **kwargs)
        return
    with lambda_runtime._lock:
        for pool in lambda_runtime._workers.values():
            if worker in pool:
                pool.remove(worker)
    lambda_runtime.kill_workers([worker])
