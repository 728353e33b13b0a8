"""Refresh: collect an ended case again after changes at the vendor (``docs/architecture.md``, "After the end")."""

from __future__ import annotations

from datetime import datetime, timedelta

from dossier import traces
from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseStatus, now
from dossier.steps.context import OVER, Context
from dossier.steps.identity import refresh_name
from dossier.steps.reasons import reason_of
from dossier.stores.cases import Case, Refresh

FIRST_LOOK = timedelta(hours=1)
"""Time from a refresh that failed or found something unfinished to the next one; it doubles each time."""
MOST_LOOKS = 10
"""Unsuccessful refreshes in a row (over six weeks), after which only a request starts another one."""


def ask(case: CaseId, *, context: Context, insist: bool = False) -> bool:
    """Request a refresh of a case; return False if the case cannot be refreshed.

    If the case has not ended, its own execution collects it, and starts a refresh if it has already begun to collect.

    Args:
        case: its name.
        context: the collaborators.
        insist: an operator requests it, which includes a cancelled case.

    """
    refresh = context.refreshes.ask(case)
    stored = context.cases.find(case)
    if stored is None or not (pending(stored) or refreshable(stored, insist=insist)):
        if stored is None or stored.record.status.final:
            context.refreshes.leave(case)
        return False
    start(case, refresh, context=context)
    return True


def start(case: CaseId, refresh: Refresh, *, context: Context) -> str:
    """Start the next refresh of a case, unless it runs; return its execution's ARN."""
    number = refresh.number + 1
    trace = context.cases.record(case).trace if traces.linked() else None
    return context.executions.start(refresh_name(case, number), {**case._asdict(), "refresh": number}, trace=trace)


def pending(case: Case) -> bool:
    """Whether a committed publication is not finished, so that the next execution has to continue it."""
    return case.record.committed is not None


def refreshable(case: Case, *, insist: bool = False) -> bool:
    """Whether a case has ended, and the vendor has all of its documents.

    ``dossier redrive`` handles a case whose upload broke off: if it was collected, half of it would count as complete.
    A cancelled case is only refreshed if an operator insists.
    """
    record = case.record
    if (
        not record.status.final
        or record.refused
        or record.expired_at
        or (record.status is CaseStatus.CANCELLED and not insist)
    ):
        return False
    sent = all(each.document_id or each.finished for each in case.documents)
    return sent and bool(case.documents or record.case_id)


def begin(case: CaseId, number: int, execution_arn: str, *, context: Context) -> Case | None:
    """Begin a refresh in an execution; return the case, or None if there is nothing to do.

    Raises:
        InvalidCaseError: there is no such case.

    """
    stored, refreshes = context.cases.get(case), context.refreshes
    if not pending(stored) and not stored.record.status.final:  # it went back to work, and collects by itself
        refreshes.end(case, number, refreshes.find(case), error=None, look_at=None, looks=0)
        return None
    if not (pending(stored) or refreshable(stored, insist=True)):
        raise InvalidCaseError(f"case {case.reference} is {stored.record.status.value}: it cannot be collected again")
    return stored if refreshes.begin(case, number, execution_arn) else None


def end(
    case: CaseId,
    number: int,
    *,
    context: Context,
    error: str | None = None,
    unfinished: bool = False,
    progress: bool = False,
) -> None:
    """End a refresh, or an execution of the case itself (number 0); start the next one if it was requested meanwhile.

    It may be repeated: then it only starts a refresh that is not started yet. A refresh that failed before it collected
    anything starts none, because the next would fail for the same reason at once.

    Args:
        case: its name.
        number: the refresh's.
        context: the collaborators.
        error: why it failed.
        unfinished: whether a part of the case is not done; then another refresh follows in any case.
        progress: whether something was new: then the intervals start again with the first.

    """
    before = context.refreshes.find(case)
    looks, look_at = _next_look(before, error=error, unfinished=unfinished, progress=progress)
    refresh = context.refreshes.end(case, number, before, error=error, look_at=look_at, looks=looks)
    if not refresh.wanted or refresh.execution_arn:
        return
    stored = context.cases.find(case)
    began = stored is not None and stored.collection.id.removesuffix(OVER) == f"{REFRESH}{number}"
    if stored is None or (error is not None and number and not began):
        return
    if pending(stored) or refreshable(stored):
        start(case, refresh, context=context)


def _next_look(before: Refresh, *, error: str | None, unfinished: bool, progress: bool) -> tuple[int, datetime | None]:
    """Return the number of looks in a row including the next one, and its time; None for no more.

    A requested collection before the next look is due does not postpone it.
    """
    if error is None and not unfinished:
        return 0, None
    fresh = progress or (error is not None and before.error is None)
    if not fresh and before.look_at and before.look_at > now():
        return before.looks, before.look_at
    looks = 0 if fresh else before.looks
    return (looks + 1, now() + FIRST_LOOK * 2**looks) if looks < MOST_LOOKS else (0, None)


def fail(case: CaseId, number: int, execution_arn: str, reason: str, *, context: Context) -> None:
    """End a refresh that failed: its case is unchanged, and collected again later."""
    if context.cases.find_record(case) is None:
        return  # its records were removed meanwhile
    running = context.refreshes.find(case)
    mine = running.execution_arn in {None, execution_arn}  # None if the execution died before Accept
    if mine and running.number == number - 1:
        context.count("RefreshesFailed", connection=case.connection)
    if mine or running.number >= number:
        end(case, number, context=context, error=reason)


def heal(refresh: Refresh, *, context: Context, ended_by: datetime) -> str | None:
    """Continue a refresh that no execution works on; return a line for the log, or None if nothing was done.

    If its execution ended by ``ended_by`` without a record, the refresh is ended. If it was requested but never
    started, it is started.
    """
    number = refresh.number + 1
    name = refresh_name(refresh.id, number)
    arn = refresh.execution_arn or context.executions.arn_of(name)
    execution = context.executions.describe(arn)
    if execution is not None and execution.status == "RUNNING":
        return None
    if execution is None and refresh.execution_arn is None:
        case = (
            context.cases.find(refresh.id) if refresh.wanted and not refresh.error else None
        )  # otherwise its next look is not due yet
        if case is None or not (pending(case) or refreshable(case)):
            return None
        start(refresh.id, refresh, context=context)
        return f"case {refresh.id[1]} at {refresh.id[0]}: a requested refresh had not started; it is started now"
    if execution is not None and execution.stopped_at is not None and execution.stopped_at > ended_by:
        return None
    if execution is not None and execution.status == "SUCCEEDED" and not refresh.execution_arn:
        return _skipped(refresh, context=context)
    reason = reason_of(execution.cause) if execution and execution.cause else ""
    reason = reason or f"its execution ended as {execution.status if execution else 'unknown'}"
    fail(refresh.id, number, arn, reason, context=context)
    return f"case {refresh.id[1]} at {refresh.id[0]}: its refresh ended: {reason}"


def _skipped(refresh: Refresh, *, context: Context) -> str | None:
    """Start a refresh under the next number if an execution of a former case has the name of its own number.

    That case's records have expired, but AWS reserves the names of executions for 90 days.
    """
    case, number = refresh.id, refresh.number + 1
    by_now = context.refreshes.find(case)
    if by_now.number != refresh.number or by_now.execution_arn or not by_now.wanted:
        return None
    end(case, number, context=context)
    return f"case {case[1]} at {case[0]} was to be collected again under a name that is taken"


def number_of(collection: str) -> int:
    """Return the number of a collection's refresh; 0 if the collection is not a refresh."""
    return int(collection[1:]) if collection.startswith(REFRESH) and collection[1:].isdecimal() else 0


REFRESH, RESUMED = "u", "r"
"""First letter of a later collection's name: of a refresh, and of a redriven case."""
