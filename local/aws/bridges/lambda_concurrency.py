"""One function has a bounded number of execution environments; further calls wait.

AWS gives each concurrent invocation its own environment, up to a thousand. MiniStack forks a process for each one,
without a limit: a batch of 300 cases took 363 processes and 15 GB of memory. With the bridge, calls above
``DOSSIER_LOCAL_WORKERS`` (default 4) for one function wait until an environment is free. The waiting time does not
count against the function's timeout. A function that synchronously invokes itself could starve; none here does.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from local.aws.pinned import lambda_service, replace

_DEFAULT = 4


def install() -> None:
    """Install the bridge."""
    limit = int(os.environ.get("DOSSIER_LOCAL_WORKERS") or _DEFAULT)
    free: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(limit))
    lock = threading.Lock()

    def dispatch(
        original: Callable[..., Any], func: Any, config: dict[str, Any], event: Any, request_id: str, _started: float
    ) -> Any:
        with lock:
            environments = free[config.get("FunctionArn", "")]
        with environments:
            return original(func, config, event, request_id, time.time())

    replace(lambda_service, "_execute_function_dispatch", "func, config, event, request_id, started", dispatch)
