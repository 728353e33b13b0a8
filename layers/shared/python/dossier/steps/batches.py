"""Batches: the missing cases of a batch, its runs, and the states of its cases.

The table decides which cases are missing: a case that has a record, however it was submitted, is not started again,
unless Accept rejected it before anything was sent. A run that was planned but not started (the command died in
between) is started by the next command; two commands at once plan and start the same run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Literal

from dossier.errors import InvalidCaseError
from dossier.layout import result_key
from dossier.models import CaseStatus, iso, now
from dossier.steps.context import Context
from dossier.steps.identity import NAMES, execution_name, next_execution
from dossier.stores.batches import BatchCase, folder
from dossier.stores.cases import CaseRecord, conflict

Standing = Literal["completed", "failed", "cancelled", "needs_attention", "under_way", "to_start"]
STANDINGS: tuple[Standing, ...] = ("completed", "failed", "cancelled", "needs_attention", "under_way", "to_start")
REMEMBERED = timedelta(days=80)
"""Until this age, a planned run without an execution never started: AWS deletes executions after 90 days."""
_PAGE = 1000
"""Cases whose records are looked up together."""
_STANDING: dict[CaseStatus, Standing] = {
    CaseStatus.COMPLETED: "completed",
    CaseStatus.COMPLETED_WITH_FAILURES: "completed",
    CaseStatus.UPLOADED: "completed",
    CaseStatus.FAILED: "failed",
    CaseStatus.CANCELLED: "cancelled",
    CaseStatus.NEEDS_ATTENTION: "needs_attention",
}


@dataclass(frozen=True, slots=True)
class Stand:
    """A case of a batch and its record, if it has one."""

    case: BatchCase
    record: CaseRecord | None

    @property
    def other(self) -> bool:
        """Whether the reference belongs to a case with other content."""
        return self.record is not None and not self.record.refused and self.record.fingerprint != self.case.fingerprint

    @property
    def missing(self) -> bool:
        """Whether a run must start it: nothing of it was ever sent to the vendor."""
        return self.record is None or self.record.refused

    @property
    def standing(self) -> Standing:
        """Its state."""
        if self.record is None:
            return "to_start"
        if self.other:
            return "failed"
        return _STANDING.get(self.record.status, "under_way")


@dataclass(frozen=True, slots=True)
class Begun:
    """A run, and whether this call started it (another command may have)."""

    run: int
    execution_arn: str
    started: bool
    cases: int = 0


@dataclass(slots=True)
class Tally:
    """The states of a batch's cases."""

    counts: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, int]:
        """Return the number of cases in each state."""
        return {name: self.counts[name] for name in STANDINGS}

    @property
    def open(self) -> int:
        """Cases that have not ended."""
        return self.counts["needs_attention"] + self.counts["under_way"] + self.counts["to_start"]


def identity(cases: Iterable[str]) -> str:
    """Return the id of a batch from the fingerprints of its cases: the same for the same cases, in any order."""
    return hashlib.sha256("\n".join(sorted(cases)).encode()).hexdigest()[:16]


def stands(batch: Iterable[BatchCase], *, context: Context) -> Iterator[Stand]:
    """Yield the cases of a batch with their records, in order: one request reads a hundred records."""
    left = iter(batch)
    while page := list(islice(left, _PAGE)):
        records = {each.id: each for each in context.cases.records(each.id for each in page)}
        for each in page:
            yield Stand(each, records.get(each.id))


def tally(batch: Iterable[BatchCase], *, context: Context) -> Tally:
    """Count the cases of a batch by state."""
    found = Tally()
    for each in stands(batch, context=context):
        found.counts[each.standing] += 1
    return found


def begin(batch: str, missing: Sequence[Stand], *, concurrency: int, context: Context) -> Begun | None:
    """Start a run of the missing cases, unless a run is under way; return it, or None if there is nothing to start."""
    batches, runs = context.batches, context.batch_runs
    latest = batches.latest_run(batch)
    found = runs.find(batch, latest.run)
    if found is not None and found.status == "RUNNING":
        return Begun(latest.run, runs.arn_of(batch, latest.run), started=False)
    if not missing:
        return None
    unstarted = latest.run > 0 and found is None and now() - latest.at < REMEMBERED
    run = latest.run if unstarted else latest.run + 1
    if not unstarted:
        batches.plan(batch, run, (_item(each, context) for each in missing))
    return Begun(run, runs.start(batch, run, concurrency=concurrency), started=True, cases=len(missing))


def _item(stand: Stand, context: Context) -> dict[str, Any]:
    """Return the Distributed Map's item for a case: its execution's name and input."""
    return {"name": _name(stand, context), "input": stand.case.input}


def _name(stand: Stand, context: Context) -> str:
    """Return the name of a case's execution: the next one, if Accept rejected the case before."""
    case, rejected = stand.case, stand.record is not None and stand.record.refused
    if not rejected:
        return execution_name(case.id, case.fingerprint)
    free = next_execution(
        case.id, case.fingerprint, executions=context.executions, decides=lambda each: each.status == "RUNNING"
    )
    return free[0] if free else execution_name(case.id, case.fingerprint, attempt=NAMES)


def summarize(batch: str, run: int, *, context: Context) -> dict[str, Any]:
    """Write the lists of a batch's results and failures to S3; return the summary.

    Raises:
        InvalidCaseError: there is no such batch.

    """
    batches = context.batches
    about = batches.describe(batch)
    if about is None:
        raise InvalidCaseError(f"there is no batch {batch}")
    found, failures = Tally(), list[dict[str, Any]]()

    def results() -> Iterator[dict[str, Any]]:
        for each in stands(batches.cases(batch), context=context):
            found.counts[each.standing] += 1
            if each.standing == "completed":
                yield _result(each)
            else:
                failures.append(_failure(each))

    batches.list_ends(batch, results(), failures)
    keys = {f"{name}_key": f"{folder(batch)}{name}.jsonl" for name in ("results", "failures", "bad")}
    summary = {"batch_id": batch, "run": run, "at": iso(now()), "cases": about["cases"], **found.as_json(), **keys}
    batches.sum_up(batch, summary)
    return summary


def _result(stand: Stand) -> dict[str, Any]:
    record = stand.record
    names = {"line": stand.case.line, "connection": stand.case.connection, "reference": stand.case.reference}
    status = record.status.value if record else None
    return {**names, "status": status, "result_key": result_key(stand.case.id)}


def _failure(stand: Stand) -> dict[str, Any]:
    record = stand.record
    names = {"line": stand.case.line, "connection": stand.case.connection, "reference": stand.case.reference}
    if record is None:
        return {**names, "status": None, "error": None, "reason": "not started"}
    if stand.other:
        error = conflict(record)
        return {**names, "status": "failed", "error": type(error).__name__, "reason": str(error)}
    return {**names, "status": record.status.value, "error": record.error, "reason": record.reason}
