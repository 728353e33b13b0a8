"""The history: one line for each thing that happens, and its hash."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tests.simulation.clock import CLOCK

PAGE = 60
"""Lines of a history that fit on a page."""
DULL = ("state", "request", "answer", "webhook", "invoke")
"""Kinds of lines that are left out, in this order, until a history fits."""
_NUMBER = re.compile(r"[0-9a-f]{6,}|[\d.]+")
IDS = ("case_id", "document_id", "job_id")


class Trace:
    """Records the history. ``digest`` is the hash of every line; ``lines`` keeps them if they are to be shown."""

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

    def page(self, about: str = "", *, most: int = PAGE) -> list[str]:
        """Return a case's history on one page, without repetitions and the least telling lines."""
        lines = [each for each in self.text(about) if " call  " not in each]
        for dull in ("", *DULL):
            lines = _folded([each for each in lines if not dull or f" {dull} " not in each[:42]])
            if len(lines) <= most:
                return lines
        half = most // 2
        return [*lines[: half - 1], f"… {len(lines) - most + 1} lines", *lines[half - most :]]

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


def _folded(lines: list[str]) -> list[str]:
    """Write lines that differ in numbers only, and follow each other in twos or threes, once."""
    found: list[str] = []
    kinds: list[str] = []
    for line in lines:
        kind = _NUMBER.sub("", line[14:])
        if kind in kinds[-3:]:
            again = len(kinds) - 1 - kinds[::-1].index(kind)
            text, _, times = found[again].partition("  … ")
            found[again] = f"{text}  … {int(times.split()[0]) + 1 if times else 2} times"
        else:
            kinds.append(kind)
            found.append(line)
    return found


def _time(at: float) -> str:
    minutes, seconds = divmod(at, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02}:{minutes:02}:{seconds:06.3f}"
