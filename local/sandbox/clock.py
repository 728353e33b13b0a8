"""Times as the vendors write them."""

from datetime import UTC, datetime


def seconds(at: float) -> str:
    """Format a time as ``2026-05-20T10:15:00Z``."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def millis(at: float) -> str:
    """Format a time as ``2026-02-02T10:21:41.558Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
