"""Follows a batch: the states of its cases, the progress of its run, and the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cli.output import Output
from cli.target import Target
from cli.text import duration, local
from dossier.models import iso, now
from dossier.steps.batches import Tally, tally
from dossier.stores.batches import Progress, folder
from dossier.texts import counted

_WINDOW = 60.0
"""Seconds over which the speed of a run is measured."""
_STATES = {"RUNNING": "running", "SUCCEEDED": "ended", "FAILED": "failed", "ABORTED": "stopped", "TIMED_OUT": "failed"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of a batch. ``state`` is ``not started``, ``running``, ``ended``, ``stopped`` or ``failed``."""

    batch: str
    bucket: str
    state: str
    tally: Tally
    cases: int
    run: int
    execution_arn: str | None
    why: str
    """Why the run ended, if it did not end by itself."""
    progress: Progress | None
    seconds_left: int | None

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the lists in S3."""
        return {f"{name}_key": f"{folder(self.batch)}{name}.jsonl" for name in ("results", "failures")}

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints, without the bad lines."""
        progress = self.progress
        return {
            "batch_id": self.batch,
            "state": self.state,
            "cases": self.cases,
            **self.tally.as_json(),
            "concurrency": progress.concurrency if progress and self.state == "running" else None,
            "seconds_left": self.seconds_left,
            "started_at": iso(progress.started_at) if progress else None,
            "execution_arn": self.execution_arn,
            "reason": self.why or None,
            "bucket": self.bucket,
            **self.keys,
        }

    def rows(self) -> Iterable[tuple[str, object]]:
        """Return a line for people."""
        yield "batch", self.batch
        yield "state", f"{self.state}: {self.why}" if self.why else self.state
        yield "cases", f"{self.cases:,}"
        for name, number in self.tally.as_json().items():
            yield name.replace("_", " "), f"{number:,}" if number else ""
        if self.state == "running" and self.progress:
            yield "at once", self.progress.concurrency
            yield "time left", "" if self.seconds_left is None else f"about {duration(self.seconds_left)}"
        if self.state == "ended":
            yield "results", f"s3://{self.bucket}/{self.keys['results_key']}"
            yield "failures", f"s3://{self.bucket}/{self.keys['failures_key']}" if self.tally.counts["failed"] else ""
        elif self.state == "running":
            yield "follow it", f"dossier batch status {self.batch} --wait"
        elif self.tally.counts["to_start"]:
            yield "start the rest", f"dossier batch resume {self.batch}"


def look(where: Target, batch: str) -> Outcome:
    """Return the state of a batch, with one read of the table for each hundred cases."""
    app = where.app
    about = app.batches.describe(batch) or {}
    latest = app.batches.latest_run(batch).run
    found = app.batch_runs.find(batch, latest)
    counts = tally(app.batches.cases(batch), context=app)
    state = _STATES[found.status] if found else "not started"
    begun = not counts.counts["to_start"]
    if begun and (state == "not started" or (state in {"failed", "stopped"} and not counts.counts["under_way"])):
        state = "ended"  # every case was submitted before, or before the run broke off
    progress = app.batch_runs.progress(batch, latest) if found else None
    left = Speed().left(progress) if progress and state == "running" else None
    why = " ".join(filter(None, (found.error, found.cause))) if found and state in {"failed", "stopped"} else ""
    arn = app.batch_runs.arn_of(batch, latest) if found else None
    return Outcome(batch, where.bucket, state, counts, int(about.get("cases", 0)), latest, arn, why, progress, left)


@dataclass
class Speed:
    """How fast a run ends cases, by its last minute."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def left(self, progress: Progress) -> int | None:
        """Return the seconds until the run ends; None if no case has ended yet."""
        counts, elapsed = progress.counts, (now() - progress.started_at).total_seconds()
        self.seen.append((elapsed, counts.ended))
        while len(self.seen) > 2 and elapsed - self.seen[1][0] >= _WINDOW:
            self.seen.popleft()
        if counts.ended == 0 or elapsed <= 0:
            return None
        if elapsed - self.seen[0][0] >= _WINDOW:
            since, before = self.seen[0]
            done: float = counts.ended - before
        else:  # since the run's begin, when the first cases ended late: those under way are half done, on average
            since, done = 0.0, counts.ended + counts.running / 2
        return round((counts.pending + counts.running) * (elapsed - since) / done) if done > 0 else None


def _under_way(where: Target, batch: str, *, broke_off: bool) -> int:
    """Return how many cases are under way; 0 for a run that broke off before it started all of them."""
    counts = tally(where.app.batches.cases(batch), context=where.app).counts
    return 0 if broke_off and counts["to_start"] else counts["under_way"]


def watch(out: Output, where: Target, batch: str, *, seconds: float) -> bool:
    """Show the progress of a batch until it ends; return False if it has not ended after ``seconds``.

    A look at a run takes two requests, however many cases there are. Cases that a stopped run left under way belong to
    no later run, so the table is read for them, a hundred at a time.
    """
    started, last, speed = time.monotonic(), "", Speed()
    runs, latest = where.app.batch_runs, where.app.batches.latest_run(batch).run
    try:
        while (found := runs.find(batch, latest)) is not None and found.status == "RUNNING":
            progress = runs.progress(batch, latest)
            if progress is not None:
                line = _line(progress, speed.left(progress))
                if line != last:
                    out.progress(line)
                    last = line
            if time.monotonic() - started >= seconds:
                return False
            time.sleep(min(1 + (time.monotonic() - started) / 60, 10.0))
        while found is not None and (left := _under_way(where, batch, broke_off=found.status != "SUCCEEDED")):
            line = f"{counted(left, 'case')} of an earlier run under way"
            if line != last:
                out.progress(line)
                last = line
            if time.monotonic() - started >= seconds:
                return False
            time.sleep(min(1 + (time.monotonic() - started) / 60, 10.0))
    except KeyboardInterrupt:
        out.progress(f"the batch continues: see `dossier batch status {batch}`")
        raise
    return True


def _line(progress: Progress, left: int | None) -> str:
    counts = progress.counts
    parts = [f"{counts.ended:,} of {counts.total:,} ended"]
    if counts.failed:
        parts[0] += f" ({counts.failed:,} failed)"
    parts.append(f"{counts.running:,} under way")
    if counts.pending:
        parts.append(f"{counts.pending:,} to start")
    if left is not None:
        parts.append(f"about {duration(left)} left")
    return local(", ".join(parts))
