"""AWS's quotas in a simulation: what they let through, and how much of each is used."""

from __future__ import annotations

import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults

FULL = 0.95
"""The share of a limit from which on it counts as used up."""
_BUCKETS = {
    "stepfunctions.StartExecution": "start_execution",
    "stepfunctions.SendTaskSuccess": "send_task",
    "stepfunctions.SendTaskFailure": "send_task",
    "stepfunctions.DescribeExecution": "describe_execution",
}
_FIXED = {"describe_execution"}
"""Quotas of calls whose number does not depend on the number of cases (``dossier.steps.reconcile.DESCRIBED``)."""


def known() -> dict[str, Any]:
    """Return the quotas and the assumed times."""
    return tomllib.loads(Path(__file__).with_name("quotas.toml").read_text(encoding="utf-8"))


@dataclass
class Use:
    """How much of one limit is used: the most at any time, and when it was used up first."""

    limit: float
    most: float = 0.0
    full_at: float | None = None

    def saw(self, number: float) -> None:
        """Take note of a use."""
        self.most = max(self.most, number)
        if number >= FULL * self.limit:
            self.is_full()

    def is_full(self) -> None:
        """Take note that something has to wait for more."""
        self.full_at = CLOCK.at if self.full_at is None else self.full_at

    @property
    def share(self) -> float:
        """The most that was used, as a share of the limit."""
        return self.most / self.limit


@dataclass
class Rate:
    """The uses of one limit in each second, or in each span of so many seconds."""

    use: Use
    span: float = 1.0
    burst: bool = False
    """Whether a bucket lets more through for a while: only who is stopped shows that it is used up."""
    second: int = -1
    number: float = 0.0

    def add(self, number: float = 1) -> None:
        """Use some of it now."""
        if int(CLOCK.at / self.span) != self.second:
            self.second, self.number = int(CLOCK.at / self.span), 0.0
        self.number += number
        if self.burst:
            self.use.most = max(self.use.most, self.number)
        else:
            self.use.saw(self.number)


@dataclass
class Bucket:
    """Tokens that come back at a steady rate."""

    size: float
    rate: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        """Begin with a full bucket."""
        self.tokens = self.size

    def take(self) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        self.tokens = min(self.size, self.tokens + (CLOCK.at - self.at) * self.rate)
        self.at = CLOCK.at
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class Quotas:
    """The quotas of one account, of which a simulation has a share."""

    def __init__(self, share: float, *, concurrency: float) -> None:
        figures = known()
        self.uses: dict[str, Use] = {"Lambda: concurrency of the account": Use(concurrency * share)}
        self.throttled: Counter[str] = Counter()
        states, table = figures["states"], figures["dynamodb"]
        shares = {name: 1.0 if key in _FIXED else share for name, key in _BUCKETS.items()}
        self._buckets = {name: Bucket(*(each * shares[name] for each in states[key])) for name, key in _BUCKETS.items()}
        self._transitions = Bucket(*(each * share for each in states["transitions"]))
        self._rates: dict[str, Rate] = {}
        for name, limit in {
            "Step Functions: transitions": states["transitions"][1],
            **{f"Step Functions: {name.partition('.')[2]}": states[key][1] for name, key in _BUCKETS.items()},
            "DynamoDB: writes to a new table": table["table_writes"],
            "DynamoDB: reads of a new table": table["table_reads"],
            "S3: writes": figures["s3"]["writes"],
        }.items():
            self.uses[name] = Use(limit * shares.get(name.replace("Step Functions: ", "stepfunctions."), share))
            self._rates[name] = Rate(self.uses[name], burst=name.startswith("Step Functions"))
        self._hottest: dict[str, Rate] = defaultdict(lambda: Rate(self.uses["DynamoDB: writes to a partition"]))
        self.uses["DynamoDB: writes to a partition"] = Use(table["partition_writes"])

    def transition(self) -> float:
        """Enter a state; return the seconds by which Step Functions delays it."""
        self._rates["Step Functions: transitions"].add()
        late = self._transitions.take()
        if late > 0:
            self.throttled["transitions"] += 1
            self.uses["Step Functions: transitions"].is_full()
        return late

    def call(self, name: str) -> bool:
        """Return whether a call is let through."""
        service, _, operation = name.partition(".")
        if service == "s3" and operation not in {"GetObject", "HeadObject"}:
            self._rates["S3: writes"].add()
        if name not in self._buckets:
            return True
        self._rates[f"Step Functions: {operation}"].add()
        passes = self._buckets[name].take() == 0.0
        if not passes:
            self.throttled[name] += 1
            self.uses[f"Step Functions: {operation}"].is_full()
        return passes

    def units(self, kind: str, number: float, partition: str) -> None:
        """Use units of the table."""
        self._rates[f"DynamoDB: {'writes to' if kind == 'write' else 'reads of'} a new table"].add(number)
        if kind == "write":
            self._hottest[partition].add(number)


class Typical(Faults):
    """No faults: every call takes as long as it typically does."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed, {}, on=False)
        self._seconds: Mapping[str, float] = known()["assumed"]
        self._typical = random.Random(f"{seed}/typical")

    def latency(self, service: str = "handler") -> float:
        """Return how long half of a call takes."""
        return self._seconds[service] / 2 * 2 ** self._typical.uniform(-1, 1)
