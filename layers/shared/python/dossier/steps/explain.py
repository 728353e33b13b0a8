"""Explain: why a case does not move, what happens next, when, and who has to act.

It does no I/O: it turns a case's records and its execution's state into a sentence and its parts. The command,
``reconcile`` and every other view of a case share it. A case that has not ended always has a next event: one for which
none can be named is a broken invariant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dossier.models import CaseStatus, iso
from dossier.questions import BUDGET, answers
from dossier.settings import Connection
from dossier.steps.context import LONGEST_PAUSE, RUNS
from dossier.steps.hold import later
from dossier.steps.poll import REFUSED
from dossier.steps.sweep import GRACE
from dossier.steps.upload import FIRST_LOOK, LONGEST, SIZE
from dossier.stores.cases import Case
from dossier.stores.executions import Execution
from dossier.stores.intents import StoredIntent
from dossier.stores.limiter import BURST_MS, Standing
from dossier.stores.waits import HeldStep, Wait
from dossier.texts import counted, the_last
from dossier.troubles import clock

CHECK = timedelta(minutes=5)
"""Time between two runs of ``reconcile`` (``infra/invariants.py``)."""
SETTLED = timedelta(minutes=2)
"""``reconcile`` ignores changes that are more recent: another function may still be working on them."""
SWEEP = timedelta(minutes=1)
"""Time between two sweeps (``infra/waiting_room.py``)."""
UNATTENDED = timedelta(minutes=10)
"""How long a case may be waiting without a wait before it is reported; between two states that is normal."""
TURNS = timedelta(hours=17)
"""Longest time for which a step waits for a turn or is repeated (``infra/case_machine.py``)."""
LONGEST_TURN = timedelta(seconds=60)
"""Longest time until Step Functions repeats a step that waits for its turn."""
MISSED = timedelta(hours=1)
"""How long a connection may be missing from the settings before its waits end: the deployed file may be a mistake."""
_WAITING = {CaseStatus.WAITING, CaseStatus.PROCESSING}
_STEPS = {
    CaseStatus.ACCEPTED: "the documents are sent to the vendor next",
    CaseStatus.UPLOADING: "the documents are being sent to the vendor",
    CaseStatus.WAITING: "the case goes from one step to the next",
    CaseStatus.PROCESSING: "the vendor's assessment is triggered",
    CaseStatus.DOWNLOADING: "the results are being downloaded and published",
    CaseStatus.NEEDS_ATTENTION: "the answer to its question is applied",
}


class Who(StrEnum):
    """Who has to act."""

    DOSSIER = "Dossier"
    VENDOR = "vendor"
    OPERATOR = "operator"
    AWS = "AWS"


@dataclass(frozen=True, slots=True)
class Next:
    """A case's next event.

    ``kind`` is for programs: ``poll``, ``deadline``, ``step``, ``retry``, ``look_up``, ``answer``, ``resume``,
    ``release``, ``record_end``, ``refresh`` or ``deploy``. ``at`` is when it comes at the latest; None: when somebody
    acts.
    """

    kind: str
    what: str
    who: Who
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about a case."""

    case: Case
    at: datetime
    vendor: str
    """The vendor's name for people."""
    wait: Wait | None = None
    held: Sequence[HeldStep] = ()
    intents: Sequence[StoredIntent] = ()
    execution: Execution | None = None
    """The case's execution; None if it does not exist."""
    standing: Standing | None = None
    """The connection's limits."""
    settings: Connection | None = None
    """The connection's settings, if they are known."""
    removed: datetime | None = None
    """Since when the connection is missing from the settings, if it is."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a case does not move, and what happens next."""

    connection: str
    reference: str
    status: str
    why: str
    next: Next | None = None
    waits_for: str | None = None
    tried: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    broken: bool = False
    """Whether the case has not ended, and no next event can be named."""

    def as_json(self) -> dict[str, Any]:
        """Return the explanation for programs."""
        coming = self.next
        return {
            "connection": self.connection,
            "reference": self.reference,
            "status": self.status,
            "why": self.why,
            "next": coming
            and {
                "kind": coming.kind,
                "what": coming.what,
                "at": iso(coming.at) if coming.at else None,
                "who": coming.who.value,
            },
            "waits_for": self.waits_for,
            "tried": list(self.tried),
            "helps": list(self.helps),
            "broken": self.broken,
        }

    def sentence(self, at: datetime) -> str:
        """Return why the case does not move and what comes next, in one sentence or two."""
        if self.next is None:
            return f"{self.why}."
        when = f", by {clock(self.next.at, at, seconds=True)}" if self.next.at else ""
        return f"{self.why}. Next: {self.next.what}{when} ({self.next.who.value})."


@dataclass(slots=True)
class _Found:
    why: str
    next: Next | None
    waits_for: str | None = None
    tried: list[str] = field(default_factory=list)
    helps: list[str] = field(default_factory=list)


def explain(facts: Facts) -> Explanation:
    """Return why a case does not move, and its next event."""
    record = facts.case.record
    found = _found(facts)
    ended = record.status.final
    return Explanation(
        connection=record.connection,
        reference=record.reference,
        status=record.status.value,
        why=found.why,
        next=found.next,
        waits_for=found.waits_for,
        tried=(*_tried(facts), *found.tried),
        helps=tuple(found.helps),
        broken=found.next is None and not ended,
    )


def _found(facts: Facts) -> _Found:
    """Return the first reason that applies; reasons that block a case entirely come first."""
    reasons = (
        _ended,
        _execution_ended,
        _removed,
        _asked,
        _paused,
        _released,
        _waiting,
        _lost,
        _blocked,
        _troubled,
        _unattended,
        _in_line,
    )
    return next((found for reason in reasons if (found := reason(facts)) is not None), None) or _running(facts)


def _ended(facts: Facts) -> _Found | None:
    case, record = facts.case, facts.case.record
    if not record.status.final:
        return None
    command = f"{record.reference} --connection {record.connection}"
    if case.refresh.execution_arn is not None:
        collect = Next("refresh", "its execution collects the case again", Who.DOSSIER, facts.at + RUNS)
        return _Found(f"the case has ended as {record.status.value}, and is being collected again", collect)
    if case.refresh.look_at is not None:
        look_at = case.refresh.look_at
        why = f"the case has ended as {record.status.value}, but parts of it are unfinished or failed"
        look = Next("refresh", "the hourly comparison collects the case again", Who.DOSSIER, max(look_at, facts.at))
        return _Found(why, look, helps=[f"`dossier refresh {command}` collects it at once"])
    reason = f": {record.reason}" if record.reason else ""
    helps = []
    if record.status is CaseStatus.FAILED and record.refused:
        helps.append("fix its input and submit it again: the reference is free")
    elif record.status is CaseStatus.FAILED:
        helps.append(f"`dossier redrive {record.reference}` resumes it where it stopped, once the cause is fixed")
    return _Found(f"the case has ended as {record.status.value}{reason}", None, helps=helps)


def _execution_ended(facts: Facts) -> _Found | None:
    """Explain a case whose execution has ended without a record: AWS's event records that, or the scheduled check."""
    record, execution = facts.case.record, facts.execution
    if execution is not None and execution.status == "RUNNING":
        return None
    end = "cancelled" if record.cancelled_at else "failed"
    stopped = execution.stopped_at if execution is not None else None
    seen = max(record.updated_at, stopped or record.updated_at)
    at = max(seen + SETTLED, facts.at) + CHECK
    what = f"the end is recorded and the case is {end}: by the event of its end, or by the check of every 5 minutes"
    who = Who.AWS if stopped is not None and facts.at - stopped < SETTLED else Who.DOSSIER
    state = "no longer exists" if execution is None else f"has ended as {execution.status}"
    command = f"`dossier redrive {record.reference}` resumes the case once it is recorded as failed"
    return _Found(
        f"its execution {state}, and that is not recorded yet", Next("record_end", what, who, at), helps=[command]
    )


def _removed(facts: Facts) -> _Found | None:
    if facts.removed is None or not (facts.wait or facts.held):
        return None
    name = facts.case.record.connection
    at = max(facts.removed, facts.at - MISSED) + MISSED + CHECK
    why = f'its connection "{name}" is no longer in the settings (since {iso(facts.removed)})'
    deploy = Next("deploy", "an operator deploys the connection again; otherwise the case fails", Who.OPERATOR, at)
    return _Found(why, deploy, waits_for="the connection's settings", helps=[f"deploy [{name}] again"])


def _asked(facts: Facts) -> _Found | None:
    record, questions = facts.case.record, facts.case.questions
    if not questions:
        return None
    question = questions[0]
    which = question.what if len(questions) > 1 or question.what == BUDGET else None
    commands = answers(record.id, question.choices, which)
    since = clock(question.asked_at, facts.at)
    paused = facts.standing is not None and facts.standing.hold is not None
    what, waits_for = f"an operator answers: `dossier resolve {record.reference}`", "an operator's answer"
    if question.what == BUDGET:
        what = f"an operator sends it or gives it up: `dossier resolve {record.reference} --send|--give-up`"
        waits_for = f"an operator's decision: nothing was sent to {facts.vendor}"
    helps = [f"{meaning}: `{command}`" for meaning, command in commands]
    if facts.removed is not None:
        first = f"deploy [{record.connection}] again first: it is not in the settings since {iso(facts.removed)}"
        helps.insert(0, f"{first}, because a case that continues without it fails")
    if paused:
        helps.append(f"`dossier resume {record.connection}`: after the answer the case waits for that")
    return _Found(
        f"only an operator can decide, since {since}: {question.text}",
        Next("answer", what, Who.OPERATOR),
        waits_for=waits_for,
        helps=helps,
    )


def _paused(facts: Facts) -> _Found | None:
    record = facts.case.record
    hold = facts.standing.hold if facts.standing else None
    if hold is None:
        return None
    resume = f"`dossier resume {record.connection}`"
    return _Found(
        f"{hold.text(record.connection, facts.at)}: nothing goes to the vendor",
        Next("resume", f"an operator ends the pause: {resume}", Who.OPERATOR),
        waits_for="the end of the pause; the time of the pause does not count for its deadline",
        helps=[resume],
    )


def _released(facts: Facts) -> _Found | None:
    if not facts.held:
        return None
    release = Next("release", "the sweep resumes the held step", Who.DOSSIER, facts.at + SWEEP)
    return _Found("an operator's pause is over, and the case is about to continue", release)


def _waiting(facts: Facts) -> _Found | None:
    """Explain a case that waits for its vendor."""
    record, vendor, wait = facts.case.record, facts.vendor, facts.wait
    if wait is None:
        return None
    kept = later(wait, facts.standing) if facts.standing else wait
    due, deadline, late = wait.next_at, kept.deadline, facts.at - wait.next_at
    wanted = _wanted(facts, wait)
    found = _Found(
        f"{vendor} has not finished: {wanted}",
        Next("poll", f"Dossier asks {vendor} whether it has finished", Who.VENDOR, max(due, facts.at)),
        waits_for=f"{vendor}: {wanted}",
        helps=_quicker(facts, deadline),
    )
    if wait.polled_at is None:
        found.why = f"{vendor} has the case, and was not asked yet: {wanted}"
    trouble = wait.trouble
    if wait.refused_at is not None:
        until = min(wait.refused_at + REFUSED, deadline)
        command = f"`dossier secrets set {record.connection}`"
        found.why = f"{vendor} rejects the API key since {clock(wait.refused_at, facts.at)}"
        what = f"an operator sets the right key ({command}); else the case fails at {clock(until, facts.at)}"
        found.next = Next("poll", what, Who.OPERATOR, max(due, facts.at))
        found.helps = [command]
    elif trouble is not None:
        found.why = trouble.text
        found.next = Next("poll", f"Dossier asks {vendor} again", Who.VENDOR, max(due, facts.at))
    elif wait.hints and due <= facts.at:
        found.why = f"a delivery has arrived about {', '.join(wait.hints[:3])}"
        found.next = Next("poll", f"Dossier asks {vendor} about that", Who.DOSSIER, facts.at)
    if due >= deadline - timedelta(seconds=1):
        what = f"its deadline passes: Dossier asks {vendor} once more, and collects the results that exist"
        found.next = Next("deadline", what, Who.DOSSIER, max(due, facts.at))
    if late > GRACE:
        found.why = f"its poll was due at {clock(due, facts.at, seconds=True)} and has not come"
        what = f"the sweep sends the poll again, and Dossier asks {vendor}"
        found.next = Next("poll", what, Who.DOSSIER, facts.at + SWEEP)
        found.helps = ["`dossier doctor` checks the queue; look at errors and throttles of the function poll"]
    elif wait.sent_at is None and found.next is not None and found.next.at is not None:
        found.tried.append("its next poll is further away than SQS delays a message: the sweep sends it in time")
    return found


def _wanted(facts: Facts, wait: Wait) -> str:
    """Return the vendor's outstanding work."""
    documents = facts.case.documents
    if wait.phase == "results":
        return "the results of the case"
    left = [each for each in documents if not each.finished]
    names = ", ".join(f"{each.name} ({each.status})" if each.status else each.name for each in left[:3])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return (
        f"{len(documents) - len(left)} of {len(documents)} documents read, left: {names}{more}" if left else "nothing"
    )


def _quicker(facts: Facts, deadline: datetime) -> list[str]:
    """Return hints that may speed up a case that waits for its vendor."""
    record, settings = facts.case.record, facts.settings
    helps = []
    if settings is not None and settings.webhook is not None and record.woken is None:
        helps.append(f"no delivery about this case has arrived: `dossier deliveries --connection {record.connection}`")
    elif settings is not None and settings.webhook is None:
        helps.append("without webhooks, Dossier learns of the end at the next poll (poll.max of the connection)")
    helps.append(f"`dossier vendor {record.connection}` asks the vendor itself; its support can look the ids up")
    helps.append(
        f"at {clock(deadline, facts.at)} the wait ends, and Dossier collects the results that exist (poll.deadline)"
    )
    return helps


def _lost(facts: Facts) -> _Found | None:
    """Explain a request whose answer was lost: it is looked up, twice if need be."""
    intent = next((each for each in facts.intents if each.answer is None and each.lost_at is not None), None)
    if intent is None or intent.lost_at is None or _age(facts) > TURNS:
        return None
    settling = timedelta(seconds=facts.settings.settling) if facts.settings else FIRST_LOOK
    size = sum(each.size for each in facts.case.documents)
    settled = min(LONGEST, settling * max(1.0, size / SIZE))
    look = intent.lost_at + (settled if intent.unlisted else min(FIRST_LOOK, settled))
    at = max(look, facts.at) + timedelta(seconds=LONGEST_PAUSE)
    what = f"Dossier looks up at {facts.vendor} whether it took effect; if nothing shows that, it asks an operator"
    return _Found(
        f"the answer to {intent.what} was lost at {clock(intent.lost_at, facts.at, seconds=True)}",
        Next("look_up", what, Who.DOSSIER, at),
        waits_for=f"{facts.vendor}'s list to settle (settling of the connection)" if intent.unlisted else None,
    )


def _blocked(facts: Facts) -> _Found | None:
    """Explain a step whose vendor may not be called now."""
    block, vendor = facts.standing.block if facts.standing else None, facts.vendor
    if block is None or _age(facts) > TURNS:
        return None
    at = facts.at + timedelta(seconds=block.seconds) + LONGEST_TURN
    failing = f" ({block.failure})" if block.failure else ""
    why = f"{vendor} asks for a pause (429)" if block.why == "pause" else f"{vendor} keeps failing{failing}"
    retry = Next("retry", "Step Functions repeats the step after that", Who.VENDOR, at)
    return _Found(why, retry, waits_for=f"{vendor} to answer again")


def _troubled(facts: Facts) -> _Found | None:
    """Explain a step that failed and is repeated."""
    trouble = facts.case.record.trouble
    if trouble is None or _age(facts) > TURNS:
        return None
    retry = Next("retry", "Step Functions repeats the step", Who.AWS, facts.at + timedelta(seconds=LONGEST_PAUSE))
    return _Found(trouble.text, retry, waits_for=f"{facts.vendor} to answer")


def _unattended(facts: Facts) -> _Found | None:
    """Explain a case that nothing works on: a broken invariant."""
    record, age = facts.case.record, _age(facts)
    if not (age > TURNS or (record.status in _WAITING and age > UNATTENDED)):
        return None
    since = clock(record.updated_at, facts.at)
    why = f"the case is {record.status.value} since {since}, but nothing polls it or works on it: this is a fault"
    restart = f"stop the execution {record.execution_arn}, then run `dossier redrive {record.reference}`"
    return _Found(why, None, helps=[restart])


def _in_line(facts: Facts) -> _Found | None:
    """Explain a step that has not succeeded for longer than a function runs: it waits for a turn, or is repeated."""
    standing, age = facts.standing, _age(facts)
    if age <= RUNS:
        return None
    if standing is not None and standing.ahead > 1:
        why = f"many cases share the connection's rate: the reserved turns reach {standing.ahead:.0f} s ahead"
        turn = Next(
            "retry", "Step Functions repeats the step until it gets a turn", Who.DOSSIER, facts.at + LONGEST_TURN
        )
        return _Found(why, turn, waits_for="its turn", helps=["raise limits.requests_per_second, if the vendor allows"])
    why = f"{_doing(facts)}; nothing was recorded since {clock(facts.case.record.updated_at, facts.at)}"
    retry = Next("retry", "Step Functions repeats the step", Who.AWS, facts.at + LONGEST_TURN)
    return _Found(why, retry, helps=["`dossier timeline` shows each try of the step"])


def _running(facts: Facts) -> _Found:
    """Explain a case that is in a step, or between two."""
    at = max(facts.case.record.updated_at, facts.at) + RUNS
    return _Found(_doing(facts), Next("step", "the running step ends", Who.DOSSIER, at))


def _doing(facts: Facts) -> str:
    return _STEPS.get(facts.case.record.status, "a step runs")


def _age(facts: Facts) -> timedelta:
    """Return the time since the record of the case changed last."""
    return facts.at - facts.case.record.updated_at


def _tried(facts: Facts) -> list[str]:
    """Return the attempts and answers so far, the latest last."""
    record, wait, at = facts.case.record, facts.wait, facts.at
    tried = [f"submitted at {clock(record.submitted_at, at, seconds=True)}"]
    if record.attempt > 1:
        tried.append(f"attempt {record.attempt}: an operator has sent it back to work")
    sent = [each for each in facts.case.documents if each.document_id or each.job_id]
    if sent:
        tried.append(f"{len(sent)} of {len(facts.case.documents)} documents sent to {facts.vendor}")
    if record.woken:
        tried.append(f"the last delivery about it arrived at {clock(record.woken, at, seconds=True)}")
    if wait is not None and wait.polled_at:
        asked = clock(wait.polled_at, at, seconds=True)
        tried.append(f"{facts.vendor} answered {counted(wait.attempts, 'poll')}, the last poll was at {asked}")
        if wait.troubles:
            tried.append(f"{the_last(wait.troubles, 'poll')} had no usable answer")
    if wait is not None and wait.held:
        tried.append(f"an operator's pauses have moved its deadline by {wait.held} s")
    if wait is not None and wait.extended:
        tried.append(f"the vendor's pauses have moved its deadline by {wait.extended} s")
    if facts.case.artifacts:
        done = sum(each.settled for each in facts.case.artifacts)
        tried.append(f"{done} of {len(facts.case.artifacts)} artifacts downloaded")
    return tried


@dataclass(frozen=True, slots=True)
class Account:
    """The facts about a connection."""

    connection: str
    vendor: str
    at: datetime
    standing: Standing
    deployed: bool = True
    requests_per_second: float | None = None
    waits: int = 0
    oldest_wait: datetime | None = None
    """When the oldest wait began."""
    overdue: int = 0
    """Waits whose poll is late."""
    held: int = 0
    """Steps that wait for the end of an operator's pause."""
    queued: int = 0
    """Poll messages that are visible or in flight."""
    dead_letters: int = 0
    finished: int = 0
    """Finished cases whose webhooks were looked at; 0 without webhooks."""
    unheard: int = 0
    """Those of them that no delivery was about."""
    by_status: dict[str, int] = field(default_factory=dict)

    @property
    def lost_webhooks(self) -> int | None:
        """Percentage of finished cases without a delivery; None if there are none."""
        return round(100 * self.unheard / self.finished) if self.finished else None

    def reasons(self) -> list[str]:
        """Return the reasons why the connection's cases do not move, each in a sentence; empty if there are none."""
        standing, block, found = self.standing, self.standing.block, []
        if not self.deployed:
            found.append(f"{self.connection} is no longer in the settings: its waits end after an hour")
        if standing.hold is not None:
            found.append(standing.hold.text(self.connection, self.at))
        if block is not None and block.why == "pause":
            until = clock(self.at + timedelta(seconds=block.seconds), self.at, seconds=True)
            found.append(f"{self.vendor} asks for a pause until {until} (429)")
        if block is not None and block.why == "breaker":
            since = f" since {clock(block.since, self.at)}" if block.since else ""
            until = clock(self.at + timedelta(seconds=block.seconds), self.at, seconds=True)
            found.append(f"{self.vendor} fails{since}: the breaker is open, one request tries again at {until}")
        elif standing.failures:
            found.append(f"{the_last(standing.failures, 'request')} to {self.vendor} had no usable answer")
        if standing.ahead * 1000 > BURST_MS:
            found.append(f"the rate is used up: the reserved turns reach {standing.ahead:.0f} s ahead")
        if self.overdue:
            found.append(f"{self.overdue} of {counted(self.waits, 'wait')} not polled in time")
        if self.dead_letters:
            found.append(f"the poll queue has {counted(self.dead_letters, 'dead letter')}: `dossier redrive`")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the connection's state for programs."""
        standing, block = self.standing, self.standing.block
        until = iso(self.at + timedelta(seconds=block.seconds)) if block else None
        hold = standing.hold
        reasons = self.reasons()
        return {
            "connection": self.connection,
            "vendor": self.vendor,
            "why": "; ".join(reasons) or "nothing holds it up",
            "reasons": reasons,
            "paused": hold and {"since": iso(hold.since), "by": hold.by, "reason": hold.reason},
            "pause_until": until if block and block.why == "pause" else None,
            "breaker": {
                "open": bool(block and block.why == "breaker"),
                "until": until if block and block.why == "breaker" else None,
                "failures": standing.failures,
                "since": iso(standing.failing_since) if standing.failing_since else None,
                "failure": standing.failure,
            },
            "rate": {
                "requests_per_second": self.requests_per_second,
                "used_percent": self.standing.rate_used,
                "ahead_seconds": round(standing.ahead, 1),
            },
            "queue": {"polls": self.queued, "dead_letters": self.dead_letters},
            "waits": {
                "number": self.waits,
                "oldest": self.oldest_wait and iso(self.oldest_wait),
                "overdue": self.overdue,
                "held_steps": self.held,
            },
            "lost_webhooks": {
                "finished": self.finished,
                "unheard": self.unheard,
                "percent": self.lost_webhooks,
            },
            "cases": self.by_status,
        }
