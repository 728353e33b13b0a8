"""Faults planted in Dossier on purpose, each of which the simulation has to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dossier.models import CaseId
from dossier.steps import poll, sweep, upload, wake
from dossier.steps.context import Context, LoadedCase
from dossier.stores.limiter import Limiter
from dossier.stores.waits import Waits
from tests.simulation.run import Outcome, Plan, run
from tests.simulation.shrinking import shrink

CASES = 10


def _nothing(*_: Any) -> None:
    """Do nothing."""


@contextmanager
def _skipped() -> Iterator[None]:
    """A lost answer is taken for a request that was not performed."""
    with patch.object(upload, "_find", _nothing):
        yield


@contextmanager
def _twice() -> Iterator[None]:
    """A wait is not ended once its token is answered, and is due again: the next poll answers again."""
    with patch.object(Waits, "end", lambda self, wait: self.nudge(wait)):
        yield


@contextmanager
def _floods() -> Iterator[None]:
    """The sweep sends a message for every wait that is due, whatever the queue holds."""

    def every(connection: str, context: Context) -> int:
        sent, waits = 0, context.waits
        for each in list(waits.waiting(connection)):
            for _ in range(2):
                waits._send(each, 0.0)
                sent += 1
        return sent

    with patch.object(sweep, "_sweep", every):
        yield


@contextmanager
def _leaks() -> Iterator[None]:
    """A lease is never given back and never expires."""
    slot = Limiter._slot

    @contextmanager
    def lease(self: Limiter, connection: Any, holder: str, *, patience: float) -> Iterator[None]:
        if slot(self, connection, holder) is None:
            raise upload.RetryableError("no slot is free")
        yield

    from dossier.stores import limiter  # noqa: PLC0415

    with patch.object(Limiter, "lease", lease), patch.object(limiter, "LEASE", 1e9):
        yield


@contextmanager
def _notes_late() -> Iterator[None]:
    """A poll stores its results only at its end: one that dies or fails stores nothing."""
    documents = poll._documents

    def at_its_end(loaded: LoadedCase, wait: Any, until: Any) -> Any:
        del until
        noted: list[Any] = []
        cases = loaded.context.cases
        note = cases.note_documents
        with patch.object(cases, "note_documents", lambda *learnt: noted.append(learnt)):
            asked = documents(loaded, wait, poll.now() + poll.timedelta(hours=1))
        if asked.error is None:
            for learnt in noted:
                note(*learnt)
        return asked

    with patch.object(poll, "_documents", at_its_end):
        yield


@contextmanager
def _dropped() -> Iterator[None]:
    """A delivery about a case that no longer waits, or not yet, is forgotten."""

    def forget(case: CaseId, *_: Any, context: Context, **__: Any) -> None:
        wake._moved(case, None, context=context)

    with patch.object(wake, "nudge", forget):
        yield


@contextmanager
def _goes_on() -> Iterator[None]:
    """A pause that the vendor asks for is not stored: only the caller that was answered so waits."""
    with patch.object(Limiter, "pause", _nothing):
        yield


FAULTS: dict[str, Callable[[], Any]] = {
    "look-up skipped": _skipped,
    "token answered twice": _twice,
    "sweep that floods": _floods,
    "lease that leaks": _leaks,
    "poll that notes only at its end": _notes_late,
    "wake that is dropped": _dropped,
    "pause that is forgotten": _goes_on,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a fault; nothing for an empty name."""
    if not name:
        yield
        return
    with FAULTS[name]():
        yield


def look_for(name: str, most: int, cases: int) -> Outcome | None:
    """Return the outcome of the first seed that finds a planted fault, shrunk."""
    with planted(name):
        for seed in range(1, most + 1):
            found = run(Plan(seed, cases, planted=name))
            if not found.ok:
                return shrink(found)
    return None
