"""The history: one line for each thing that happens, and its hash."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.simulation.clock import CLOCK

IDS = ("case_id", "document_id", "job_id")


class Trace:
    """Writes down what happens. ``digest`` is the hash of every line; ``lines`` keeps them if they are to be shown."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.sha256()
        self.count = 0
        self.keep = keep
        self.lines: list[tuple[float, str, str, dict[str, Any]]] = []
        self.who: Any = lambda: ""

    def __call__(self, what: str, /, **about: Any) -> None:
        """Add a line."""
        who = self.who()
        self.count += 1
        self._hash.update(f"{CLOCK.at:.6f} {who} {what} {about}\n".encode())
        if self.keep:
            self.lines.append((CLOCK.at, who, what, about))

    @property
    def digest(self) -> str:
        """The hash of the history so far."""
        return self._hash.hexdigest()[:16]

    def text(self, about: str = "") -> list[str]:
        """Return the lines that name ``about``, or an id that its vendor gave it, as text."""
        found, known = [], [about]
        for at, who, what, details in self.lines:
            said = " ".join(f"{name}={value}" for name, value in details.items() if value not in ("", None))
            line = f"{_time(at)}  {who:<10.10} {what:<14} {said}"
            if any(each in line for each in known):
                if about and what == "at the vendor":
                    known += [str(details[name]) for name in IDS if details.get(name)]
                found.append(line[:230])
        return found


def _time(at: float) -> str:
    minutes, seconds = divmod(at, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02}:{minutes:02}:{seconds:06.3f}"
