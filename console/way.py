"""The progress of a case: the stages that every case passes, with the facts from its execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.words import failure
from dossier.models import CaseStatus, now
from dossier.steps.explain import Explanation
from dossier.steps.timeline import Entry, History, timeline
from dossier.stores.cases import Case
from dossier.stores.waits import Wait

MOST_EVENTS = 2000
"""Events of the execution that are read: more has only a case of very many documents or tries."""
STAGES: Mapping[str, tuple[str, ...]] = {
    "Accept": ("Accept",),
    "Open": ("Open Case", "Ask About Case", "Ask About Budget"),
    "Upload": ("Upload", "Upload All", "Upload Documents", "Ask About Upload", "Await Resume Of Upload"),
    "Read": ("Poll", "Poll All"),
    "Process": ("Process",),
    "Assess": ("Poll Results",),
    "Collect": ("Collect",),
    "Download": ("Download", "Download Artifact", "Leave Out Artifact", "Await Resume Of Download"),
    "Publish": ("Publish",),
}
"""The states of the machine (``infra/case_machine.py``) by stage; the first one spans the others."""
_AT = {
    CaseStatus.ACCEPTED: "Open",
    CaseStatus.UPLOADING: "Upload",
    CaseStatus.WAITING: "Read",
    CaseStatus.PROCESSING: "Assess",
    CaseStatus.DOWNLOADING: "Download",
    CaseStatus.NEEDS_ATTENTION: "Upload",
}


_HEARD = "Read"
"""The stage that a delivery shortens."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: ``done``, ``now``, ``failed``, ``left out`` or ``to come``; the ``seconds`` in it so far.

    ``share`` is the stage's part of the whole time, in twentieths.
    """

    name: str
    state: str
    seconds: float | None = None
    share: int = 0
    notes: tuple[str, ...] = ()


def way(case: Case, events: Sequence[Mapping[str, object]], wait: Wait | None, explanation: Explanation) -> list[Stage]:
    """Return the stages of a case, by the events of its execution.

    Args:
        case: as stored.
        events: of its execution; without any, the record alone says where the case is.
        wait: its wait, if it waits.
        explanation: names whom the case waits for.

    """
    entries = [each for each in timeline(case, histories=[History("", events)]) if "state" in each.details]
    ended = case.record.status.final
    times = {name: _seconds(states, entries, ended=ended) for name, states in STAGES.items()}
    whole = sum(seconds for seconds in times.values() if seconds)
    reached = max((number for number, name in enumerate(STAGES) if times[name] is not None), default=-1)
    open_ones = [name for name, states in STAGES.items() if any(_open(each, entries) for each in states)]
    here = None if ended else (open_ones[-1] if open_ones else _AT.get(case.record.status))
    stages = []
    for number, (name, states) in enumerate(STAGES.items()):
        seconds, notes = times[name], _notes(states, entries)
        if name == here:
            state = "now"
            notes += _waiting(case, wait, explanation)
        elif ended and not case.record.status.completed and number == reached:
            state = "failed" if case.record.status is CaseStatus.FAILED else "done"
        elif seconds is not None:
            state = "done"
            notes += ["a delivery arrived"] if name == _HEARD and case.record.woken else []
        else:
            passed = number < reached or case.record.status.completed
            state = ("left out" if entries else "done") if passed else "to come"
        share = 0 if not seconds or not whole else max(1, round(20 * seconds / whole))
        stages.append(Stage(name, state, seconds, share, tuple(notes)))
    return stages


def _seconds(states: Sequence[str], entries: Sequence[Entry], *, ended: bool) -> float | None:
    """Return the time in a stage; None if the case never entered it."""
    own = [each for each in entries if each.details["state"] in states]
    if not own:
        return None
    spans = [each for each in own if each.details["state"] == states[0]] or own
    spans += [each for each in own if each.seconds is None and each not in spans]
    so_far = [0.0 if ended else (now() - each.at).total_seconds() for each in spans if each.seconds is None]
    return sum(each.seconds or 0.0 for each in spans) + max(so_far, default=0.0)


def _open(state: str, entries: Sequence[Entry]) -> bool:
    own = [each for each in entries if each.details["state"] == state]
    return bool(own) and own[-1].seconds is None


def _notes(states: Sequence[str], entries: Sequence[Entry]) -> list[str]:
    """Return the retries of a stage and the errors behind them."""
    own = [each for each in entries if each.details["state"] in states]
    errors: dict[str, int] = {}
    for each in own:
        for name, number in each.details["errors"].items():
            errors[name] = errors.get(name, 0) + number
    questions = any(str(each.details["state"]).startswith("Ask About") for each in own)
    notes = [
        f"{failure(name)}{'' if number == 1 else f', {number} times'}"
        for name, number in errors.items()
        if name != "NeedsAttentionError"
    ]
    return [*notes, *(["asked an operator"] if questions else [])]


def _waiting(case: Case, wait: Wait | None, explanation: Explanation) -> list[str]:
    notes = []
    if wait is not None:
        notes.append("1 poll answered" if wait.attempts == 1 else f"{wait.attempts} polls answered")
    if case.record.woken:
        notes.append("a delivery arrived")
    if explanation.next is not None:
        notes.append(f"waits for {explanation.next.who.value}")
    return notes
