"""Poll: asks the vendor how a waiting case stands; answers its task token, or says when to ask next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dossier.errors import (
    CaseFailedError,
    DeadlinePassedError,
    DossierError,
    MalformedAnswerError,
    RetryableError,
    StrayAnswerError,
    ThrottledError,
    UnauthorizedError,
    VendorRejectedError,
)
from dossier.models import Document, iso, moment, now
from dossier.ports import DocumentState, Progress, Vendor
from dossier.settings import Poll
from dossier.steps.work import Desk, Job
from dossier.stores.executions import Executions
from dossier.stores.waits import Wait, Waits

GROWTH = 1.5
"""By how much each interval is longer than the one before, up to ``poll.max``."""
AT_ONCE = 100
"""Waits that one bulk poll serves at most."""
SOON = timedelta(seconds=2)
TROUBLES = 3
"""Documents that a poll cannot ask for after which it leaves the others to the next poll."""
REFUSED = timedelta(minutes=10)
"""How long a vendor may refuse the key of a case that waits: between its new key and ours lie some clicks."""
MISSES = 3
"""Polls after which a case that Dossier did not submit, and the vendor does not list, counts as not existing."""


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
        if early > 1:  # a delay longer than SQS can hold: not its time yet
            self._waits.postpone(wait, early)
            return
        pause = self._desk.limiter.paused_for(connection)
        if pause and moment(wait.deadline) > now():
            self._waits.postpone(wait, pause)
            return
        settings = self._desk.connection_of(connection)
        vendor = self._desk.vendor_of(settings.vendor)
        for each, outcome in self._ask(self._served(wait, vendor)):
            self._decide(each, outcome, settings.poll)

    def _served(self, wait: Wait, vendor: Vendor) -> list[Wait]:
        """Return the wait of the message, and for a vendor with bulk polls every other wait that is (almost) due."""
        if not (vendor.bulk_poll and wait.phase == "results"):
            return [wait]
        others = [
            each
            for each in self._waits.due(wait.connection, now() + SOON)
            if each.reference != wait.reference and each.phase == "results"
        ]
        return [wait, *others[: AT_ONCE - 1]]

    def _ask(self, waits: Sequence[Wait]) -> list[tuple[Wait, Progress | DossierError]]:
        jobs: list[tuple[Wait, Job]] = []
        failed: list[tuple[Wait, Progress | DossierError]] = []
        for wait in waits:
            try:
                jobs.append((wait, self._desk.load(wait.connection, wait.reference)))
            except CaseFailedError as error:
                failed.append((wait, error))
        if not jobs:
            return failed
        try:
            if waits[0].phase == "documents":
                answers: Sequence[Progress | DossierError] = [self._documents(job) for _, job in jobs]
            else:
                answers = self._results([job for _, job in jobs], [wait for wait, _ in jobs])
        except DossierError as error:
            return [*failed, *((wait, error) for wait, _ in jobs)]
        return [*failed, *((wait, answer) for (wait, _), answer in zip(jobs, answers, strict=True))]

    def _documents(self, job: Job) -> Progress:
        """Ask for each document by itself: what is known of one is kept, whatever becomes of asking for the next."""
        pending = [each.document_id for each in job.case.documents if each.document_id and not each.finished]
        states: dict[str, DocumentState] = {}
        unknown: list[str] = []
        troubles: list[RetryableError | MalformedAnswerError] = []
        for document_id in pending:
            try:
                answer = job.run(job.vendor.poll_documents(job.view, [document_id]))
            except (RetryableError, MalformedAnswerError) as error:
                troubles.append(error)
                if isinstance(error, ThrottledError) or len(troubles) == TROUBLES:
                    break
                continue
            states |= answer.documents
            unknown += answer.unknown
        finished = not troubles and all(each.finished for each in states.values())
        progress = Progress(finished=finished, documents=states, unknown=tuple(dict.fromkeys(unknown)))
        self._note(job, progress)
        if troubles:
            raise troubles[-1]
        return progress

    def _results(self, jobs: Sequence[Job], waits: Sequence[Wait]) -> list[Progress | DossierError]:
        first = jobs[0]
        flow = first.vendor.poll_results([job.view for job in jobs])
        try:
            found: Mapping[str, Progress] = first.run(flow)
        except VendorRejectedError as error:
            if not first.vendor.bulk_poll:
                raise
            # An answer about every case of the account is no verdict about any one of them.
            raise StrayAnswerError(str(error), status=error.status, worded=False) from error
        answers: list[Progress | DossierError] = []
        for job, wait in zip(jobs, waits, strict=True):
            record = job.case.record
            progress = found.get(record.case_id or "")
            if progress is not None:
                self._note(job, progress)
                answers.append(progress)
            elif not job.case.documents and wait.attempts + 1 >= MISSES:
                answers.append(CaseFailedError(f"{job.vendor.name} has no case {record.case_id}: check the case_id"))
            else:
                answers.append(Progress(finished=False))
        return answers

    def _note(self, job: Job, progress: Progress) -> None:
        """Write down how the documents stand, where that changed."""
        self.unknown += progress.unknown
        changed = [
            _changed(document, progress.documents[document.document_id])
            for document in job.case.documents
            if document.document_id and document.document_id in progress.documents
        ]
        record = job.case.record
        known = {document.index: document for document in job.case.documents}
        changed = [document for document in changed if document != known[document.index]]
        self._desk.cases.put_documents(record.connection, record.reference, changed, fresh=False)
        if changed and len(job.case.documents) > 1:
            done = sum(each.finished for each in {**known, **{each.index: each for each in changed}}.values())
            note = f"{done} of {len(job.case.documents)} documents read"
            self._desk.cases.change(record.connection, record.reference, note=note)

    def _decide(self, wait: Wait, outcome: Progress | DossierError, poll: Poll) -> None:
        if isinstance(outcome, Progress) and outcome.finished:
            self._executions.succeed(wait.token, {"phase": wait.phase})
            self._waits.end(wait)
            return
        if isinstance(outcome, UnauthorizedError) and self._may_be_rotating(wait, outcome, poll):
            return
        if wait.refused_at and isinstance(outcome, Progress):
            self._desk.cases.change(wait.connection, wait.reference, note=None)
        retry = isinstance(outcome, Progress | RetryableError | MalformedAnswerError)
        if retry and now() < moment(wait.deadline):
            answered = isinstance(outcome, Progress)
            self._waits.postpone(wait, self._delay(wait, outcome, poll), answered=answered)
            return
        error = outcome if isinstance(outcome, DossierError) and not retry else _late(wait, outcome)
        self._executions.fail(wait.token, error)
        self._waits.end(wait)

    def _may_be_rotating(self, wait: Wait, refusal: UnauthorizedError, poll: Poll) -> bool:
        """Postpone a wait whose key is refused, and say so; False once that has lasted too long."""
        since = wait.refused_at or iso(now())
        until = min(moment(since) + REFUSED, moment(wait.deadline))
        if now() >= until:
            return False
        note = f"{refusal}; asking again until {until:%H:%M} UTC: run `dossier secrets set {wait.connection}`"
        self._desk.cases.change(wait.connection, wait.reference, note=note)
        self._waits.postpone(wait, self._delay(wait, refusal, poll), answered=False, refused_at=since)
        return True

    def _delay(self, wait: Wait, outcome: Progress | DossierError, poll: Poll) -> float:
        # A poll without an answer says nothing about how long the vendor takes: such polls are counted by themselves.
        tries = wait.attempts if isinstance(outcome, Progress) else wait.troubles
        delay = min(poll.max, poll.every * GROWTH ** min(tries, 50))
        if isinstance(outcome, ThrottledError):
            delay = max(delay, outcome.retry_after)
        left = (moment(wait.deadline) - now()).total_seconds()
        return max(0.0, min(delay, left + 0.1))


def _changed(document: Document, state: DocumentState) -> Document:
    changes = {
        "status": state.status,
        "progress": state.progress,
        "fields_extracted": state.fields_extracted if state.fields_extracted is not None else document.fields_extracted,
        "finished": state.finished,
        "failed": state.failed,
        "error": state.error,
    }
    return document.model_copy(update=changes)


def _late(wait: Wait, outcome: Progress | DossierError) -> DeadlinePassedError:
    lasted = (moment(wait.deadline) - moment(wait.started_at)).total_seconds()
    last = f"; last: {outcome}" if isinstance(outcome, DossierError) else ""
    return DeadlinePassedError(f"the vendor did not finish within {lasted:g} s (poll.deadline){last}")
