"""Submissions: the start of a case's execution, for callers who have checked the case (the CLI, the API)."""

from __future__ import annotations

from typing import Any

from dossier.models import CaseId
from dossier.steps.context import Context
from dossier.steps.identity import next_execution
from dossier.stores.cases import Case


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
