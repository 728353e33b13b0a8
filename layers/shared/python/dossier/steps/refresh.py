"""Refresh: collect an ended case again, as the vendor's case goes on (``docs/architecture.md``, "After the end")."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from dossier.errors import InvalidCaseError
from dossier.models import CaseStatus, moment, now, refresh_name
from dossier.steps.reasons import reason_of
from dossier.steps.work import OVER, Desk
from dossier.stores.cases import Case, Cases, Refresh
from dossier.stores.executions import Executions
from dossier.stores.refreshes import Refreshes

FIRST_LOOK = timedelta(hours=1)
"""Time from a refresh that failed or found something unfinished to the next one; it doubles each time."""
MOST_LOOKS = 10
"""Unsuccessful refreshes in a row (over six weeks), after which only a request starts another one."""


class Starts(Protocol):
    """Starts executions (``stores.executions``)."""

    def start(self, name: str, case: dict[str, object]) -> str:
        """Start an execution, unless one of that name exists; return its ARN."""


def ask(connection: str, reference: str, *, desk: Desk, executions: Starts, insist: bool = False) -> bool:
    """Request a refresh of a case; return False if the case cannot be refreshed.

    If the case has not ended, its own execution collects it, and starts a refresh if it has already begun to collect.

    Args:
        connection: the case's.
        reference: the case's.
        desk: cases and refreshes.
        executions: starts the refresh.
        insist: an operator requests it, which includes a cancelled case.

    """
    refresh = desk.refreshes.ask(connection, reference)
    case = desk.cases.find(connection, reference)
    if case is None or not (pending(case) or refreshable(case, insist=insist)):
        if case is None or case.record.status.final:
            desk.refreshes.leave(connection, reference)
        return False
    start(connection, reference, refresh, executions=executions)
    return True


def start(connection: str, reference: str, refresh: Refresh, *, executions: Starts) -> str:
    """Start the next refresh of a case, unless it runs; return its execution's ARN."""
    number = refresh.number + 1
    case: dict[str, object] = {"connection": connection, "reference": reference, "refresh": number}
    return executions.start(refresh_name(connection, reference, number), case)


def pending(case: Case) -> bool:
    """Whether a committed publication is not finished, so that the next execution has to continue it."""
    return case.record.committed is not None


def refreshable(case: Case, *, insist: bool = False) -> bool:
    """Whether a case has ended, and the vendor has all of its documents.

    A case whose upload broke off is for ``dossier redrive``: if it was collected, half of it would count as complete.
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


def begin(
    connection: str, reference: str, number: int, execution_arn: str, *, cases: Cases, refreshes: Refreshes
) -> Case | None:
    """Begin a refresh in an execution; return the case, or None if there is nothing to do.

    Raises:
        InvalidCaseError: there is no such case.

    """
    case = cases.get(connection, reference)
    if not pending(case) and not case.record.status.final:  # it went back to work, and collects by itself
        refreshes.end(connection, reference, number, error=None, look_at=None, looks=0)
        return None
    if not (pending(case) or refreshable(case, insist=True)):
        raise InvalidCaseError(f"case {reference} is {case.record.status.value}: it cannot be collected again")
    return case if refreshes.begin(connection, reference, number, execution_arn) else None


def end(
    connection: str,
    reference: str,
    number: int,
    *,
    desk: Desk,
    executions: Starts,
    error: str | None = None,
    unfinished: bool = False,
    progress: bool = False,
) -> None:
    """End a refresh, or an execution of the case itself (number 0); start the next one if it was asked for meanwhile.

    Done again it changes nothing, and starts what it had not started. One that failed before it collected anything
    starts none: the next would fail of the same at once, and so on.

    Args:
        connection: the case's.
        reference: the case's.
        number: the refresh's.
        desk: cases and refreshes.
        executions: where the next one runs.
        error: why it failed.
        unfinished: whether a part of the case is not done; then another refresh follows in any case.
        progress: whether something was new: then the next look comes as soon as the first one did.

    """
    before = desk.refreshes.find(connection, reference)
    looks, look_at = _next_look(before, error=error, unfinished=unfinished, progress=progress)
    refresh = desk.refreshes.end(connection, reference, number, error=error, look_at=look_at, looks=looks)
    if not refresh.wanted or refresh.execution_arn:
        return
    case = desk.cases.find(connection, reference)
    began = case is not None and case.collection.id.removesuffix(OVER) == f"{REFRESH}{number}"
    if case is None or (error is not None and number and not began):
        return
    if pending(case) or refreshable(case):
        start(connection, reference, refresh, executions=executions)


def _next_look(before: Refresh, *, error: str | None, unfinished: bool, progress: bool) -> tuple[int, datetime | None]:
    """Return how many looks in a row there are with the next one, and when it comes; None for no more.

    A collection that somebody asked for before the next look was due does not put that off.
    """
    if error is None and not unfinished:
        return 0, None
    fresh = progress or (error is not None and before.error is None)
    if not fresh and before.look_at and moment(before.look_at) > now():
        return before.looks, moment(before.look_at)
    looks = 0 if fresh else before.looks
    return (looks + 1, now() + FIRST_LOOK * 2**looks) if looks < MOST_LOOKS else (0, None)


def fail(
    connection: str, reference: str, number: int, execution_arn: str, reason: str, *, desk: Desk, executions: Starts
) -> None:
    """End a refresh that failed: its case stays as it is, and is looked at again later."""
    if desk.cases.find_record(connection, reference) is None:
        return  # its records were removed meanwhile
    running = desk.refreshes.find(connection, reference)
    mine = running.execution_arn in {None, execution_arn}  # None if the execution died before Accept
    if mine and running.number == number - 1:
        desk.count("RefreshesFailed", connection=connection)
    if mine or running.number >= number:
        end(connection, reference, number, desk=desk, executions=executions, error=reason)


def heal(refresh: Refresh, *, desk: Desk, executions: Executions, ended_by: datetime) -> str | None:
    """Continue a refresh that no execution works on; return a line for the log, or None if nothing was done.

    If its execution ended by ``ended_by`` without a record, the refresh is ended. If it was requested but never
    started, it is started.
    """
    names = (refresh.connection, refresh.reference)
    number = refresh.number + 1
    name = refresh_name(*names, number)
    arn = refresh.execution_arn or executions.arn_of(name)
    execution = executions.describe(arn)
    if execution is not None and execution.status == "RUNNING":
        return None
    if execution is None and refresh.execution_arn is None:
        case = desk.cases.find(*names) if refresh.wanted and not refresh.error else None  # else it waits for its look
        if case is None or not (pending(case) or refreshable(case)):
            return None
        start(*names, refresh, executions=executions)
        return f"case {names[1]} at {names[0]}: a requested refresh had not started; it is started now"
    if execution is not None and execution.stopped_at is not None and execution.stopped_at > ended_by:
        return None
    if execution is not None and execution.status == "SUCCEEDED" and not refresh.execution_arn:
        return _skipped(refresh, desk=desk, executions=executions)
    reason = reason_of(execution.cause) if execution and execution.cause else ""
    reason = reason or f"its execution ended as {execution.status if execution else 'unknown'}"
    fail(*names, number, arn, reason, desk=desk, executions=executions)
    return f"case {names[1]} at {names[0]}: its refresh ended: {reason}"


def _skipped(refresh: Refresh, *, desk: Desk, executions: Starts) -> str | None:
    """Start a refresh under the next number where its own has an execution of a case before it, of the same name.

    The case's records were removed after their time, and AWS keeps the names of executions for 90 days.
    """
    names, number = (refresh.connection, refresh.reference), refresh.number + 1
    by_now = desk.refreshes.find(*names)
    if by_now.number != refresh.number or by_now.execution_arn or not by_now.wanted:
        return None
    end(*names, number, desk=desk, executions=executions)
    return f"case {names[1]} at {names[0]} was to be collected again under a name that is taken"


def number_of(collection: str) -> int:
    """Return the number of a collection's refresh; 0 if the collection is not a refresh."""
    return int(collection[1:]) if collection.startswith(REFRESH) and collection[1:].isdecimal() else 0


REFRESH, RESUMED = "u", "r"
"""First letter of a later collection's name: of a refresh, and of a redriven case."""
