"""Rate limits: a sliding window per key, and the pauses that a 429 announces."""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from local.sandbox.settings import SettingsKeeper


@dataclass
class Pause:
    """A pause of a key until ``until``; ``announced_at`` is the time of its first 429, None before."""

    until: float
    announced_at: float | None = None

    def retry_after(self, now: float, *, form: str) -> str:
        """Return the rest of the pause in whole seconds, or the HTTP date of its end."""
        if form == "date":
            return formatdate(math.ceil(self.until), usegmt=True)
        return str(max(1, math.ceil(self.until - now)))


class Limits:
    """Counts the calls of each vendor's key, in memory only."""

    def __init__(self, keeper: SettingsKeeper, now: Callable[[], float]) -> None:
        self._keeper, self._now = keeper, now
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._pauses: dict[str, Pause] = {}

    def pause(self, vendor: str) -> Pause | None:
        """Return the current pause of this vendor's key."""
        pause = self._pauses.get(vendor)
        return pause if pause and self._now() < pause.until else None

    def announce(self, vendor: str, seconds: float, *, form: str) -> Pause:
        """Begin a pause; one that is announced as a date ends at a whole second."""
        now = self._now()
        until = math.ceil(now + seconds) if form == "date" else now + max(1, math.ceil(seconds))
        self._pauses[vendor] = Pause(until)
        return self._pauses[vendor]

    def announced(self, vendor: str) -> None:
        """Record that a 429 leaves now, after which the caller knows of the pause."""
        pause = self._pauses.get(vendor)
        if pause and pause.announced_at is None:
            pause.announced_at = self._now()

    def exceeded(self, vendor: str) -> float | None:
        """Count a call; if it is one too many, return the seconds until the next one is allowed."""
        limit = next((limit for name, limit in self._keeper.now.rate_limits.items() if name == vendor), None)
        if limit is None:
            return None
        now, calls = self._now(), self._calls[vendor]
        while calls and calls[0] <= now - limit.seconds:
            calls.popleft()
        if len(calls) >= limit.requests:
            return calls[len(calls) - limit.requests] + limit.seconds - now
        calls.append(now)
        return None

    def clear(self) -> None:
        """Delete all calls and pauses."""
        self._calls.clear()
        self._pauses.clear()
