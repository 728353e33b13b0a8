"""Facts: read what explains a case, for :mod:`dossier.steps.explain`."""

from __future__ import annotations

from datetime import datetime

from dossier.models import now
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.steps.explain import Facts
from dossier.stores.cases import Case
from dossier.stores.executions import Execution
from dossier.stores.limiter import Standing


def facts_of(
    case: Case,
    *,
    vendor: str,
    context: Context,
    settings: Connection | None = None,
    removed: datetime | None = None,
    execution: Execution | None = None,
    standing: Standing | None = None,
    at: datetime | None = None,
) -> Facts:
    """Return the facts about a case.

    Args:
        case: as stored.
        vendor: its vendor's name for people.
        context: the collaborators.
        settings: the connection's settings, if they are known.
        removed: since when the connection is missing from the settings, if it is.
        execution: the case's execution, if it was read already.
        standing: the connection's limits, if they were read already.
        at: stands in for the clock in tests.

    """
    case_id = case.record.id
    if case.record.status.final:
        return Facts(case, at or now(), vendor, settings=settings)
    return Facts(
        case,
        at or now(),
        vendor,
        wait=context.waits.find(case_id),
        held=tuple(context.waits.steps_of(case_id)),
        intents=tuple(context.intents.of(case_id)),
        execution=execution or context.executions.describe(case.record.execution_arn),
        standing=standing or context.limiter.standing(settings or case_id.connection),
        settings=settings,
        removed=removed,
    )
