"""Timeline: one ordered history of a case, made without I/O from records, executions, deliveries and log lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dossier.calls import CALL
from dossier.models import iso
from dossier.stores.cases import Case
from dossier.stores.limiter import Hold
from dossier.stores.waits import Wait
from dossier.texts import counted

_FAILED = ("TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut", "TaskStartFailed")
_SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled")
_QUIET = {"ChoiceState", "PassState"}
"""Kinds of state that take no time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. ``source`` is ``record``, ``execution``, ``delivery``, ``call`` or ``log``."""

    at: datetime
    source: str
    what: str
    seconds: float | None = None
    """How long it took; None if it took no time, or has not ended."""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the entry for programs."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {"at": iso(self.at), "source": self.source, "what": self.what, "seconds": seconds, **self.details}


@dataclass(frozen=True, slots=True)
class History:
    """The events of one execution of the case, as Step Functions returns them."""

    name: str
    events: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery about the case."""

    id: str
    at: datetime
    verdict: str
    event: str | None
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a function's log."""

    at: datetime
    function: str
    fields: Mapping[str, Any]


def timeline(
    case: Case,
    *,
    wait: Wait | None = None,
    holds: Iterable[Hold] = (),
    histories: Iterable[History] = (),
    deliveries: Iterable[Delivered] = (),
    lines: Iterable[Line] = (),
) -> list[Entry]:
    """Return all known events of a case, in order.

    Args:
        case: as stored.
        wait: its wait, if it waits.
        holds: the operator's pauses of its connection.
        histories: those of its executions.
        deliveries: those about it.
        lines: the log lines about it.

    """
    found = [*_recorded(case, wait), *_paused(case, holds)]
    for history in histories:
        found += _executed(history)
    for each in deliveries:
        about = f" about {', '.join(each.about[:3])}" if each.about else ""
        event = f"{each.event} " if each.event else ""
        details = {"id": each.id, "verdict": each.verdict}
        found.append(Entry(each.at, "delivery", f"delivery {event}{each.verdict}{about}", details=details))
    found += [_logged(each) for each in lines]
    return sorted(found, key=lambda each: each.at)


def _recorded(case: Case, wait: Wait | None) -> Iterator[Entry]:
    record = case.record

    def at(when: datetime | None, what: str, **details: Any) -> Iterator[Entry]:
        if when:
            yield Entry(when, "record", what, details=details)

    yield from at(
        record.submitted_at, f"submitted to {record.connection} with {counted(len(case.documents), 'document')}"
    )
    yield from at(record.cancelled_at, "an operator cancelled it")
    yield from at(record.dismissed_at, "an operator took it off the list of failed cases")
    if record.completed_at:
        reason = f": {record.reason}" if record.reason else ""
        yield from at(record.completed_at, f"ended as {record.status.value}{reason}", status=record.status.value)
    for question in case.questions:
        yield from at(question.asked_at, f"waits for an operator: {question.text}", question=question.what)
    for revision in case.revisions:
        changed = f": {', '.join(revision.changes)} changed" if revision.changes else ""
        yield from at(revision.collected_at, f"revision {revision.number} collected{changed}", revision=revision.number)
    if record.trouble is not None:
        yield from at(record.trouble.since, f"a step is repeated: {record.trouble.text}")
    if wait is not None:
        why = f" ({wait.trouble.text})" if wait.trouble else ""
        polled = f", {counted(wait.attempts, 'poll')} answered" if wait.polled_at else ""
        what = f"waits for the vendor since then{polled}{why}; the next poll is at {iso(wait.next_at)}"
        yield from at(
            wait.started_at, what, next_at=iso(wait.next_at), deadline=iso(wait.deadline), attempts=wait.attempts
        )
    refresh = case.refresh
    yield from at(refresh.started_at, "a refresh runs", execution=refresh.execution_arn)


def _paused(case: Case, holds: Iterable[Hold]) -> Iterator[Entry]:
    """Yield the operator's pauses in which the case was under way."""
    record = case.record
    ended = record.completed_at if record.status.final else None
    for hold in holds:
        if (hold.until and hold.until < record.submitted_at) or (ended and hold.since > ended):
            continue
        seconds = (hold.until - hold.since).total_seconds() if hold.until else None
        details = {"by": hold.by, "reason": hold.reason, "until": hold.until and iso(hold.until)}
        what = f"{record.connection} is paused by {hold.by}: {hold.reason}"
        yield Entry(hold.since, "record", what, seconds, details)


def _executed(history: History) -> Iterator[Entry]:
    """Yield the states of an execution, with their tries and errors."""
    entered: dict[int, Mapping[str, Any]] = {}
    owners: dict[int, int] = {}
    tries: Counter[int] = Counter()
    errors: dict[int, list[str]] = {}
    exits: dict[int, datetime] = {}
    last = 0
    for event in history.events:
        number, kind = int(event["id"]), str(event["type"])
        if kind.endswith("StateEntered"):
            entered[number], owners[number], last = event, number, number
            continue
        # The local AWS names no previous event: there an event belongs to the state that was entered last.
        owner = owners.get(int(event.get("previousEventId", 0)), last)
        if kind.endswith("StateExited"):
            name = event.get("stateExitedEventDetails", {}).get("name")
            owner = _entered_as(entered, exits, name, owner)
            exits[owner] = _time(event)
        tries[owner] += kind in _SCHEDULED
        if kind in _FAILED:
            errors.setdefault(owner, []).append(_error(event))
        owners[number] = owner
        if kind.startswith("Execution"):
            yield from _end_of(history, event, kind)
    for number, event in entered.items():
        if str(event["type"]).removesuffix("Entered") not in _QUIET:
            yield _state(history, event, exits.get(number), tries[number], errors.get(number, []))


def _entered_as(
    entered: Mapping[int, Mapping[str, Any]], exits: Mapping[int, datetime], name: str | None, owner: int
) -> int:
    """Return the entry of the state that is left: the owner if it has that name, or the last open one that has."""

    def named(number: int) -> bool:
        return bool(entered[number].get("stateEnteredEventDetails", {}).get("name") == name)

    if owner in entered and named(owner):
        return owner
    return next((each for each in reversed(list(entered)) if named(each) and each not in exits), owner)


def _state(
    history: History, event: Mapping[str, Any], left: datetime | None, tries: int, errors: Sequence[str]
) -> Entry:
    name, at = event.get("stateEnteredEventDetails", {}).get("name", "?"), _time(event)
    seconds = None if left is None else (left - at).total_seconds()
    failures = Counter(errors)
    why = ", ".join(f"{error} ({number} times)" if number > 1 else error for error, number in failures.items())
    # In the local AWS a Map has the tasks of its states.
    of = "tasks" if str(event["type"]).startswith("MapState") else "tries"
    repeated = f", {tries} {of}" if tries > 1 else ""
    failed = f": {why}" if why else ""
    running = "" if left is not None else ", not left yet"
    details = {"execution": history.name, "state": name, "tries": tries, "errors": dict(failures)}
    return Entry(at, "execution", f"{name}{repeated}{failed}{running}", seconds, details)


def _end_of(history: History, event: Mapping[str, Any], kind: str) -> Iterator[Entry]:
    if kind == "ExecutionStarted":
        yield Entry(_time(event), "execution", f"execution {history.name} starts", details={"execution": history.name})
        return
    why = _error(event)
    what = f"execution {history.name} ends: {kind.removeprefix('Execution').lower()}{f' ({why})' if why else ''}"
    yield Entry(_time(event), "execution", what, details={"execution": history.name})


def _error(event: Mapping[str, Any]) -> str:
    """Return the name of an event's error."""
    for key, details in event.items():
        if key.endswith("EventDetails") and isinstance(details, Mapping) and details.get("error"):
            return str(details["error"])
    return ""


def _logged(line: Line) -> Entry:
    fields, level = line.fields, str(line.fields.get("level", "INFO"))
    if fields.get("message") == CALL:
        answer = fields.get("status") or fields.get("error") or "no answer"
        seconds = float(fields.get("ms", 0)) / 1000
        details = {"function": line.function, "status": fields.get("status"), "error": fields.get("error")}
        return Entry(line.at, "call", f"{fields.get('call', 'request')}: {answer}", seconds, details)
    what = f"{line.function}: {fields.get('message', '')}"
    return Entry(line.at, "log", what, details={"function": line.function, "level": level})


def _time(event: Mapping[str, Any]) -> datetime:
    found = event["timestamp"]
    return found if isinstance(found, datetime) else datetime.fromisoformat(str(found))
