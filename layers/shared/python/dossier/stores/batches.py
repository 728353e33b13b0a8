"""Batches in S3, under ``batches/<id>/``, and the executions that run them.

``cases.jsonl`` has every case of the batch, ``bad.jsonl`` the bad lines, ``batch.json`` their numbers.
``runs/<n>.jsonl`` has the cases that run *n* starts: the Distributed Map reads it, so it is written once. At a run's
end ``results.jsonl``, ``failures.jsonl`` and ``summary.json`` are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from dossier.layout import BATCHES
from dossier.models import CaseId, now
from dossier.stores.executions import Execution, Executions
from dossier.stores.objects import Objects

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

ID = re.compile(r"[0-9a-f]{16}")
MACHINE = "batch"
"""Name of the state machine that runs batches, after the stage's own: ``dossier-<stage>-batch``."""
MOST_AT_ONCE = 10_000
"""Most children of a Distributed Map that run at once (AWS quota)."""
_RUN = re.compile(r"runs/(\d{1,6})\.jsonl")


class BatchCase(BaseModel):
    """A line of a batch that is a case: its number in the file, its identity, its execution input."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    line: int
    connection: str
    reference: str
    fingerprint: str
    input: dict[str, Any]

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)


@dataclass(frozen=True, slots=True)
class Planned:
    """A run and when it was planned."""

    run: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of a run's cases by state: to be started, under way, ended."""

    pending: int
    running: int
    succeeded: int
    failed: int

    @property
    def ended(self) -> int:
        """Cases that have ended, whether they succeeded or not."""
        return self.succeeded + self.failed

    @property
    def total(self) -> int:
        """All of them."""
        return self.pending + self.running + self.ended


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run: its Map Run, the counts, how many cases run at once, since when."""

    arn: str
    counts: Counts
    concurrency: int
    started_at: datetime


class Batches:
    """The batches in the artifact bucket."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def describe(self, batch: str) -> dict[str, Any] | None:
        """Return the content of a batch's ``batch.json``; None if there is no such batch."""
        body = self._objects.read(f"{folder(batch)}batch.json")
        return None if body is None else dict(json.loads(body))

    def ids(self) -> Iterator[str]:
        """Yield the ids of all batches, in no meaningful order."""
        return (each for each in self._objects.folders(BATCHES) if ID.fullmatch(each))

    def store(
        self, batch: str, about: dict[str, Any], cases: Iterable[BatchCase], bad: Iterable[dict[str, Any]]
    ) -> None:
        """Store a batch, with ``batch.json`` last: it marks the batch as complete."""
        self._write_lines(f"{folder(batch)}cases.jsonl", (each.model_dump() for each in cases))
        self._write_lines(f"{folder(batch)}bad.jsonl", bad)
        self._objects.write_json(f"{folder(batch)}batch.json", about)

    def cases(self, batch: str) -> Iterator[BatchCase]:
        """Yield the cases of a batch, in the order of the file."""
        for line in self._objects.lines(f"{folder(batch)}cases.jsonl"):
            yield BatchCase.model_validate_json(line)

    def bad(self, batch: str) -> list[dict[str, Any]]:
        """Return the bad lines of a batch's file, each with its reason."""
        return [json.loads(line) for line in self._objects.lines(f"{folder(batch)}bad.jsonl")]

    def latest_run(self, batch: str) -> Planned:
        """Return the latest run that was planned; its number is 0 if there is none."""
        prefix, latest = folder(batch), Planned(0, now())
        for each in self._objects.stats(f"{prefix}runs/"):
            found = _RUN.fullmatch(each.key.removeprefix(prefix))
            if found and int(found[1]) > latest.run:
                latest = Planned(int(found[1]), each.modified)
        return latest

    def plan(self, batch: str, run: int, items: Iterable[dict[str, Any]]) -> bool:
        """Store the cases that a run starts; return False if another command, for example, planned it before."""
        lines = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in items)
        return self._objects.write_new(run_key(batch, run), lines.encode(), "application/jsonl")

    def list_ends(self, batch: str, results: Iterable[Any], failures: Iterable[Any]) -> None:
        """Store the lists of a run's end; ``results`` is read to its end before ``failures``."""
        self._write_lines(f"{folder(batch)}results.jsonl", results)
        self._write_lines(f"{folder(batch)}failures.jsonl", failures)

    def sum_up(self, batch: str, summary: dict[str, Any]) -> None:
        """Store the summary of a run's end."""
        self._objects.write_json(f"{folder(batch)}summary.json", summary)

    def summary(self, batch: str) -> dict[str, Any]:
        """Return the latest summary; empty if there is none."""
        body = self._objects.read(f"{folder(batch)}summary.json")
        return {} if body is None else dict(json.loads(body))

    def _write_lines(self, key: str, values: Iterable[Any]) -> None:
        chunks = (f"{json.dumps(each, ensure_ascii=False)}\n".encode() for each in values)
        self._objects.stream(key, chunks, "application/jsonl")


class BatchRuns:
    """The executions of the state machine that runs batches: one execution is one run."""

    def __init__(self, sfn: SFNClient, machine_arn: str) -> None:
        self._sfn = sfn
        self._executions = Executions(sfn, machine_arn)

    def arn_of(self, batch: str, run: int) -> str:
        """Return the ARN of a run, whether or not it exists."""
        return self._executions.arn_of(f"{batch}-{run}")

    def find(self, batch: str, run: int) -> Execution | None:
        """Return the execution of a run, or None if it does not exist."""
        return self._executions.describe(self.arn_of(batch, run)) if run else None

    def running(self) -> list[str]:
        """Return the ids of the batches of which a run is under way."""
        return sorted({name.rpartition("-")[0] for name in self._executions.running()})

    def start(self, batch: str, run: int, *, concurrency: int) -> str:
        """Start a run, unless it is started already; return its ARN."""
        return self._executions.start(f"{batch}-{run}", {"batch": batch, "run": run, "concurrency": concurrency})

    def stop(self, batch: str, run: int) -> None:
        """Stop a run: it starts no more cases, and those under way continue."""
        self._executions.stop(self.arn_of(batch, run), "Stopped", "dossier batch stop")

    def progress(self, batch: str, run: int) -> Progress | None:
        """Return the progress of a run with two requests, however many cases it has; None before its Map has begun."""
        try:
            runs = self._sfn.list_map_runs(executionArn=self.arn_of(batch, run))["mapRuns"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise
        if not runs:
            return None
        found = self._sfn.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
        items = found["itemCounts"]
        failed = items["failed"] + items["timedOut"] + items["aborted"]
        counts = Counts(items["pending"], items["running"], items["succeeded"], failed)
        return Progress(found["mapRunArn"], counts, found["maxConcurrency"], found["startDate"])

    def widen(self, progress: Progress, concurrency: int) -> None:
        """Set how many cases of a run are under way at once; those already under way continue."""
        self._sfn.update_map_run(mapRunArn=progress.arn, maxConcurrency=concurrency)


def folder(batch: str) -> str:
    """Return the S3 prefix of a batch, ending in ``/``."""
    return f"{BATCHES}{batch}/"


def run_key(batch: str, run: int) -> str:
    """Return the key of the cases that a run starts."""
    return f"{folder(batch)}runs/{run}.jsonl"
