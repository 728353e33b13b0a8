"""Cancel: an operator ends a case. Its files stay, and the vendor may still bill its documents."""

from __future__ import annotations

from dataclasses import dataclass

from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.steps.context import Context
from dossier.steps.publish import cancelled
from dossier.steps.refresh import pending


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The remains of a cancelled case at the vendor: documents, and requests whose outcome is unknown."""

    documents: tuple[Document, ...]
    in_doubt: tuple[str, ...]


def cancel(case: CaseId, *, context: Context) -> Cancelled:
    """Stop a case's execution, end its wait, and record that it was cancelled. A repetition continues.

    ``cancelled_at`` is stored before anything is stopped: after a crash in between, the event of the stopped execution
    ends the case in the same way.

    Raises:
        InvalidCaseError: there is no such case, or it has ended, at the same moment too.

    """
    stored = context.cases.get(case)
    marked = not pending(stored) and context.cases.change(case, cancelled_at=now())
    stored = context.cases.get(case)
    if not marked or pending(stored):  # once the case is marked, no publication commits
        state = "being published" if pending(stored) else stored.record.status.value
        raise InvalidCaseError(f"case {case.reference} is {state}: there is nothing to cancel")
    context.executions.stop(stored.record.execution_arn, "Cancelled", "an operator cancelled the case")
    stored = context.cases.get(case)
    if not stored.record.status.final:
        cancelled(stored, context=context)
    stored = context.cases.get(case)
    if stored.record.status is not CaseStatus.CANCELLED:  # the function fail read it before it was marked
        ended = f"{stored.record.status.value}: {stored.record.reason or 'no reason was recorded'}"
        raise InvalidCaseError(f"case {case.reference} was not cancelled: it ended at the same moment as {ended}")
    sent = tuple(each for each in stored.documents if each.document_id)
    return Cancelled(sent, tuple(context.intents.open(case)))
