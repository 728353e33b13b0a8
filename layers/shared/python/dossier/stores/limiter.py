"""What a connection's account allows, shared by every function: a token bucket and the vendor's pauses.

The bucket is the generic cell rate algorithm: one number, the time at which the next request would be on schedule
(``tat``, milliseconds since the epoch). A request may run ahead of the schedule by a burst of one second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from boto3.dynamodb.conditions import Attr

from dossier.errors import ThrottledError
from dossier.settings import Connection
from dossier.stores.table import Table

BURST_MS = 1000


class Limiter:
    """Takes tokens and keeps pauses of all connections."""

    def __init__(
        self, table: Table, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a connection's turn to make one request, at most ``patience`` seconds.

        Raises:
            ThrottledError: its turn is later than that, or the vendor's pause lasts longer.

        """
        give_up = self._clock() + patience
        interval = max(1, round(1000 / connection.limits.requests_per_second))
        while True:
            item = self._table.get(*_key(connection.name)) or {}
            now_ms = int(self._clock() * 1000)
            tat, pause = int(item.get("tat", 0)), int(item.get("pause_until", 0))
            burst = max(BURST_MS - interval, 0)
            ready_at = max(pause, tat - burst)
            if ready_at <= now_ms:
                before = Attr("tat").eq(tat) if "tat" in item else Attr("tat").not_exists()
                unpaused = Attr("pause_until").not_exists() | Attr("pause_until").lte(now_ms)
                if self._table.update(
                    *_key(connection.name), {"tat": max(tat, now_ms) + interval}, when=before & unpaused
                ):
                    return
                continue
            wait = (ready_at - now_ms) / 1000
            if self._clock() + wait > give_up:
                why = "the vendor's pause" if pause > now_ms else "its requests_per_second"
                raise ThrottledError(f"connection {connection.name} waits for {why}", retry_after=wait)
            self._sleep(wait)

    def pause(self, connection: str, seconds: float) -> None:
        """Stop every worker of a connection for ``seconds``; a longer pause that is under way stays."""
        until = int((self._clock() + seconds) * 1000)
        shorter = Attr("pause_until").not_exists() | Attr("pause_until").lt(until)
        self._table.update(*_key(connection), {"pause_until": until}, when=shorter)

    def paused_for(self, connection: str) -> float:
        """Return how long a connection's pause still lasts, in seconds; 0 without one."""
        item = self._table.get(*_key(connection)) or {}
        return max(0.0, int(item.get("pause_until", 0)) / 1000 - self._clock())


def _key(connection: str) -> tuple[str, str]:
    return f"LIMIT#{connection}", "LIMIT"
