"""The facts of one request to a vendor, for logs and metrics: they need no transport and no HTTP library."""

from __future__ import annotations

from dataclasses import dataclass

CALL = "vendor call"
"""The message of the log line of a request to a vendor."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was sent to a vendor: its method and path, and the answer's status or the error."""

    connection: str
    call: str
    status: int | None
    error: str | None
    seconds: float
    sent: int = 0
    """Bytes of the documents that were sent."""


def unheard(call: Call) -> None:
    """Ignore a request."""
