"""The cost of AWS usage at the list prices of ``prices.toml``, the only place with prices."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

_S3_READS = {"GetObject", "HeadObject", "GetObjectAttributes", "GetObjectTagging"}
_S3_FREE = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}
RECEIVED = 2
"""Requests to SQS with which Lambda receives and deletes a batch of messages."""


def prices() -> dict[str, Any]:
    """Return the prices and the assumptions."""
    return tomllib.loads(resources.files("dossier").joinpath("prices.toml").read_text(encoding="utf-8"))


@dataclass
class Spent:
    """Usage, as AWS counts it."""

    transitions: int = 0
    traces: int = 0
    """Executions, and invocations that no execution makes."""
    invocations: int = 0
    gigabyte_seconds: float = 0
    read_units: float = 0
    write_units: float = 0
    requests: Counter[str] = field(default_factory=Counter)
    """Requests to AWS by ``service.Operation``."""
    batches: int = 0
    """Batches of messages that Lambda passed to a function."""
    deliveries: int = 0
    """Requests at the webhook's URL."""
    vendor_calls: int = 0
    bytes_sent: int = 0
    """Bytes of documents that were sent to a vendor."""

    def add(self, other: Spent) -> None:
        """Add more usage."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def s3_reads(self) -> int:
        """Requests to S3 that only read."""
        return self._of("s3", _S3_READS)

    @property
    def s3_writes(self) -> int:
        """Requests to S3 that write, copy or list. Deletions are free."""
        return self._of("s3") - self.s3_reads - self._of("s3", _S3_FREE)

    @property
    def sqs_requests(self) -> int:
        """Requests to SQS, with those of Lambda."""
        return self._of("sqs") + RECEIVED * self.batches

    def counts(self) -> dict[str, float]:
        """Return the counts for programs."""
        return {
            "transitions": self.transitions,
            "traces": self.traces,
            "invocations": self.invocations,
            "gigabyte_seconds": round(self.gigabyte_seconds, 6),
            "read_units": self.read_units,
            "write_units": self.write_units,
            "s3_writes": self.s3_writes,
            "s3_reads": self.s3_reads,
            "sqs_requests": self.sqs_requests,
            "events": self.requests["events.PutEvents"],
            "secret_reads": self.requests["secretsmanager.GetSecretValue"],
            "deliveries": self.deliveries,
            "vendor_calls": self.vendor_calls,
            "bytes_sent": self.bytes_sent,
        }

    def _of(self, service: str, operations: set[str] | None = None) -> int:
        named = ((each.partition("."), number) for each, number in self.requests.items())
        return sum(
            number for (of, _, name), number in named if of == service and (operations is None or name in operations)
        )


def bill(spent: Spent, rate: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost of the usage, in dollars, by item."""
    return {
        "state transitions": spent.transitions * rate["states"]["transition"],
        "Lambda requests": spent.invocations * rate["lambda"]["request"],
        "Lambda GB-seconds": spent.gigabyte_seconds * rate["lambda"]["gigabyte_second"],
        "table, read units": spent.read_units * rate["dynamodb"]["read_unit"],
        "table, write units": spent.write_units * rate["dynamodb"]["write_unit"],
        "S3, writes and lists": spent.s3_writes * rate["s3"]["write"],
        "S3, reads": spent.s3_reads * rate["s3"]["read"],
        "webhook requests": spent.deliveries * rate["api"]["request"],
        "SQS requests": spent.sqs_requests * rate["sqs"]["request"],
        "events": spent.requests["events.PutEvents"] * rate["events"]["event"],
        "reads of the secret": spent.requests["secretsmanager.GetSecretValue"] * rate["secrets"]["request"],
        "logs (assumed size)": spent.invocations
        * rate["assumed"]["log_bytes"]
        / 1e9
        * rate["cloudwatch"]["log_gigabyte"],
        "traces": spent.traces * rate["xray"]["trace"],
        "documents sent": spent.bytes_sent / 1e9 * rate["transfer"]["out_gigabyte"],
    }
