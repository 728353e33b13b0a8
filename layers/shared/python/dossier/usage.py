"""What an invocation of a function uses: requests to AWS, units of the table, time. ``dossier cost`` adds it up.

Each invocation prints one line about it, which costs no request: it becomes a line of the function's log. DynamoDB says
itself how many units a request consumed.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html

The module imports nothing heavy, because the webhook function measures itself too.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import wraps
from threading import Lock
from typing import Any

USED = "dossier_used"
"""The field of a log line that has what an invocation used."""
LONGEST_NAME = 100
"""Characters of a case's names that a line has at most; a valid name has no more."""
_READS = ("GetItem", "Query", "Scan", "BatchGetItem")
_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
Handler = Callable[[dict[str, Any], Any], Any]


class Usage:
    """Counts what the clients of a session use from ``attach`` on. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.begin()

    def begin(self, **names: str) -> None:
        """Count from zero, for an invocation about the case of these names."""
        with self._lock:
            self.names: dict[str, str] = {}
            self.requests: Counter[str] = Counter()
            self.read_units = self.write_units = 0.0
            self.calls = self.sent = 0
        self.about(**names)

    def about(self, **names: str) -> None:
        """Note whose invocation it is."""
        self.names |= {name: value[:LONGEST_NAME] for name, value in names.items() if isinstance(value, str)}

    def called(self, sent: int = 0) -> None:
        """Count a request to a vendor, and the bytes of the documents that it sent."""
        with self._lock:
            self.calls += 1
            self.sent += sent

    def attach(self, events: Any) -> None:
        """Count the requests of the clients that a session makes from now on; ``events`` are the session's."""
        for operation in (*_READS, *_WRITES):
            events.register(
                f"provide-client-params.dynamodb.{operation}", _ask_for_units, unique_id=f"units-{operation}"
            )
        events.register("before-call", self._called, unique_id=f"usage-{id(self)}-before")
        events.register("after-call.dynamodb", self._answered, unique_id=f"usage-{id(self)}-after")

    def _called(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.requests[f"{model.service_model.service_name}.{model.name}"] += 1

    def _answered(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        found = parsed.get("ConsumedCapacity")
        units = sum(float(each["CapacityUnits"]) for each in (found if isinstance(found, list) else [found or _NONE]))
        if parsed.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            units = 1.0  # a refused write is paid for, and says nothing about its units
        with self._lock:
            if model.name in _WRITES:
                self.write_units += units
            else:
                self.read_units += units

    def line(self, seconds: float, memory: int, init: float = 0.0) -> str:
        """Return the line about an invocation that took ``seconds`` with ``memory`` MiB, after ``init`` of a start."""
        used = {
            "ms": round(1000 * seconds, 1),
            **({"init": round(1000 * init, 1)} if init else {}),
            "mb": memory,
            "read": self.read_units,
            "write": self.write_units,
            "calls": self.calls,
            "sent": self.sent,
            "requests": dict(sorted(self.requests.items())),
        }
        return json.dumps({USED: used, **self.names}, separators=(",", ":"))


_NONE = {"CapacityUnits": 0}
OWN = Usage()
"""What this function uses."""


def measured(handler: Handler) -> Handler:
    """Wrap a function's handler: print what each invocation uses, also if it fails."""
    starts = [initialized()]  # of the first invocation alone

    @wraps(handler)
    def wrapper(event: dict[str, Any], context: Any) -> Any:
        began = time.perf_counter()
        OWN.begin(**names_in(event))
        try:
            return handler(event, context)
        finally:
            memory = int(getattr(context, "memory_limit_in_mb", 0) or 0)
            init = starts.pop() if starts else 0.0
            print(OWN.line(time.perf_counter() - began, memory, init), flush=True)  # noqa: T201 -- a line of the log

    return wrapper


def initialized() -> float:
    """Return for how many seconds Lambda has initialized this environment until now; 0 if that is not billed here.

    The end of a handler module's import is the end of the INIT phase, which began shortly before the process did. It is
    billed since August 2025: https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "on-demand":
        return 0.0
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 -- pathlib is slow
            started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def names_in(event: Any) -> dict[str, str]:
    """Return the names of the case that an event of a function is about, as far as it says."""
    found = event.get("input", event) if isinstance(event, dict) else {}
    if isinstance(found, dict) and isinstance(found.get("detail"), dict):  # an execution's change of status
        try:
            found = json.loads(found["detail"].get("input") or "{}")
        except ValueError:
            found = {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in ("connection", "reference") if isinstance(found.get(name), str)}


def _ask_for_units(params: dict[str, Any], **_: Any) -> None:
    params.setdefault("ReturnConsumedCapacity", "TOTAL")
