"""Poll: asks the vendor how a waiting case stands; answers its task token, or says when to ask next.

A round of questions asks for every document that is not finished, or reads a list as far as it must. One that takes
longer than ``BUDGET`` goes on in the next poll, from where it was. What is learnt is written down as it comes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dossier.errors import (
    CaseFailedError,
    DossierError,
    MalformedAnswerError,
    RetryableError,
    StrayAnswerError,
    ThrottledError,
    UnauthorizedError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.models import Document, iso, moment, now
from dossier.ports import DocumentState, Found, Progress, Vendor, told
from dossier.result import LATE
from dossier.settings import Poll
from dossier.steps.work import Desk, Job
from dossier.stores.executions import Executions
from dossier.stores.limiter import Block
from dossier.stores.waits import MOST_EXTENDED, Row, Wait, Waits
from dossier.troubles import Trouble, trouble_of

GROWTH = 1.5
"""By how much each interval is longer than the one before, up to ``poll.max``."""
RARER, RAREST = 50, 3600.0
"""An interval is at least so small a part of the time that a case has waited, but no longer than so many seconds: ten
hours of waiting are 170 polls in place of 600, and nothing is seen later than by a fiftieth of the time it took."""
AT_ONCE = 100
"""Waits that one bulk poll serves at most."""
SOON = timedelta(seconds=2)
BUDGET = timedelta(seconds=20)
"""How long a poll goes on asking. With the longest that one request may take it is within the function's time."""
TROUBLES = 3
"""Documents that a poll cannot ask for after which it leaves the others to the next poll."""
REFUSED = timedelta(minutes=10)
"""How long a vendor may refuse the key of a case that waits: between its new key and ours lie some clicks."""
LASTING, LASTS = 10, timedelta(minutes=10)
"""How often in a row, and for how long, the vendor itself has to say the same of a document (or a case) that would be
no verdict if it was said once, such as 404: then it is one."""
SOONEST = 15.0
"""Longest interval, in seconds, at which a vendor that fails is asked again (or ``poll.every``, if that is longer), so
that cases go on soon after it is back. Where many wait, its breaker is open."""
MISSES = 3
"""Polls after which a case that Dossier did not submit, and the vendor does not know, counts as not existing."""
ROWS = 50
"""Most rows of stray answers that a wait keeps."""


@dataclass(slots=True)
class Asked:
    """What a poll has learnt of one wait."""

    finished: bool = False
    error: DossierError | None = None
    """What kept it from learning more."""
    asked: int | None = None
    """How far its round has come, if that is not over."""
    round_over: bool = True
    regular: bool = True
    """Whether it was time to ask for all, and not only for what deliveries named."""
    hints: tuple[str, ...] = ()
    """What deliveries named and could not be asked for."""
    rows: dict[str, Row] = field(default_factory=dict)


class Poller:
    """Serves poll messages. ``unknown`` is told each status that a vendor's guide does not name."""

    def __init__(self, *, desk: Desk, waits: Waits, executions: Executions) -> None:
        self._desk = desk
        self._waits = waits
        self._executions = executions
        self.unknown: list[str] = []

    def poll(self, connection: str, reference: str, seq: int) -> None:
        """Serve one poll message; one whose ``seq`` is not the wait's is stale and does nothing."""
        wait = self._waits.find(connection, reference)
        if wait is None or wait.seq != seq:
            return
        early = (moment(wait.next_at) - now()).total_seconds()
        if early > 1:  # it was sent by somebody who did not know: not its time yet
            self._put_off(wait, early)
            return
        block = self._desk.limiter.block(self._desk.connection_of(connection))
        if block and self._sit_out(wait, block):
            return
        settings = self._desk.connection_of(connection)
        vendor = self._desk.vendor_of(settings.vendor)
        for each, outcome in self._ask(self._served(wait, vendor)):
            self._decide(each, outcome, settings.poll)

    def _sit_out(self, wait: Wait, block: Block) -> bool:
        """Put a wait off until the vendor may be called again; False once that has lasted too long for its deadline."""
        delay = block.seconds if block.first else block.seconds + _spread(block)
        extended, deadline = _extended(wait, delay)
        if deadline <= now():
            return False
        error: DossierError = ThrottledError("", retry_after=block.seconds, why=block.why)
        if block.why == "breaker" and block.failure:
            error = VendorUnavailableError("", unreachable=block.failure)
        trouble = self._trouble(wait, error, since=block.since)
        self._put_off(wait, delay, deadline=iso(deadline), extended=extended, trouble=trouble)
        return True

    def _put_off(self, wait: Wait, delay: float, **changes: Any) -> None:
        """Postpone a wait for which nobody was asked: what deliveries named stays to be asked for."""
        kept = {"hints": wait.hints, "regular_at": wait.regular_at, "trouble": wait.trouble}
        self._waits.postpone(wait, delay, **{**kept, **changes})

    def _served(self, wait: Wait, vendor: Vendor) -> list[Wait]:
        """Return the wait of the message, and for a vendor with bulk polls every other wait that is (almost) due.

        One whose list is read from the middle on is served with others of these alone.
        """
        if not (vendor.bulk_poll and wait.phase == "results"):
            return [wait]
        served = [wait]
        for each in self._waits.due(wait.connection, now() + SOON):
            alike = each.phase == "results" and (each.asked is None) == (wait.asked is None)
            if alike and each.reference != wait.reference:
                served.append(each)
            if len(served) == AT_ONCE:
                break
        return served

    def _ask(self, waits: Sequence[Wait]) -> list[tuple[Wait, Asked]]:
        jobs: list[tuple[Wait, Job]] = []
        failed: list[tuple[Wait, Asked]] = []
        for wait in waits:
            try:
                jobs.append((wait, self._desk.load(wait.connection, wait.reference)))
            except CaseFailedError as error:
                failed.append((wait, Asked(error=error)))
        if not jobs:
            return failed
        until = now() + BUDGET
        if waits[0].phase == "documents":
            return [*failed, *((wait, self._documents(job, wait, until)) for wait, job in jobs)]
        return [*failed, *zip([wait for wait, _ in jobs], self._results(jobs, until), strict=True)]

    def _documents(self, job: Job, wait: Wait, until: datetime) -> Asked:
        """Ask for each document by itself: what is known of one is kept, whatever becomes of asking for the next.

        What deliveries named comes first, then (if it is time for that) the others, those not asked for longest first.
        """
        left = {each.index: each for each in job.case.documents if each.document_id and not each.finished}
        named, rest, regular = _order(wait, job.case.documents)
        asked = Asked(rows=dict(wait.rows), asked=wait.asked, regular=regular)
        troubles, done, noted = 0, 0, 0
        for document in [*named, *rest]:
            if done and now() >= until:
                break
            try:
                state = self._state(job, document, asked.rows)
            except ThrottledError as error:
                asked.error = error
                break
            except (RetryableError, MalformedAnswerError) as error:
                asked.error, troubles = error, troubles + 1
                state = None
            except DossierError as error:
                asked.error = error
                break
            done += 1
            if document in rest:
                asked.asked = document.index
            if state is not None and (changed := told(document, state)) != document:
                self._desk.cases.put_documents(wait.connection, wait.reference, [changed], fresh=False)
                noted += 1
            if state is not None and state.finished:
                del left[document.index]
            if troubles == TROUBLES:
                break
        self._say(job, len(left), noted)
        unasked = {each.index for each in rest[max(0, done - len(named)) :]}
        asked.round_over = regular and not unasked
        asked.finished = not left
        unheard = {each.index for each in named[done:]} | ({each.index for each in named} if asked.error else set())
        asked.hints = wait.hints if unheard & left.keys() else ()
        return asked

    def _state(self, job: Job, document: Document, rows: dict[str, Row]) -> DocumentState | None:
        """Ask how a document stands; the vendor's verdict about it is the document's failure, and not the case's."""
        row, document_id = str(document.index), document.document_id or ""
        try:
            answer = job.run(job.vendor.poll_documents(job.view, [document_id]))
        except VendorRejectedError as error:
            rows.pop(row, None)
            return DocumentState(status=document.status or "", finished=True, failed=True, error=str(error))
        except StrayAnswerError as error:
            if not _lasts(rows, row, error):
                raise
            since = rows.pop(row).since
            text = f"{error}; the same answer since {moment(since):%Y-%m-%d %H:%M} UTC"
            return DocumentState(status=document.status or "", finished=True, failed=True, error=text)
        rows.pop(row, None)
        self.unknown += answer.unknown
        return answer.documents.get(document_id)

    def _results(self, jobs: Sequence[tuple[Wait, Job]], until: datetime) -> list[Asked]:
        first = jobs[0][1]
        views = [job.view for _, job in jobs]
        try:
            if first.vendor.bulk_poll:
                start = min(each.asked or 0 for each, _ in jobs)
                found = first.run(first.vendor.poll_results(views, start=start, spent=lambda: now() >= until))
            else:
                found = first.run(first.vendor.poll_results(views))
        except DossierError as error:
            return [self._troubled(each, job, error) for each, job in jobs]
        rest = found.rest if isinstance(found, Found) else None
        return [self._result(each, job, found, rest) for each, job in jobs]

    def _result(self, wait: Wait, job: Job, found: Mapping[str, Progress], rest: int | None) -> Asked:
        progress = found.get(job.case.record.case_id or "")
        if progress is not None:
            self.unknown += progress.unknown
            changed = [
                state
                for each in job.case.documents
                if each.document_id
                and each.document_id in progress.documents
                and (state := told(each, progress.documents[each.document_id])) != each
            ]
            self._desk.cases.put_documents(wait.connection, wait.reference, changed, fresh=False)
            return Asked(finished=progress.finished)
        if rest is not None:
            return Asked(asked=rest, round_over=False)
        if not job.case.documents and wait.attempts + 1 >= MISSES:
            case_id = job.case.record.case_id
            return Asked(error=CaseFailedError(f"{job.vendor.name} has no case {case_id}: check the case_id"))
        return Asked()

    def _troubled(self, wait: Wait, job: Job, error: DossierError) -> Asked:
        """Say what an answer that is not one means for a wait for results."""
        asked = Asked(error=error, rows=dict(wait.rows), asked=wait.asked, round_over=wait.asked is None)
        if job.vendor.bulk_poll:  # an answer about every case of the account is no verdict about any one of them
            if isinstance(error, VendorRejectedError):
                asked.error = StrayAnswerError(str(error), status=error.status or 0, worded=False)
            return asked
        if not isinstance(error, StrayAnswerError):
            return asked
        times = MISSES if not job.case.documents and error.status == 404 else 0  # the caller named it, not the vendor
        if _lasts(asked.rows, "case", error, times=times):
            asked.error = VendorRejectedError(str(error), status=error.status)
        return asked

    def _say(self, job: Job, left: int, noted: int) -> None:
        """Note how many documents are read, where that changed."""
        record, count = job.case.record, len(job.case.documents)
        done = sum(each.finished for each in job.case.documents)
        now_done = sum(1 for each in job.case.documents if each.finished or each.document_id) - left
        if noted and count > 1 and (now_done != done or job.case.record.note is None):
            self._desk.cases.change(record.connection, record.reference, note=f"{now_done} of {count} documents read")

    def _decide(self, wait: Wait, asked: Asked, poll: Poll) -> None:
        error = asked.error
        if asked.finished:
            self._executions.succeed(wait.token, {"phase": wait.phase})
            self._waits.end(wait)
            return
        if isinstance(error, UnauthorizedError) and self._may_be_rotating(wait, error, poll):
            return
        late = now() >= moment(wait.deadline)
        retry = error is None or isinstance(error, RetryableError | MalformedAnswerError)
        more = not asked.round_over and error is None
        if retry and (not late or (more and now() < moment(wait.deadline) + LASTS)):
            self._go_on(wait, asked, poll)
            return
        if error is not None and not retry:
            self._executions.fail(wait.token, error)
        else:  # what can be collected by now is collected
            self._desk.cases.change(wait.connection, wait.reference, late=_late(wait, error))
            self._executions.succeed(wait.token, {"phase": wait.phase, "late": True})
        self._waits.end(wait)

    def _go_on(self, wait: Wait, asked: Asked, poll: Poll) -> None:
        """Say when the vendor is asked next, and for what."""
        changes: dict[str, Any] = {"asked": None if asked.round_over else asked.asked, "rows": _bounded(asked.rows)}
        error = asked.error
        if error is not None:
            changes |= {"hints": asked.hints, "trouble": self._trouble(wait, error)}
            if not asked.regular:
                changes["regular_at"] = wait.regular_at
            if isinstance(error, ThrottledError):
                delay = error.retry_after + random.uniform(0, min(poll.every, 1.0))  # noqa: S311 — jitter, no secret
                extended, deadline = _extended(wait, delay)
                changes |= {"extended": extended, "deadline": iso(deadline)}
                wait = wait.model_copy(update={"deadline": iso(deadline)})
            else:
                # A poll without an answer says nothing about how long the vendor takes: they count by themselves.
                delay = _grown(poll, wait.troubles)
                if isinstance(error, VendorUnavailableError) and not isinstance(error, StrayAnswerError):
                    delay = min(delay, max(poll.every, SOONEST))
                changes["troubles"] = wait.troubles + 1
        else:
            changes |= {"troubles": 0, "refused_at": None, "trouble": None, "hints": asked.hints}
            if not asked.regular and not asked.hints and wait.regular_at:
                delay = (moment(wait.regular_at) - now()).total_seconds()
            elif not asked.round_over:
                delay = 0.0
                changes["regular_at"] = None if asked.regular else wait.regular_at
            else:
                delay = max(_grown(poll, wait.attempts), min(_age(wait) / RARER, RAREST))
                changes["attempts"] = wait.attempts + 1
        left = (moment(wait.deadline) - now()).total_seconds()
        self._waits.postpone(wait, max(0.0, min(delay, left + 0.1)), **changes)

    def _trouble(self, wait: Wait, error: DossierError, *, since: datetime | None = None) -> Trouble | None:
        """Return what to show of an error; whose turn it is not has the trouble that it had."""
        vendor = type(self._desk.vendor_of(self._desk.connection_of(wait.connection).vendor)).__name__
        before = wait.trouble
        found = trouble_of(error, vendor=vendor, at=now(), since=since, before=before)
        if found is None:
            return before
        if isinstance(error, StrayAnswerError) and found.count > 1:
            found = found.model_copy(update={"text": f"{found.text} ({found.count} times)"})
        return found

    def _may_be_rotating(self, wait: Wait, refusal: UnauthorizedError, poll: Poll) -> bool:
        """Postpone a wait whose key is refused, and say so; False once that has lasted too long."""
        since = wait.refused_at or iso(now())
        until = min(moment(since) + REFUSED, moment(wait.deadline))
        if now() >= until:
            return False
        text = f"{refusal}; asking again until {until:%H:%M} UTC: run `dossier secrets set {wait.connection}`"
        trouble = Trouble(kind="key", since=since, text=text)
        left = (moment(wait.deadline) - now()).total_seconds()
        delay = max(0.0, min(_grown(poll, wait.troubles), left + 0.1))
        self._put_off(wait, delay, troubles=wait.troubles + 1, refused_at=since, trouble=trouble)
        return True


def _order(wait: Wait, documents: Sequence[Document]) -> tuple[list[Document], list[Document], bool]:
    """Return the documents to ask for: those that deliveries named, the others if it is time for them, and if it is.

    Deliveries that name nothing of the case are about all of it.
    """
    ids, clock = set(wait.hints), now()
    about = [each for each in documents if ids & {each.document_id, each.job_id}]
    pending = [each for each in documents if each.document_id and not each.finished]
    named = [each for each in pending if each in about]
    regular = not about or wait.regular_at is None or min(moment(wait.regular_at), moment(wait.deadline)) <= clock
    if not regular:
        return named, [], False
    others = [each for each in pending if each not in about]
    return named, [each for each in others if wait.asked is None or each.index > wait.asked], True


def _lasts(rows: dict[str, Row], row: str, error: StrayAnswerError, *, times: int = 0) -> bool:
    """Count a stray answer in its row; return whether it has lasted long enough to be the vendor's verdict."""
    if not error.worded:  # a gateway's may last as long as it likes: it is never about this case
        rows.pop(row, None)
        return False
    before = rows.get(row)
    found = Row(count=before.count + 1 if before else 1, since=before.since if before else iso(now()))
    rows[row] = found
    if times:
        return found.count >= times
    return found.count >= LASTING and now() - moment(found.since) >= LASTS


def _bounded(rows: Mapping[str, Row]) -> dict[str, Row]:
    return dict(list(rows.items())[:ROWS])


def _grown(poll: Poll, tries: int) -> float:
    return min(poll.max, poll.every * GROWTH ** min(tries, 50))


def _age(wait: Wait) -> float:
    return (now() - moment(wait.started_at)).total_seconds()


def _spread(block: Block) -> float:
    """Return how long after the first the others come back: the longer a vendor has failed, the less it matters."""
    lasted = (now() - block.since).total_seconds() if block.since else 0.0
    return random.uniform(0.2, min(60.0, 2.0 + lasted / 10))  # noqa: S311 — jitter, no secret


def _extended(wait: Wait, delay: float) -> tuple[int, datetime]:
    """Return by how much a wait's deadline has moved, and where it is, if a pause of our own takes ``delay`` of it.

    A deadline moves by as long as it was far at first, and by ``MOST_EXTENDED``, at most.
    """
    deadline = moment(wait.deadline)
    length = (deadline - moment(wait.started_at)).total_seconds() - wait.extended
    more = max(0, min(round(delay + 0.5), int(min(MOST_EXTENDED, length)) - wait.extended))
    return wait.extended + more, deadline + timedelta(seconds=more)


def _late(wait: Wait, error: DossierError | None) -> str:
    """Say that a wait's deadline has passed."""
    lasted = (moment(wait.deadline) - moment(wait.started_at)).total_seconds() - wait.extended
    last = f"; last: {error}" if error is not None else ""
    return f"the vendor {LATE} {lasted:g} s (poll.deadline){last}"
