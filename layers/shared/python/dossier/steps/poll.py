"""Poll: ask the vendor about a waiting case, then answer its task token or set the time of the next poll.

A round polls every unfinished document, or reads a list as far as needed. If it takes longer than ``BUDGET``, the next
poll continues it. Results are stored as they arrive.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dossier import schedule
from dossier.errors import (
    PAUSE_LOOK,
    CaseFailedError,
    DossierError,
    StrayAnswerError,
    ThrottledError,
    UnauthorizedError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.models import CaseId, Document, iso, now
from dossier.ports import DocumentState, Found, Progress, updated
from dossier.result import LATE
from dossier.settings import Connection, Poll
from dossier.steps.context import Context, LoadedCase
from dossier.steps.hold import COLLECT, PAUSED, POLLS, is_late, later
from dossier.stores.limiter import Block, Hold, Standing
from dossier.stores.waits import MOST_EXTENDED, Row, Wait
from dossier.troubles import Trouble, trouble_of

AT_ONCE = 100
"""Most waits that one bulk poll serves."""
LONG = 10.0
"""Seconds after which a bulk poll may have been killed. Then the messages that come back until its lease ends are noted
in their waits, so that they do not multiply: each time, SQS may deliver some twice."""
SOON = timedelta(seconds=3)
BUDGET = timedelta(seconds=20)
"""How long a poll sends requests. Together with the longest request it stays within the function's time."""
TROUBLES = 3
"""After so many failed documents a poll leaves the others to the next poll."""
REFUSED = timedelta(minutes=10)
"""How long the vendor may reject the API key of a waiting case, because a person may be rotating it."""
LASTING, LASTS = 10, timedelta(minutes=10)
"""A stray answer in the vendor's form, such as a 404, counts as a rejection if it comes this often and this long."""
SOONEST = 15.0
"""Longest interval, in seconds, at which a failing vendor is polled (or ``poll.every``, if that is longer), so that
cases continue soon after it recovers. If many cases wait, its breaker is open."""
MISSES = 3
"""Polls after which a case that Dossier did not submit, and that the vendor does not list, counts as missing."""
LOW_PATIENCE = 0.5
"""Seconds that a poll of low priority waits for its turn: few polls run at once, and the others need the functions."""
ROWS = 50
"""Most rows of stray answers that a wait stores."""


@dataclass(slots=True)
class Asked:
    """The outcome of a poll for one wait."""

    finished: bool = False
    error: DossierError | None = None
    """The error that ended it, if any."""
    asked: int | None = None
    """How far an unfinished round has come."""
    round_over: bool = True
    regular: bool = True
    """Whether this was a regular poll of everything, and not only of hinted ids."""
    hints: tuple[str, ...] = ()
    """Hints that could not be polled."""
    behind: bool = False
    """Whether a document that a delivery named is not finished."""
    rows: dict[str, Row] = field(default_factory=dict)
    unknown: int = 0
    """How many statuses the vendor's guide does not name."""


def serve(message: Mapping[str, Any], *, context: Context) -> None:
    """Serve a message of the poll queue: a poll, or the end of a pause for a held step."""
    case = CaseId(message["connection"], message["reference"])
    if "held" in message:
        resume(case, message["held"], context=context)
    else:
        poll(case, message["seq"], context=context)


def poll(case: CaseId, seq: int, *, context: Context) -> None:
    """Serve one poll message; a stale one, whose ``seq`` is not the wait's, does nothing."""
    wait = context.waits.find(case)
    if wait is None or wait.seq != seq:
        return
    early = (wait.next_at - now()).total_seconds()
    if early > 1:
        _put_off(wait, early, context)
        return
    settings = context.connection_of(case.connection)
    standing = context.limiter.standing(settings)
    wait = later(wait, standing)
    if standing.hold is not None:
        _hold(wait, standing.hold, context)
        return
    block = context.limiter.block(settings) if standing.block else None
    if block and _sit_out(wait, block, context):
        return
    vendor = context.vendor_of(settings)
    if wait.priority == "low":
        context = context.replacing(transport=context.transport.behind(patience=LOW_PATIENCE))
    if vendor.bulk_poll and wait.phase == "results":
        _bulk(wait, standing, settings, context)
    else:
        _serve([wait], settings, context)


def _bulk(wait: Wait, standing: Standing, settings: Connection, context: Context) -> None:
    """Serve a wait together with those that are due, unless another poll of its kind runs, which may serve it.

    Then its message comes back: soon at first, so that it hardly waits if the other poll does not serve it.
    """
    kind = _kind(wait)
    ran = standing.bulk.get(kind)
    if ran is None:
        served = [later(each, standing) for each in _due(wait, context)]
        if len(served) == 1:
            _serve(served, settings, context)
            return
        with context.limiter.bulk(wait.connection, kind) as alone:
            if alone:
                _serve(served, settings, context)
                return
    ran = ran or 0.0
    context.waits.requeue(wait, min(max(1.0, ran / 2), 10.0), once=ran >= LONG)


def _serve(waits: Sequence[Wait], settings: Connection, context: Context) -> None:
    unknown = 0
    for each, outcome in _ask(waits, context):
        unknown += outcome.unknown
        _decide(each, outcome, settings.poll, context)
    if unknown:
        context.count("UnknownStatuses", unknown, connection=settings.name)


def resume(case: CaseId, name: str, *, context: Context) -> None:
    """Resume a held step, unless its connection is still paused: then the end of the pause sends another message.

    A state that waits goes on waiting, unless its deadline has passed: then what can be collected is collected.
    """
    step = context.waits.held_step(case, name)
    if step is None:
        return
    standing = context.limiter.standing(context.connection_of(case.connection))
    if standing.hold is not None:
        return
    goes_to = step.what
    if step.what in POLLS:
        goes_to = COLLECT if is_late(context.waits.find(case), standing) else step.what
    context.executions.succeed(step.token, {"to": goes_to})
    context.waits.end_step(step)


def _hold(wait: Wait, hold: Hold, context: Context) -> None:
    """Put off a wait of a paused connection; ``dossier resume`` moves it to now."""
    trouble = Trouble(kind=f"{PAUSED} {iso(hold.since)}", since=hold.since, text=hold.text(wait.connection, now()))
    delay = PAUSE_LOOK * random.uniform(0.8, 1)  # noqa: S311 — jitter, no secret
    _put_off(wait, delay, context, trouble=trouble, refused_at=None)


def _sit_out(wait: Wait, block: Block, context: Context) -> bool:
    """Put off a wait until the vendor may be called again; return False once its deadline has passed."""
    delay = block.seconds
    if not block.first:  # the longer the vendor has failed, the longer the others may take to come back
        lasted = (now() - block.since).total_seconds() if block.since else 0.0
        delay += random.uniform(0.2, min(60.0, 2.0 + lasted / 10))  # noqa: S311 — jitter, no secret
    extended, deadline = _extended(wait, delay)
    if deadline <= now():
        return False
    error: DossierError = ThrottledError("", retry_after=block.seconds, why=block.why)
    if block.why == "breaker" and block.failure:
        error = VendorUnavailableError("", unreachable=block.failure)
    trouble = _trouble(wait, error, context, since=block.since)
    _put_off(wait, delay, context, deadline=deadline, extended=extended, trouble=trouble)
    return True


def _put_off(wait: Wait, delay: float, context: Context, **changes: Any) -> None:
    """Postpone a wait without a poll; its hints stay."""
    kept = {"hints": wait.hints, "regular_at": wait.regular_at, "trouble": wait.trouble}
    context.waits.postpone(wait, delay, **{**kept, **changes})


def _kind(wait: Wait) -> str:
    """Return which waits a bulk poll serves together.

    A wait that continues in the middle of a list is only served with others that do, and one of low priority only with
    its like: a thousand of them would delay the answer to another one.
    """
    return f"{wait.priority or 'normal'}_{'all' if wait.asked is None else 'rest'}"


def _due(wait: Wait, context: Context) -> list[Wait]:
    """Return the message's wait, and the connection's other waits of its kind that are due."""
    due = [wait]
    for each in context.waits.due(wait.connection, now() + SOON):
        if each.phase == "results" and _kind(each) == _kind(wait) and each.reference != wait.reference:
            due.append(each)
        if len(due) == AT_ONCE:
            break
    return due


def _ask(waits: Sequence[Wait], context: Context) -> list[tuple[Wait, Asked]]:
    cases: list[tuple[Wait, LoadedCase]] = []
    failed: list[tuple[Wait, Asked]] = []
    for wait in waits:
        try:
            cases.append((wait, context.load(wait.id)))
        except CaseFailedError as error:
            failed.append((wait, Asked(error=error)))
    if not cases:
        return failed
    until = now() + BUDGET
    if waits[0].phase == "documents":
        return [*failed, *((wait, _documents(loaded, wait, until)) for wait, loaded in cases)]
    return [*failed, *zip([wait for wait, _ in cases], _results(cases, until), strict=True)]


def _documents(loaded: LoadedCase, wait: Wait, until: datetime) -> Asked:
    """Poll each document by itself, and store each state before the next request.

    Hinted documents come first, then (in a regular poll) the others, from where the last poll stopped.
    """
    left = {each.index: each for each in loaded.case.documents if each.document_id and not each.finished}
    named, rest, regular = _order(wait, loaded.case.documents)
    asked = Asked(rows=dict(wait.rows), asked=wait.asked, regular=regular)
    troubles, done, noted = 0, 0, 0
    for document in [*named, *rest]:
        if done and now() >= until:
            break
        try:
            state = _state(loaded, document, asked)
        except DossierError as error:
            asked.error = error
            if isinstance(error, ThrottledError) or not error.polled_again:
                break
            troubles, state = troubles + 1, None
        done += 1
        if document in rest:
            asked.asked = document.index
        if state is not None and (changed := updated(document, state)) != document:
            loaded.context.cases.note_documents(wait.id, [changed])
            noted += 1
        if state is not None and state.finished:
            del left[document.index]
        if troubles == TROUBLES:
            break
    _note_progress(loaded, len(left), noted)
    unasked = {each.index for each in rest[max(0, done - len(named)) :]}
    asked.round_over = regular and not unasked
    asked.finished = not left
    asked.behind = any(each.index in left for each in named)
    unserved = {each.index for each in named[done:]} | ({each.index for each in named} if asked.error else set())
    asked.hints = wait.hints if unserved & left.keys() else ()
    return asked


def _state(loaded: LoadedCase, document: Document, asked: Asked) -> DocumentState | None:
    """Poll a document; a rejection of it fails the document, not the case."""
    rows, row, document_id = asked.rows, str(document.index), document.document_id or ""
    try:
        answer = loaded.run(loaded.vendor.poll_documents(loaded.view, [document_id]))
    except VendorRejectedError as error:
        rows.pop(row, None)
        return DocumentState(status=document.status or "", finished=True, failed=True, error=str(error))
    except StrayAnswerError as error:
        if not _lasts(rows, row, error):
            raise
        since = rows.pop(row).since
        text = f"{error}; the same answer since {since:%Y-%m-%d %H:%M} UTC"
        return DocumentState(status=document.status or "", finished=True, failed=True, error=text)
    rows.pop(row, None)
    asked.unknown += len(answer.unknown)
    return answer.documents.get(document_id)


def _results(cases: Sequence[tuple[Wait, LoadedCase]], until: datetime) -> list[Asked]:
    first = cases[0][1]
    views = [loaded.view for _, loaded in cases]
    try:
        if first.vendor.bulk_poll:
            start = min(each.asked or 0 for each, _ in cases)
            found = first.run(first.vendor.poll_results(views, start=start, spent=lambda: now() >= until))
        else:
            found = first.run(first.vendor.poll_results(views))
    except DossierError as error:
        return [_troubled(each, loaded, error) for each, loaded in cases]
    rest = found.rest if isinstance(found, Found) else None
    return [_result(each, loaded, found, rest) for each, loaded in cases]


def _result(wait: Wait, loaded: LoadedCase, found: Mapping[str, Progress], rest: int | None) -> Asked:
    progress = found.get(loaded.case.record.case_id or "")
    if progress is not None:
        changed = [
            state
            for each in loaded.case.documents
            if each.document_id
            and each.document_id in progress.documents
            and (state := updated(each, progress.documents[each.document_id])) != each
        ]
        loaded.context.cases.note_documents(wait.id, changed)
        return Asked(finished=progress.finished, unknown=len(progress.unknown))
    if rest is not None:
        return Asked(asked=rest, round_over=False)
    if not loaded.case.documents and wait.attempts + 1 >= MISSES:
        case_id = loaded.case.record.case_id
        return Asked(error=CaseFailedError(f"{loaded.vendor.name} has no case {case_id}: check the case_id"))
    return Asked()


def _troubled(wait: Wait, loaded: LoadedCase, error: DossierError) -> Asked:
    """Return the outcome of a failed poll for results."""
    asked = Asked(error=error, rows=dict(wait.rows), asked=wait.asked, round_over=wait.asked is None)
    if loaded.vendor.bulk_poll:  # an answer about the account's list does not decide about a single case
        if isinstance(error, VendorRejectedError):
            asked.error = StrayAnswerError(str(error), status=error.status or 0, worded=False)
        return asked
    if not isinstance(error, StrayAnswerError):
        return asked
    times = MISSES if not loaded.case.documents and error.status == 404 else 0  # the caller's case_id may be wrong
    if _lasts(asked.rows, "case", error, times=times):
        asked.error = VendorRejectedError(str(error), status=error.status)
    return asked


def _note_progress(loaded: LoadedCase, left: int, noted: int) -> None:
    """Store how many documents are read, if that has changed."""
    record, count = loaded.case.record, len(loaded.case.documents)
    done = sum(each.finished for each in loaded.case.documents)
    now_done = sum(1 for each in loaded.case.documents if each.finished or each.document_id) - left
    if noted and count > 1 and (now_done != done or loaded.case.record.note is None):
        loaded.context.cases.change(record.id, note=f"{now_done} of {count} documents read")


def _decide(wait: Wait, asked: Asked, poll: Poll, context: Context) -> None:
    error = asked.error
    if asked.finished:
        context.executions.succeed(wait.token, {"phase": wait.phase})
        if context.waits.end(wait):
            _learn(wait, context, finished=True)
        return
    if isinstance(error, UnauthorizedError) and _may_be_rotating(wait, error, poll, context):
        return
    late = now() >= wait.deadline
    retry = error is None or error.polled_again
    more = not asked.round_over and error is None
    if retry and (not late or (more and now() < wait.deadline + LASTS)):
        _go_on(wait, asked, poll, context)
        return
    if error is not None and not retry:
        context.executions.fail(wait.token, error)
    else:  # at the deadline, the existing results are collected
        lasted = (wait.deadline - wait.started_at).total_seconds() - wait.extended - wait.held
        last = f"; last: {error}" if error is not None else ""
        late_by = f"the vendor {LATE} {lasted:g} s (poll.deadline){last}"
        context.cases.change(wait.id, late=late_by)
        context.executions.succeed(wait.token, {"phase": wait.phase, "late": True})
    if context.waits.end(wait) and (error is None or retry):
        _learn(wait, context, finished=False)


def _learn(wait: Wait, context: Context, *, finished: bool) -> None:
    """Store how long the vendor took, or that it took longer: the last step of a wait, whose loss costs nothing."""
    if wait.kind is None:
        return
    seen, woken = wait.seen_at or wait.started_at, wait.woken_at
    delivered = finished and woken is not None and woken >= seen
    ended = woken if woken is not None and delivered else now()
    after, by = (max(0.0, (at - wait.started_at).total_seconds()) for at in (seen, ended))
    if finished or wait.seen_at is not None:
        context.timings.note(wait.connection, wait.kind, schedule.Span(after, by if finished else None, delivered))


def _go_on(wait: Wait, asked: Asked, poll: Poll, context: Context) -> None:
    """Set the time of the next poll, and what it polls."""
    rows = dict(list(asked.rows.items())[:ROWS])
    changes: dict[str, Any] = {"asked": None if asked.round_over else asked.asked, "rows": rows}
    error = asked.error
    if error is not None:
        changes |= {"hints": asked.hints, "trouble": _trouble(wait, error, context)}
        if not asked.regular:
            changes["regular_at"] = wait.regular_at
        if isinstance(error, ThrottledError):
            delay = error.retry_after + random.uniform(0, min(poll.every, 1.0))  # noqa: S311 — jitter, no secret
            extended, deadline = _extended(wait, delay)
            changes |= {"extended": extended, "deadline": deadline}
            wait = wait.model_copy(update={"deadline": deadline})
        else:
            # A poll without an answer says nothing about the vendor's processing time, so it is counted separately.
            delay = schedule.grown(poll, wait.troubles)
            if isinstance(error, VendorUnavailableError) and not isinstance(error, StrayAnswerError):
                delay = min(delay, max(poll.every, SOONEST))
            changes["troubles"] = wait.troubles + 1
    else:
        changes |= {"troubles": 0, "refused_at": None, "trouble": None, "hints": asked.hints, "seen_at": now()}
        if not asked.regular and not asked.hints and wait.regular_at:
            delay = (wait.regular_at - now()).total_seconds()
            woken, seen = wait.woken_at, wait.seen_at
            if asked.behind and delay > poll.every and woken and (seen is None or woken >= seen):
                # The vendor's answer may be a moment behind its delivery: the same documents are polled once more.
                delay = poll.every
                changes |= {"hints": wait.hints, "regular_at": wait.regular_at}
        elif not asked.round_over:
            delay = 0.0
            changes["regular_at"] = None if asked.regular else wait.regular_at
        else:
            age = (now() - wait.started_at).total_seconds()
            delay = schedule.interval(age, wait.attempts, wait.plan, poll, called=bool(wait.called))
            changes["attempts"] = wait.attempts + 1
    left = (wait.deadline - now()).total_seconds()
    context.waits.postpone(wait, max(0.0, min(delay, left + 0.1)), **changes)


def _trouble(wait: Wait, error: DossierError, context: Context, *, since: datetime | None = None) -> Trouble | None:
    """Return the trouble to show for an error; a wait for a turn keeps its earlier trouble."""
    vendor = type(context.vendor_of(context.connection_of(wait.connection))).__name__
    before = wait.trouble
    found = trouble_of(error, vendor=vendor, at=now(), since=since, before=before)
    if found is None:
        return before
    if isinstance(error, StrayAnswerError) and found.count > 1:
        found = found.model_copy(update={"text": f"{found.text} ({found.count} times)"})
    return found


def _may_be_rotating(wait: Wait, refusal: UnauthorizedError, poll: Poll, context: Context) -> bool:
    """Postpone a wait whose API key is rejected, and show that; return False once it has lasted too long."""
    since = wait.refused_at or now()
    until = min(since + REFUSED, wait.deadline)
    if now() >= until:
        return False
    text = f"{refusal}; retrying until {until:%H:%M} UTC: run `dossier secrets set {wait.connection}`"
    trouble = Trouble(kind="key", since=since, text=text)
    left = (wait.deadline - now()).total_seconds()
    delay = max(0.0, min(schedule.grown(poll, wait.troubles), left + 0.1))
    _put_off(wait, delay, context, troubles=wait.troubles + 1, refused_at=since, trouble=trouble)
    return True


def _order(wait: Wait, documents: Sequence[Document]) -> tuple[list[Document], list[Document], bool]:
    """Return the hinted documents, the others to poll, and whether this is a regular poll.

    Hints that match no document of the case make it a regular poll.
    """
    ids, clock = set(wait.hints), now()
    about = [each for each in documents if ids & {each.document_id, each.job_id}]
    pending = [each for each in documents if each.document_id and not each.finished]
    named = [each for each in pending if each in about]
    regular = not about or wait.regular_at is None or min(wait.regular_at, wait.deadline) <= clock
    if not regular:
        return named, [], False
    others = [each for each in pending if each not in about]
    return named, [each for each in others if wait.asked is None or each.index > wait.asked], True


def _lasts(rows: dict[str, Row], row: str, error: StrayAnswerError, *, times: int = 0) -> bool:
    """Count a stray answer in its row; return whether it has lasted long enough to count as a rejection."""
    if not error.worded:  # a gateway's answer never counts as a rejection
        rows.pop(row, None)
        return False
    before = rows.get(row)
    found = Row(count=before.count + 1 if before else 1, since=before.since if before else now())
    rows[row] = found
    if times:
        return found.count >= times
    return found.count >= LASTING and now() - found.since >= LASTS


def _extended(wait: Wait, delay: float) -> tuple[int, datetime]:
    """Return a wait's total extension and new deadline, if our own pause takes ``delay`` seconds.

    A deadline moves by at most its original length, and at most ``MOST_EXTENDED``.
    """
    deadline = wait.deadline
    length = (deadline - wait.started_at).total_seconds() - wait.extended - wait.held
    more = max(0, min(round(delay + 0.5), int(min(MOST_EXTENDED, length)) - wait.extended))
    return wait.extended + more, deadline + timedelta(seconds=more)
