"""What goes wrong, drawn from the seed: which kinds of faults, how often, and where."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

from tests.simulation.clock import CLOCK

STRIKE = ("killed_before", "killed_after", "aws_fails", "aws_fails_after")
"""Faults of AWS that end what a function does."""
T = TypeVar("T")
AWS: dict[str, tuple[float, ...]] = {
    "killed_before": (0.0005, 0.002, 0.01),
    "killed_after": (0.0005, 0.002, 0.01),
    "aws_fails": (0.001, 0.005, 0.02),
    "aws_fails_after": (0.0005, 0.002),
    "answer_lost": (0.001, 0.005, 0.02),
    "slow_call": (0.01, 0.05),
    "invoke_lost": (0.002, 0.01),
    "message_twice": (0.01, 0.1, 0.3),
    "message_late": (0.01, 0.1),
    "index_lags": (0.2, 1.0),
    "event_late": (0.05, 0.3),
    "event_lost": (0.05,),
    "few_at_once": (1.0,),
    "vendor_hangs": (0.002, 0.01),
}
"""Faults of AWS, and the rates of which a seed has one (a share of calls, messages or events)."""
VENDOR: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("throttle", "error_before", "error_after", "lost_before", "lost_after"), (0.02, 0.1, 0.25)),
    **dict.fromkeys(("late", "slow", "truncated", "html", "stray_status", "retry_after"), (0.02, 0.1)),
    **dict.fromkeys(("partial_content", "stored_gzip", "odd_encoding", "expired_400", "long_text"), (0.02, 0.1)),
    **dict.fromkeys(("webhook_lost", "webhook_doubled", "webhook_reordered", "webhook_forged"), (0.1, 0.5)),
    **dict.fromkeys(("renamed", "listed_late"), (0.05, 0.3)),
}
"""Faults of the sandbox (``local/sandbox/faults.py``), and their rates."""
WORLD = ("vendor_down", "edits", "submitted_twice", "odd_shapes", "aborts", "rotated")
"""What else a seed may have."""
KINDS = (*AWS, *VENDOR, *WORLD)


@dataclass
class Faults:
    """The faults of one history. While ``on`` is False nothing goes wrong."""

    seed: str
    rates: dict[str, float] = field(default_factory=dict)
    on: bool = True
    struck: dict[str, int] = field(default_factory=dict)
    stricken: dict[Any, list[float]] = field(default_factory=dict)
    """When faults of ``STRIKE`` hit each function's invocation."""
    who: Callable[[], Any] = lambda: None
    """Returns the invocation that runs."""

    @classmethod
    def drawn(cls, seed: str, *, without: Collection[str] = (), only: Collection[str] | None = None) -> Faults:
        """Draw the kinds and rates of a seed: about half of the kinds, so that each has seeds without it.

        Args:
            seed: the seed.
            without: kinds that are left out.
            only: the only kinds that are kept; None keeps all.

        """
        dice = random.Random(f"{seed}/faults")
        rates: dict[str, float] = {}
        for kind in KINDS:
            rate = dice.choice({**AWS, **VENDOR}.get(kind, (1.0,)))
            if dice.random() < 0.45 and kind not in without and (only is None or kind in only):
                rates[kind] = rate
        return cls(seed, rates)

    def __post_init__(self) -> None:
        """Prepare the dice: of each kind its own, so that a kind that is left out does not move the others'."""
        self._dice: dict[str, random.Random] = {}
        self._draws: dict[str, int] = {}
        self._latency = random.Random(f"{self.seed}/latency")

    def dice(self, kind: str) -> random.Random:
        """Return the dice of a kind."""
        found = self._dice.get(kind)
        if found is None:
            found = self._dice[kind] = random.Random(f"{self.seed}/{kind}")
        return found

    def strikes(self, kind: str, about: str = "") -> bool:
        """Return whether a fault strikes here.

        Args:
            kind: the fault's.
            about: what it may strike, a call, say, and whose. Each has dice of its own, so that what happens to one
                case hardly changes when other cases are left out: shrinking needs that.

        """
        rate = self.rates.get(kind)
        if rate is None:
            return False
        struck = (self.number(kind, about) if about else self.dice(kind).random()) < rate and self.on
        if struck:
            if kind in STRIKE:
                self.stricken.setdefault(self.who(), []).append(CLOCK.at)
            self.struck[kind] = self.struck.get(kind, 0) + 1
        return struck

    def number(self, kind: str, about: str) -> float:
        """Draw a number from 0 to 1 from the dice that something has of a kind."""
        dice = f"{self.seed}/{kind}/{about}"
        count = self._draws[dice] = self._draws.get(dice, 0) + 1
        return int.from_bytes(blake2b(f"{dice}/{count}".encode(), digest_size=6).digest()) / (1 << 48)

    @property
    def lateness(self) -> float:
        """Seconds by which slow calls of AWS may hold up what a function does next."""
        return 0.1 + (6.0 if self.has("slow_call") else 0.0) + (5.0 if self.has("answer_lost") else 0.0)

    def has(self, kind: str) -> bool:
        """Return whether this seed has a kind of fault."""
        return kind in self.rates

    def choice(self, kind: str, of: Sequence[T]) -> T:
        """Choose among the forms of a fault."""
        return self.dice(kind).choice(of)

    def between(self, kind: str, low: float, high: float) -> float:
        """Draw a number for a fault."""
        return self.dice(kind).uniform(low, high)

    def latency(self, service: str) -> float:
        """Return how long half of a call takes: most take no time, so that the scheduler switches only now and then."""
        del service
        draw = self._latency.random()
        if draw < 0.8:
            return 0.0
        if self.on and "slow_call" in self.rates and draw > 1 - self.rates["slow_call"] / 2:
            return self._latency.uniform(0.2, 3.0)
        return self._latency.uniform(0.001, 0.02)

    def rules(self) -> list[dict[str, Any]]:
        """Return the vendors' faults as the sandbox takes them."""
        rules: list[dict[str, Any]] = [
            {"name": kind, "rate": self.rates[kind]} for kind in VENDOR if kind in self.rates
        ]
        for rule in rules:
            if rule["name"] == "error_after":  # a vendor that answers 503 has done nothing (docs/decisions.md)
                rule["status"] = random.Random(f"{self.seed}/error_after/status").choice([500, 502, 504])
        return rules
