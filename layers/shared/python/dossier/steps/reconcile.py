"""Reconcile: compare cases, executions, waits, queues and S3 with each other; repair what it can, report the rest."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from statistics import median

from dossier.errors import ConfigurationError
from dossier.layout import artifact_key
from dossier.models import CaseId, CaseStatus, iso, now
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.steps.explain import MISSED, SETTLED, TURNS, UNATTENDED, explain
from dossier.steps.facts import facts_of
from dossier.steps.hold import later
from dossier.steps.publish import end_as_failed
from dossier.steps.reasons import reason_of
from dossier.steps.refresh import heal
from dossier.stores.cases import CaseRecord
from dossier.stores.executions import Execution
from dossier.stores.limiter import TRIP, Standing
from dossier.stores.queues import DROP, WAKE, poll_queue
from dossier.stores.rounds import Round
from dossier.stores.waits import Wait
from dossier.texts import counted

NEWEST = 2000
"""Most cases (and waits) of a connection that one run checks."""
DESCRIBED = 200
"""Most executions that one run describes. The quota of DescribeExecution, for the whole account, is a burst of 250 or
300, then 10 or 15 a second (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). If there are
more, each run draws others; half of them belong to cases without a wait."""
SPARE = 45.0
"""Seconds that must be left to begin another connection."""
ENDED = 500
"""Most waits of a removed connection that one run ends."""
EXPIRED = 100
"""Most cases of a connection past their retention that one run removes."""
LISTED = 10
"""Finished cases of a connection whose artifacts one run looks up in S3, newest first."""
RECENT = timedelta(days=1)
"""Age limit of such a case: the artifacts of an older one may have been removed on purpose (retention)."""
LONGEST = timedelta(days=30)
"""Longest deadline of a connection (``settings.Poll``)."""
STUCK = timedelta(minutes=10)
"""How long a queue may hold messages without any sign of work before it is reported."""
SLOW = 90
"""Percentage of its deadline that a case may have waited before it is reported."""
FAILING = timedelta(minutes=5)
"""How long a vendor may keep failing before it is reported."""
FORGOTTEN = timedelta(days=1)
"""How long an operator's pause may last before it is reported: somebody may have forgotten it."""
OVERVIEW = "overview"
"""The message of the log line that has a connection's overview, which the dashboard reads."""
LATELY = timedelta(hours=1)
"""The period whose ended cases the overview counts."""
UNENDED = sorted({each for each in CaseStatus if not each.final} - {CaseStatus.WAITING_FOR_FILES})
_WAITING = {CaseStatus.WAITING, CaseStatus.PROCESSING}


@dataclass(slots=True)
class Findings:
    """The findings, each as a line for the log."""

    healed: list[str] = field(default_factory=list)
    """Cases and refreshes whose execution had ended without a record; they are recorded as failed now."""
    unattended: list[str] = field(default_factory=list)
    """Cases that are waiting but have no wait, so that they are not polled."""
    unexplained: list[str] = field(default_factory=list)
    """Other cases under way for which no next event can be named (``dossier explain``)."""
    failing: list[str] = field(default_factory=list)
    """Connections whose vendor has kept failing for ``FAILING``, so that the breaker is open."""
    keyless: list[str] = field(default_factory=list)
    """Connections whose vendor rejects the API key of cases that wait."""
    paused: list[str] = field(default_factory=list)
    """Connections that an operator has paused for ``FORGOTTEN``."""
    waited: int = field(default=0, compare=False)
    """The highest percentage of its deadline that a case has waited."""
    slow: str = field(default="", compare=False)
    """The case with that percentage."""
    stuck: list[str] = field(default_factory=list)
    """Queues with messages that no function works on."""
    missing: list[str] = field(default_factory=list)
    """Artifacts that are in the table but not in S3."""
    ended: list[str] = field(default_factory=list)
    """Ended waits of removed connections; their cases fail."""
    expired: int = 0
    """Number of cases past their retention that were removed."""
    delivered: dict[str, list[bool]] = field(default_factory=dict)
    """By vendor, for each finished case of a connection with webhooks: whether any delivery about it arrived."""
    overview: dict[str, dict[str, int]] = field(default_factory=dict, compare=False)
    """By connection: its state in numbers, for the dashboard."""

    @property
    def lines(self) -> list[str]:
        """The findings that need an operator, for the log."""
        found = [*self.healed, *self.unattended, *self.unexplained, *self.stuck, *self.missing, *self.ended]
        slow = [self.slow] if self.waited >= SLOW else []
        return [*found, *self.failing, *self.keyless, *self.paused, *slow]

    @property
    def counts(self) -> dict[str, int]:
        """The metrics."""
        return {
            "CasesHealed": len(self.healed),
            "CasesUnattended": len(self.unattended),
            "CasesUnexplained": len(self.unexplained),
            "QueuesStuck": len(self.stuck),
            "ArtifactsMissing": len(self.missing),
            "CasesExpired": self.expired,
            "VendorsFailing": len(self.failing),
            "KeysRefused": len(self.keyless),
            "ConnectionsPaused": len(self.paused),
            "LongestWaitPercent": self.waited,
        }

    @property
    def lost_webhooks(self) -> dict[str, int]:
        """Percentage of finished cases without a delivery, by vendor."""
        return {name: _percent_lost(came) for name, came in self.delivered.items()}


def reconcile(
    connections: Iterable[str],
    *,
    context: Context,
    time_left: Callable[[], float] = lambda: math.inf,
    at: datetime | None = None,
) -> Findings:
    """Check every connection and the shared queues, or as many connections as there is time for.

    The next run continues where this one stops. A connection whose check fails is left to the next round.

    Args:
        connections: the connections in the settings; the table has the others with cases.
        context: the collaborators.
        time_left: how many seconds the function has left.
        at: stands in for the clock in tests.

    """
    at = at or now()
    deployed, known = set(connections), context.cases.connections()
    round_ = context.rounds.load() or Round(began=at)
    check = _Check(context, at)
    names = [name for name in sorted(deployed | set(known)) if name >= round_.next]
    for number, name in enumerate(names):
        if number and time_left() < SPARE:
            context.rounds.save(_seen(round_, check, name))
            return check.findings
        following = names[number + 1] if number + 1 < len(names) else ""
        try:
            check.share = max(1, check.left // (len(names) - number))
            if name in deployed:
                check.connection(context.connection_of(name))
            else:
                check.removed(name, known[name])
            if context.retention:
                before = at - context.retention
                references = list(islice(context.expiry.expired(name, before), EXPIRED))
                check.findings.expired += sum(context.expiry.remove(CaseId(name, each), before) for each in references)
            if name in deployed and (name not in known or known[name] is not None):
                context.cases.note(name)
        except Exception:
            if following:
                context.rounds.save(_seen(round_, check, following))
            else:
                context.rounds.end()
            raise
    check.shared_queues(_seen(round_, check, ""))
    context.rounds.end()
    return check.findings


def _seen(round_: Round, check: _Check, following: str) -> Round:
    seen = {"woken": latest(round_.woken, check.woken), "submitted": latest(round_.submitted, check.submitted)}
    return round_.model_copy(update={"next": following, **seen})


@dataclass(slots=True)
class _Check:
    """One run's check, and its findings so far."""

    context: Context
    at: datetime
    woken: datetime | None = None
    submitted: datetime | None = None
    left: int = DESCRIBED
    """Executions that may still be described."""
    share: int = DESCRIBED
    """The current connection's share of them."""
    findings: Findings = field(default_factory=Findings)

    def connection(self, connection: Connection) -> None:
        """Check one connection's cases, newest first, as far back as one can still be under way."""
        records, waiting = self._cases(connection.name, timedelta(seconds=connection.poll.deadline))
        self._poll_queue(connection.name, records, list(waiting.values()))
        standing = self.context.limiter.standing(connection)
        self._vendor(connection.name, standing, list(waiting.values()))
        for refresh in islice(self.context.refreshes.pending(connection.name), DESCRIBED):
            healed = heal(refresh, context=self.context, ended_by=self.at - SETTLED)
            self.findings.healed += [healed] if healed else []
        finished = [each for each in records if each.status.completed]
        for record in finished[:LISTED]:
            if record.completed_at and not self._past(record.completed_at, RECENT):
                self._artifacts(record)
        came = [
            record.woken is not None
            for record in (finished if connection.webhook is not None else ())
            if record.completed_at and not record.appends_to and self._past(record.completed_at, SETTLED)
        ]
        if came:
            self.findings.delivered.setdefault(connection.vendor, []).extend(came)
        self.findings.overview[connection.name] = {
            **self._overview(records, list(waiting.values()), standing),
            "lost_webhooks_percent": _percent_lost(came),
        }

    def removed(self, name: str, since: datetime | None) -> None:
        """Check a connection that is no longer in the settings, and end its waits.

        Its poll queue was removed too; otherwise its cases would wait until their state times out. ``dossier redrive``
        resumes them once the connection is back.
        """
        if since is None:
            self.context.cases.gone(name, self.at)
        elif self._past(since, MISSED):
            error = ConfigurationError(
                f'connection "{name}" is no longer in the settings (since {iso(since)}): deploy it again, then run '
                "`dossier redrive`"
            )
            for wait in list(islice(self.context.waits.waiting(name), ENDED)):
                self.context.executions.fail(wait.token, error)
                self.context.waits.end(wait)
                self.findings.ended.append(f"case {wait.reference} at {name} no longer waits: {error}")
            for step in list(islice(self.context.waits.held_steps(name), ENDED)):
                self.context.executions.fail(step.token, error)
                self.context.waits.end_step(step)
                self.findings.ended.append(f"case {step.reference} at {name} is no longer paused: {error}")
        self._cases(name, LONGEST)

    def _cases(self, connection: str, deadline: timedelta) -> tuple[list[CaseRecord], dict[str, Wait]]:
        """Check a connection's cases that have not ended; return its recent cases and its waits."""
        oldest = self.at - 2 * deadline - timedelta(days=1)
        newest = islice(self.context.cases.newest(connection), NEWEST)
        records = list(takewhile(lambda each: each.submitted_at >= oldest, newest))
        waiting = {each.reference: each for each in islice(self.context.waits.waiting(connection), NEWEST)}
        self.woken = latest(self.woken, *(each.woken for each in records))
        self.submitted = latest(self.submitted, *(each.submitted_at for each in records))
        unended = [each for each in records if not each.status.final and self._past(each.updated_at, SETTLED)]
        for record in _drawn(unended, waiting, self.share):
            self.left -= 1
            self._unended(record)
        return records, waiting

    def shared_queues(self, seen: Round) -> None:
        """Check the queues of deliveries and drops against the work that this round has seen at all connections."""
        lately = seen.began - STUCK
        for queue, last, done in ((WAKE, seen.woken, "woken"), (DROP, seen.submitted, "submitted")):
            depth = self.context.queues.depth(queue)
            if depth and (last is None or last <= lately):
                self.findings.stuck.append(
                    f"queue {queue} has {counted(depth, 'message')}, but no case was {done} recently"
                )

    def _unended(self, record: CaseRecord) -> None:
        execution = self.context.executions.describe(record.execution_arn)
        if execution is not None and execution.status == "RUNNING":
            if record.status in _WAITING:
                self._waiting(record)
            elif self._past(record.updated_at, TURNS):
                self._explained(record, execution)
        elif execution is None or execution.stopped_at is None or execution.stopped_at <= self.at - SETTLED:
            self._heal(record, execution)

    def _heal(self, record: CaseRecord, execution: Execution | None) -> None:
        """Record a missing failure. For example, AWS leaves large inputs out of the event of an ended execution."""
        case = self.context.cases.find(record.id)
        if case is None or case.record.status.final or case.record.execution_arn != record.execution_arn:
            return  # it was recorded meanwhile
        reason = _reason(execution)
        error = (execution.error or execution.status) if execution else "ExecutionDoesNotExist"
        end_as_failed(case, error, reason, context=self.context)
        self.findings.healed.append(f"{_named(record)}: {reason}")

    def _waiting(self, record: CaseRecord) -> None:
        """Mark a case that is waiting without a wait; report it if nothing happens to it for ``UNATTENDED``."""
        if self.context.waits.find(record.id) is not None or any(self.context.waits.steps_of(record.id)):
            return
        since = record.unattended_at
        if since is None or since < record.updated_at:
            self.context.cases.mark(record.id, unattended_at=self.at)
        elif self._past(since, UNATTENDED):
            self.findings.unattended.append(f"{_named(record)} is {record.status.value}, but is not polled")

    def _overview(self, records: Sequence[CaseRecord], waits: Sequence[Wait], standing: Standing) -> dict[str, int]:
        """Return the state of a connection in numbers."""
        states = Counter(each.status for each in records)
        ended = [each for each in records if each.completed_at and not self._past(each.completed_at, LATELY)]
        began = [(self.at - later(each, standing).started_at).total_seconds() for each in waits]
        return {
            **{each.value: states[each] for each in CaseStatus if each in UNENDED},
            "completed_last_hour": sum(each.status.completed for each in ended),
            "failed_last_hour": sum(each.status is CaseStatus.FAILED for each in ended),
            "oldest_wait_minutes": round(max(began, default=0) / 60),
            "late_polls": sum(self._past(each.next_at, STUCK) for each in waits),
            "rate_used_percent": standing.rate_used,
            "breaker_open": int(standing.block is not None and standing.block.why == "breaker"),
            "paused": int(standing.hold is not None),
        } | _after_delivery(ended)

    def _vendor(self, name: str, standing: Standing, waits: Sequence[Wait]) -> None:
        """Report a vendor that fails, rejects the key or is slow, and a pause that lasts."""
        if standing.hold is not None:
            if self._past(standing.hold.since, FORGOTTEN):
                self.findings.paused.append(standing.hold.text(name, self.at))
            return
        since = standing.failing_since
        if standing.failures >= TRIP and since is not None and since <= self.at - FAILING:
            failure = f": {standing.failure}" if standing.failure else ""
            self.findings.failing.append(f"the vendor of {name} has failed since {iso(since)}{failure}")
        refused = [each for each in waits if each.refused_at is not None]
        if refused:
            text = f"the vendor of {name} rejects the API key: {counted(len(refused), 'waiting case')} will fail"
            self.findings.keyless.append(f"{text} unless `dossier secrets set {name}` sets the right one")
        for wait in (later(each, standing) for each in waits):
            began = wait.started_at
            length = (wait.deadline - began).total_seconds()
            percent = round(100 * (self.at - began).total_seconds() / max(1.0, length))
            if percent > self.findings.waited:
                self.findings.waited = percent
                self.findings.slow = f"case {wait.reference} at {name} has waited {percent} % of its deadline"

    def _explained(self, record: CaseRecord, execution: Execution) -> None:
        """Report a case for which no next event can be named."""
        case = self.context.cases.find(record.id)
        if case is None:
            return
        found = explain(facts_of(case, vendor=record.vendor, execution=execution, at=self.at, context=self.context))
        if found.broken:
            self.findings.unexplained.append(f"{_named(record)}: {found.why}")

    def _poll_queue(self, connection: str, records: Sequence[CaseRecord], waits: Sequence[Wait]) -> None:
        late = [each for each in waits if self._past(each.next_at, STUCK)]
        if not late or any(self._recent(each.polled_at) for each in waits):
            return
        if any(each.waited_from and each.status not in _WAITING and self._recent(each.updated_at) for each in records):
            return
        depth = self.context.queues.depth(poll_queue(connection))
        if depth:
            self.findings.stuck.append(
                f"queue {poll_queue(connection)} has {counted(depth, 'message')} and "
                f"{counted(len(late), 'late wait')}, but none is polled"
            )

    def _artifacts(self, record: CaseRecord) -> None:
        case = self.context.cases.get(record.id)
        wanted = [each.key for each in case.artifacts if each.key]
        if not wanted or not case.record.status.final:  # it was redriven meanwhile
            return
        prefix = artifact_key(record.id, "")
        there = {key for key, _ in self.context.objects.list(prefix)}
        self.findings.missing += [f"{_named(record)}: {key} is missing" for key in wanted if key not in there]

    def _past(self, when: datetime, by: timedelta) -> bool:
        return when <= self.at - by

    def _recent(self, when: datetime | None) -> bool:
        return when is not None and not self._past(when, STUCK)


def _percent_lost(came: Sequence[bool]) -> int:
    """Return the percentage of finished cases without a delivery; 0 if there are none."""
    return round(100 * came.count(False) / len(came)) if came else 0


def _after_delivery(ended: Iterable[CaseRecord]) -> dict[str, int]:
    """Return the median time from the vendor's last delivery to the result, in milliseconds, if there was a delivery.

    A delivery is the only evidence of when a vendor was done; a poll finds out some time later.
    """
    took = [
        (each.completed_at - each.woken).total_seconds()
        for each in ended
        if each.status.completed and each.completed_at and each.woken and each.woken <= each.completed_at
    ]
    return {"delivery_to_result_ms": round(1000 * median(took))} if took else {}


def latest(*times: datetime | None) -> datetime | None:
    """Return the latest of the times that are known."""
    return max((each for each in times if each is not None), default=None)


def _drawn(unended: Sequence[CaseRecord], waiting: Collection[str], most: int) -> list[CaseRecord]:
    """Return the cases to check in this run: all, or a random sample of which half have no wait."""
    if len(unended) <= most:
        return sorted(unended, key=lambda each: (each.reference in waiting, each.updated_at))
    unpolled = [each for each in unended if each.reference not in waiting]
    polled = [each for each in unended if each.reference in waiting]
    first = min(len(unpolled), max(most - len(polled), (most + 1) // 2))
    return [*random.sample(unpolled, first), *random.sample(polled, min(len(polled), most - first))]


def _named(record: CaseRecord) -> str:
    return f"case {record.reference} at {record.connection}"


def _reason(execution: Execution | None) -> str:
    if execution is None:
        return "its execution no longer exists, and its outcome was not recorded"
    cause = reason_of(execution.cause) if execution.cause else ""
    return cause or f"its execution ended as {execution.status}, and the reason was not recorded"
