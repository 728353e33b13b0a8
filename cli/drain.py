"""``dossier drain``: stops new cases and shows the ones under way, which end by themselves or are parked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from cli.errors import InterruptedCommandError, NotFinishedError
from cli.output import Output
from cli.target import Target
from cli.text import when
from dossier.errors import ParkedError
from dossier.models import now
from dossier.stores.cases import CaseRecord
from dossier.texts import counted

PARKED = "parked: an operator drained the deployment; `dossier redrive` resumes it"
EVERY = 5.0
"""Seconds between two checks with ``--wait``."""
SHOWN = 20


def drain(
    out: Output,
    where: Target,
    *,
    park: bool,
    stop: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Stop new cases, optionally end the waiting ones, and show the cases under way.

    Args:
        out: prints the result.
        where: the deployment.
        park: ends waits and open questions: their cases fail, and ``dossier redrive`` resumes them.
        stop: only lets new cases start again.
        wait: checks again until no case is left.
        timeout: the most seconds to wait.

    Raises:
        NotFinishedError: executions still run after ``timeout``.

    """
    cases = where.app.cases
    if stop:
        cases.drain(None)
        out.document({"draining": False})
        out.line("new cases start again")
        return
    cases.drain(now())
    since = cases.draining()
    until = time.monotonic() + timeout
    parked = 0
    try:
        while True:
            parked += _park(where) if park else 0
            running, left = len(where.app.executions.running()), list(_left(where))  # `cdk destroy` waits for them
            if not running or not wait or time.monotonic() >= until:
                break
            out.progress(f"{counted(running, 'execution')} left")
            time.sleep(EVERY)
    except KeyboardInterrupt:
        raise InterruptedCommandError(
            "interrupted: no new cases start, and the cases under way continue",
            fix="wait again with `dossier drain --wait`, or let new cases start with `dossier drain --stop`",
        ) from None
    batches = where.app.batch_runs.running()
    document: dict[str, Any] = {
        "draining": True,
        "since": since,
        "parked": parked,
        "executions": running,
        "batches": batches,
        "cases": [
            {"connection": each.connection, "reference": each.reference, "status": each.status.value} for each in left
        ],
    }
    if running and wait:
        message = f"{counted(running, 'execution')} left after {timeout:g} s: `dossier drain --park` ends waiting cases"
        raise NotFinishedError(message, document=document)
    out.document(document)
    ended = f"; {counted(parked, 'waiting case')} ended, which `dossier redrive` resumes" if parked else ""
    out.line(f"no new cases since {when(since)}; {counted(running, 'execution')} left{ended}")
    rows = [(each.connection, each.reference, each.status.value) for each in left[:SHOWN]]
    if rows:
        out.table(("CONNECTION", "REFERENCE", "STATUS"), rows)
    for batch in batches:
        out.line(f"batch {batch} still starts cases, which are rejected now: `dossier batch stop {batch}`")
    if running:
        out.progress("they end by themselves; --park ends waiting cases, --wait waits until none is left")
    elif not batches:
        out.progress("no case is under way: you can destroy the stack (docs/deploy.md)")


def _left(where: Target) -> Iterator[CaseRecord]:
    """Yield the cases that have not ended, of removed connections too."""
    for name in where.with_cases(None):
        yield from (each for each in where.app.cases.newest(name) if not each.status.final)


def _park(where: Target) -> int:
    """End every wait, paused step and open question; their executions record the failure."""
    app, error, parked = where.app, ParkedError(PARKED), 0
    for name in where.with_cases(None):
        for wait in list(app.waits.waiting(name)):
            parked += app.executions.fail(wait.token, error)
            app.waits.end(wait)
        for step in list(app.waits.held_steps(name)):
            parked += app.executions.fail(step.token, error)
            app.waits.end_step(step)
    for record in _left(where):
        case = app.cases.find(record.id)
        for question in case.questions if case else ():
            parked += app.executions.fail(question.token, error)
            app.cases.answered(record.id, question.what)
    return parked
