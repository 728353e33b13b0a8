"""Virtual time and randomness for a whole process: clocks, ``sleep`` and random sources are the simulation's.

``install`` runs first in a process of its own, before anything of Dossier is imported. Nothing of Dossier changes for
it: it replaces the standard library's functions, and ``datetime`` where modules hold the class.
"""

from __future__ import annotations

import atexit
import datetime as datetimes
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.imported import build_models, import_late_modules

BEGIN = datetimes.datetime(2026, 5, 4, 8, 0, tzinfo=datetimes.UTC).timestamp()
"""When every simulation begins: a Monday morning."""
real_time = time.perf_counter
"""The machine's own clock, for how long a run takes."""
_Datetime = datetimes.datetime
_HOLDERS = ("dossier", "local.sandbox", "aws_lambda_powertools", "tests.simulation.handlers")
"""Packages whose modules hold the class ``datetime``."""


class Clock:
    """The time, in seconds since the simulation began. Only the scheduler moves it."""

    def __init__(self) -> None:
        self.at = 0.0
        self.sleep: Callable[[float], None] = self._nobody

    def time(self) -> float:
        """Return the time, as ``time.time`` does."""
        return BEGIN + self.at

    def monotonic(self) -> float:
        """Return the time, as ``time.monotonic`` does."""
        return 1000.0 + self.at

    def now(self) -> datetimes.datetime:
        """Return the time in UTC."""
        return _Datetime.fromtimestamp(self.time(), datetimes.UTC)

    def _nobody(self, seconds: float) -> None:
        raise RuntimeError(f"nobody may sleep outside of a function ({seconds} s)")


CLOCK = Clock()
_entropy = random.Random(0)


class _Meta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _Datetime)


class VirtualDatetime(_Datetime, metaclass=_Meta):
    """The class ``datetime``, whose ``now`` is the simulation's; what it makes are plain datetimes."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Make a plain datetime."""
        return _Datetime(*args, **options)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """Return the simulation's time."""
        return _Datetime.fromtimestamp(CLOCK.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        """Return the simulation's time, without a zone."""
        return _Datetime.fromtimestamp(CLOCK.time(), datetimes.UTC).replace(tzinfo=None)


def install() -> None:
    """Replace the process's clocks and sources of randomness, until it ends."""
    own = {name: getattr(time, name) for name in ("time", "monotonic", "time_ns", "monotonic_ns", "sleep")}
    atexit.register(lambda: vars(time).update(own))
    time.time = CLOCK.time
    time.monotonic = CLOCK.monotonic
    time.time_ns = lambda: int(CLOCK.time() * 1e9)
    time.monotonic_ns = lambda: int(CLOCK.monotonic() * 1e9)
    time.sleep = lambda seconds: CLOCK.sleep(seconds)  # noqa: PLW0108 -- looked up when it is called
    os.urandom = _entropy.randbytes
    random._urandom = _entropy.randbytes  # type: ignore[attr-defined] # what SystemRandom and secrets draw from


def hold() -> None:
    """Replace the class ``datetime`` in the modules that are imported by now."""
    import_late_modules()
    build_models()
    for name, module in list(sys.modules.items()):
        if name.startswith(_HOLDERS) and vars(module).get("datetime") is _Datetime:
            vars(module)["datetime"] = VirtualDatetime


def begin(seed: str) -> None:
    """Set the time back to the beginning, and everything random to the seed's beginning."""
    CLOCK.at = 0.0
    _entropy.seed(f"{seed}/entropy")
    random.seed(f"{seed}/global")
