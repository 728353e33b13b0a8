"""An inbox, and a state machine that runs drops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from dossier.models import INBOX, CaseId, CaseInput, now
from dossier.steps.drop import drop
from dossier.steps.inbox import Landed
from dossier.stores.executions import Execution
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples

PDF = samples("invoice.pdf")["invoice.pdf"]

FOLDER = "inbox/invoices/May/"


@dataclass
class Inbox:
    """A bucket that sends an event for each object, and a state machine that runs on request."""

    world: World
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    later: list[tuple[dict[str, Any], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Give the bucket versions."""
        self.s3 = self.world.cloud.session.client("s3")
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    # The state machine, and the queue, as the step sees them

    def arn_of(self, name: str) -> str:
        """Return the ARN of an execution."""
        return f"arn:{name}"

    def describe(self, arn: str) -> Execution | None:
        """Return the state of an execution."""
        name = arn.removeprefix("arn:")
        if name not in self.inputs:
            return None
        return Execution("SUCCEEDED" if name in self.ended else "RUNNING", stopped_at=self.ended.get(name))

    def start(self, name: str, case: dict[str, Any], *, trace: str | None = None) -> str:
        """Start an execution, once."""
        CaseInput.parse(case)
        self.inputs.setdefault(name, case)
        return self.arn_of(name)

    def send(self, name: str, message: Mapping[str, Any], *, after: float, group: str | None = None) -> None:
        """Record a message that comes back."""
        assert name == "drop"
        self.later.append((dict(message), after))

    # What people do

    def put(self, key: str, body: bytes | str) -> Landed:
        """Put an object; return S3's notification."""
        body = body.encode() if isinstance(body, str) else body
        return Landed(key, self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"])

    def take(self, what: Landed, *, after: timedelta = timedelta(0)) -> str:
        """Have the function take a message; return the outcome of the drop.

        Its clock shows so long after the last object landed, however long this machine took for it.
        """
        at = max((each.modified for each in self.world.cloud.app.objects.stats(INBOX)), default=now()) + after
        return drop(what, context=self.world.context.replacing(executions=self, queues=self), at=at)

    def drop(self, key: str, body: bytes | str, *, after: timedelta = timedelta(0)) -> str:
        """Drop a file, and have its message taken."""
        return self.take(self.put(key, body), after=after)

    def run(self) -> list[str]:
        """Run the started executions to their end; return the names of all executions so far."""
        for name, case in self.inputs.items():
            if name not in self.ended:
                self.world.execute(case, self.arn_of(name))
                self.ended[name] = now()
        return list(self.inputs)

    def the_second_is_over(self) -> None:
        """Wait until the next object lands in another second: S3's times have whole seconds."""
        time.sleep(1 - time.time() % 1)

    def an_hour_passes(self) -> None:
        """Let everything that ended have ended an hour ago."""
        self.ended = {name: at - timedelta(hours=1) for name, at in self.ended.items()}

    def note(self, key: str) -> str:
        """Return the note about a rejected drop, without its time."""
        body = self.world.cloud.app.objects.read(f"inbox-refused/{key}.txt")
        assert body is not None, f"nothing is written about {key}"
        assert body.count(b"\n") == 1
        return body.decode().strip().partition(" ")[2]

    def uploads(self) -> list[str]:
        """Return the checksums of the documents that reached the vendors."""
        return [each["sha256"] for each in self.world.effects("document_uploaded")]


@pytest.fixture
def inbox(cloud: Cloud) -> Inbox:
    """Return an empty inbox."""
    return Inbox(World(cloud))


def status(inbox: Inbox, connection: str, reference: str) -> tuple[str, str | None]:
    """Return the state of a case, and why."""
    record = inbox.world.context.cases.get(CaseId(connection, reference)).record
    return record.status.value, record.reason
