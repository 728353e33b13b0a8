"""An execution environment that breaks takes no other with it.

On AWS an environment that dies fails its own invocation alone. MiniStack, when one of a function's processes cannot
start or dies in its first moments, throws all processes of the function away, those that are at work included, and
their folders under them; under load each of those failures brings down the next generation. Bridged by dropping just
the environment that the failed call had leased; a function that is changed or deleted still loses all of them.
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
