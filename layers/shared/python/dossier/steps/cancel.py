"""Cancel: an operator ends a case. Its files stay, and the vendor may still bill what it has."""

from __future__ import annotations

from dataclasses import dataclass

from dossier.errors import InvalidCaseError
from dossier.models import Document, iso, now
from dossier.steps.publish import cancelled
from dossier.steps.refresh import pending
from dossier.steps.work import Desk
from dossier.stores.events import Events
from dossier.stores.executions import Executions
from dossier.stores.waits import Waits


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancelled case leaves at the vendor: documents, and requests whose outcome is unknown."""

    documents: tuple[Document, ...]
    in_doubt: tuple[str, ...]


def cancel(
    connection: str, reference: str, *, desk: Desk, waits: Waits, executions: Executions, events: Events
) -> Cancelled:
    """Stop a case's execution, end its wait, and record that it was cancelled. A repetition continues.

    ``cancelled_at`` is stored before anything is stopped: after a crash in between, the event of the stopped execution
    ends the case in the same way.

    Raises:
        InvalidCaseError: there is no such case, or it has ended.

    """
    case = desk.cases.get(connection, reference)
    marked = not pending(case) and desk.cases.change(connection, reference, cancelled_at=iso(now()))
    case = desk.cases.get(connection, reference)
    if not marked or pending(case):  # nothing is committed once it is marked
        state = "being published" if pending(case) else case.record.status.value
        raise InvalidCaseError(f"case {reference} is {state}: there is nothing to cancel")
    executions.stop(case.record.execution_arn, "Cancelled", "an operator cancelled the case")
    case = desk.cases.get(connection, reference)
    if not case.record.status.final:
        cancelled(case, desk=desk, waits=waits, events=events)
    sent = tuple(each for each in desk.cases.get(connection, reference).documents if each.document_id)
    return Cancelled(sent, tuple(desk.intents.open(connection, reference)))
