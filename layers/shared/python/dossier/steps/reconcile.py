"""Reconcile: compares cases, executions, waits, queues and S3 with each other; heals what it can, counts the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile

from dossier.models import CaseStatus, iso, moment, now
from dossier.settings import Connection
from dossier.steps.publish import fail, reason_of
from dossier.steps.work import Desk
from dossier.stores.cases import CaseRecord
from dossier.stores.events import Events
from dossier.stores.executions import Execution, Executions
from dossier.stores.objects import folder
from dossier.stores.queues import DROP, WAKE, Queues, poll_queue
from dossier.stores.waits import Wait, Waits

NEWEST = 2000
"""Cases (and waits) of a connection that one run looks at, at most."""
DESCRIBED = 200
"""Executions of a connection that one run asks for, at most: those of cases that nobody polls come first."""
LISTED = 10
"""Finished cases of a connection whose artifacts one run looks for in S3, the newest first."""
SETTLED = timedelta(minutes=2)
"""How long what has just ended is left to those whose work it is."""
UNATTENDED = timedelta(minutes=10)
"""How long a case may wait without a wait before it counts: between two states it does so for a moment."""
STUCK = timedelta(minutes=10)
"""How long a queue may hold messages without any sign of work before it counts."""
_WAITING = {CaseStatus.WAITING, CaseStatus.PROCESSING}
_FINISHED = {CaseStatus.COMPLETED, CaseStatus.COMPLETED_WITH_FAILURES}


@dataclass(slots=True)
class Findings:
    """What was found, each as a line for the log."""

    healed: list[str] = field(default_factory=list)
    """Cases whose execution had ended without anybody writing it down: they are failed now."""
    unattended: list[str] = field(default_factory=list)
    """Cases that wait, and nobody polls them."""
    stuck: list[str] = field(default_factory=list)
    """Queues with messages that nobody works on."""
    missing: list[str] = field(default_factory=list)
    """Artifacts that are in the table and not in S3."""
    delivered: dict[str, list[bool]] = field(default_factory=dict)
    """By vendor, for each finished case of a connection with webhooks: whether a delivery about it ever came."""

    @property
    def lost_webhooks(self) -> dict[str, int]:
        """Percentage of finished cases without a delivery, by vendor."""
        return {name: round(100 * came.count(False) / len(came)) for name, came in self.delivered.items()}


def reconcile(
    connections: Iterable[str],
    *,
    desk: Desk,
    waits: Waits,
    executions: Executions,
    queues: Queues,
    events: Events,
    at: datetime | None = None,
) -> Findings:
    """Check every connection and the queues that all share; ``at`` stands in for the clock in tests."""
    check = _Check(desk, waits, executions, queues, events, at or now())
    for name in connections:
        check.connection(desk.connection_of(name))
    check.shared_queues()
    return check.findings


class _Check:
    def __init__(
        self, desk: Desk, waits: Waits, executions: Executions, queues: Queues, events: Events, at: datetime
    ) -> None:
        self._desk = desk
        self._waits = waits
        self._executions = executions
        self._queues = queues
        self._events = events
        self._at = at
        self._woken = ""
        self._submitted = ""
        self.findings = Findings()

    def connection(self, connection: Connection) -> None:
        """Check one connection, its newest cases first, as far back as one can still be under way."""
        oldest = iso(self._at - timedelta(seconds=2 * connection.poll.deadline) - timedelta(days=1))
        newest = islice(self._desk.cases.newest(connection.name), NEWEST)
        records = list(takewhile(lambda each: each.submitted_at >= oldest, newest))
        waiting = {each.reference: each for each in islice(self._waits.waiting(connection.name), NEWEST)}
        self._woken = max([self._woken, *(each.woken or "" for each in records)])
        self._submitted = max([self._submitted, *(each.submitted_at for each in records)])
        unended = [each for each in records if not each.status.final and self._past(each.updated_at, SETTLED)]
        for record in sorted(unended, key=lambda each: (each.reference in waiting, each.updated_at))[:DESCRIBED]:
            self._unended(record)
        self._poll_queue(connection.name, records, list(waiting.values()))
        finished = [each for each in records if each.status in _FINISHED]
        for record in finished[:LISTED]:
            self._artifacts(record)
        if connection.webhook is not None:
            self._deliveries(finished)

    def shared_queues(self) -> None:
        """Check the queues of deliveries and of drops, after all connections."""
        for queue, last, done in ((WAKE, self._woken, "woken"), (DROP, self._submitted, "submitted")):
            depth = self._queues.depth(queue)
            if depth and not self._recent(last):
                self.findings.stuck.append(f"queue {queue} has {depth} messages, and no case was {done} lately")

    def _unended(self, record: CaseRecord) -> None:
        execution = self._executions.describe(record.execution_arn)
        if execution is not None and execution.status == "RUNNING":
            if record.status in _WAITING:
                self._waiting(record)
        elif execution is None or execution.stopped_at is None or execution.stopped_at <= self._at - SETTLED:
            self._heal(record, execution)

    def _heal(self, record: CaseRecord, execution: Execution | None) -> None:
        """Record the failure that nobody did. AWS, say, leaves large inputs out of its event of an ended execution."""
        case = self._desk.cases.find(record.connection, record.reference)
        if case is None or case.record.status.final or case.record.execution_arn != record.execution_arn:
            return  # it was written down meanwhile
        reason = _reason(execution)
        names = {"connection": record.connection, "reference": record.reference}
        # The names are all that ``fail`` needs; some case_id makes them a valid input, however many the documents.
        submitted = {**names, "options": record.options, "case_id": record.case_id or "unknown"}
        error = (execution.error or execution.status) if execution else "ExecutionDoesNotExist"
        ended = {"desk": self._desk, "events": self._events, "waits": self._waits}
        fail(submitted, record.execution_arn, error, reason, **ended)  # type: ignore[arg-type]
        self.findings.healed.append(f"{_named(record)}: {reason}")

    def _waiting(self, record: CaseRecord) -> None:
        """Mark a case that waits without a wait; count it once nothing has happened to it for ``UNATTENDED``."""
        if self._waits.find(record.connection, record.reference) is not None:
            return
        since = record.unattended_at
        if since is None or since < record.updated_at:
            self._desk.cases.mark(record.connection, record.reference, unattended_at=iso(self._at))
        elif self._past(since, UNATTENDED):
            self.findings.unattended.append(f"{_named(record)} is {record.status.value}, and nobody polls it")

    def _poll_queue(self, connection: str, records: Sequence[CaseRecord], waits: Sequence[Wait]) -> None:
        late = [each for each in waits if self._past(each.next_at, STUCK)]
        if not late or any(self._recent(each.polled_at) for each in waits):
            return
        if any(each.waited_from and each.status not in _WAITING and self._recent(each.updated_at) for each in records):
            return
        depth = self._queues.depth(poll_queue(connection))
        if depth:
            self.findings.stuck.append(
                f"queue {poll_queue(connection)} has {depth} messages, {len(late)} waits are late, and none is polled"
            )

    def _artifacts(self, record: CaseRecord) -> None:
        case = self._desk.cases.get(record.connection, record.reference)
        wanted = [each.key for each in case.artifacts if each.key]
        if not wanted or not case.record.status.final:  # it was sent back to work meanwhile
            return
        prefix = f"{folder(record.connection, record.reference)}artifacts/"
        there = {key for key, _ in self._desk.objects.list(prefix)}
        self.findings.missing += [f"{_named(record)}: {key} is gone" for key in wanted if key not in there]

    def _deliveries(self, finished: Sequence[CaseRecord]) -> None:
        """Note whether a delivery came about each case of Dossier's own that ended long enough ago."""
        for record in finished:
            if record.completed_at and not record.appends_to and self._past(record.completed_at, SETTLED):
                self.findings.delivered.setdefault(record.vendor, []).append(record.woken is not None)

    def _past(self, when: str, by: timedelta) -> bool:
        return moment(when) <= self._at - by

    def _recent(self, when: str | None) -> bool:
        return bool(when) and not self._past(str(when), STUCK)


def _named(record: CaseRecord) -> str:
    return f"case {record.reference} at {record.connection}"


def _reason(execution: Execution | None) -> str:
    if execution is None:
        return "its execution does not exist any more, and nobody wrote down how it ended"
    told = reason_of(execution.cause) if execution.cause else ""
    return told or f"its execution ended as {execution.status}, and nobody wrote down why"
