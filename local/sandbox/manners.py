"""Habits of a vendor: it changes file names, its clock is off, and its lists are late."""

import time
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

from local.sandbox import clock
from local.sandbox.faults import Faults

WAYS: dict[str, Callable[[str], str]] = {
    "blanks": lambda name: "_".join(name.split()),
    "case": str.lower,
    "percent": lambda name: quote(name, safe=""),
    "ascii": lambda name: "".join(each if each.isalnum() or each == "." else "_" for each in _folded(name)),
    "time": lambda name: f"{int(time.time())}_{name}",
    "mojibake": lambda name: name.encode().decode("latin-1"),
    "ending": lambda name: name.rpartition(".")[0] or name,
}
"""The changes that ``renamed`` makes to a file's name, by the rule's ``form``."""
CLOCKS = (-180.0, 180.0, -3 * 3600.0, 7 * 3600.0)
"""Seconds by which the clock is off if the rule of ``clock`` sets none."""
ZONES = (0.0, 5.5 * 3600, -5 * 3600.0)
"""Offsets of the local time in seconds, if the rule of ``zoneless`` sets none."""


def _folded(name: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKD", name) if each.isascii())


class Manners:
    """Changes names, times and lists of the vendors, by the rules in the settings."""

    def __init__(self, faults: Faults, now: Callable[[], float]) -> None:
        self._faults, self._now = faults, now

    def name(self, vendor: str, name: str) -> str:
        """Return the name under which an uploaded file is stored (``renamed``)."""
        if not (struck := self._faults.strikes("renamed", vendor, "upload")):
            return name
        rule, dice = struck
        return WAYS[str(rule.form) if rule.form else dice.choice(sorted(WAYS))](name)

    def listed_at(self, vendor: str) -> float:
        """Return the time from which lists include a file that is uploaded now (``listed_late``)."""
        if not (struck := self._faults.strikes("listed_late", vendor, "upload")):
            return 0.0
        rule, dice = struck
        return self._now() + dice.uniform(0.2, 1.0) * (2.0 if rule.seconds is None else rule.seconds)

    def seconds(self, vendor: str, at: float) -> str:
        """Format a time as the vendor does, to the second."""
        return self._zoned(vendor, at, clock.seconds)

    def millis(self, vendor: str, at: float) -> str:
        """Format a time as the vendor does, to the millisecond."""
        return self._zoned(vendor, at, clock.millis)

    def _zoned(self, vendor: str, at: float, write: Callable[[float], str]) -> str:
        off = self._faults.stands("clock", vendor, CLOCKS) or 0.0
        zone = self._faults.stands("zoneless", vendor, ZONES)
        return write(at + off) if zone is None else write(at + off + zone).removesuffix("Z")
