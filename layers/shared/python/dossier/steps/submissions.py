"""Submissions: the start of a case's execution, for callers who have checked the case (the CLI, the API)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseInput, Document
from dossier.steps.accept import still_erased
from dossier.steps.context import Context
from dossier.steps.differences import differences
from dossier.steps.identity import next_execution
from dossier.stores.cases import Case, conflict


def before(
    case: CaseInput, digest: str, documents: Sequence[Document], *, context: Context
) -> tuple[Case | None, bool]:
    """Return the case that has the reference, if any, and whether it is this submission.

    Otherwise the submission may be started: there is no such case, or it was rejected.

    Args:
        case: the submission.
        digest: its fingerprint.
        documents: its documents, to name the differences.
        context: the collaborators.

    Raises:
        InvalidCaseError: the case was erased, or the stage accepts no new cases.
        ReferenceConflictError: the reference has other content.

    """
    found = context.cases.find(case.id)
    if found is not None and not found.record.refused:
        if found.record.fingerprint != digest:
            raise conflict(found.record, differences(case, documents, found))
        return found, True
    erased = context.cases.erased(case.id)
    if erased is not None and (problem := still_erased(case, erased)):
        raise InvalidCaseError(problem)
    context.cases.require_open()
    return found, False


def start(
    case: CaseId, digest: str, data: dict[str, Any], *, found: Case | None, context: Context
) -> tuple[str, bool] | None:
    """Start the case's execution; return its ARN, and whether it existed before. None if all its names are used.

    An execution's name is reserved for 90 days. The cause of a rejection may be fixed outside the case (a setting, a
    permission), so a rejected case gets the next name instead of its old rejection.

    Args:
        case: its name.
        digest: its fingerprint.
        data: the execution's input.
        found: the case of that reference, if there is one: rejected, or of the same content.
        context: the collaborators.

    """
    again = found is None or found.record.refused
    executions = context.executions
    free = next_execution(
        case, digest, executions=executions, decides=lambda execution: execution.status == "RUNNING" or not again
    )
    if free is None:
        return None
    name, execution = free
    return executions.start(name, data), execution is not None
