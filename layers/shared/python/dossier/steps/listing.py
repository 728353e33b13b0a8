"""Lists of cases, latest submitted first, in pages that a cursor continues."""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import groupby

from dossier.models import iso, moment
from dossier.steps.context import Context
from dossier.stores.cases import CaseRecord

CURSOR = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z/[^/]+/[^/]+")


def newest(
    names: Collection[str],
    *,
    context: Context,
    since: datetime | None = None,
    after: str | None = None,
    drops: bool = False,
    page: int | None = None,
) -> Iterator[CaseRecord]:
    """Yield cases, latest submitted first; those of one millisecond in a fixed order, so that a cursor stays valid.

    Args:
        names: the connections.
        context: the collaborators.
        since: only cases submitted since then.
        after: only cases after that one; a cursor.
        drops: include dropped folders that wait for files.
        page: how many cases of a connection one request reads; by default as many as fit into 1 MB.

    """
    until = moment(after.partition("/")[0]) if after else None
    stores = [context.cases.newest, *([context.cases.waiting_drops] if drops else [])]
    found = (each(name, since=since, until=until, page=page) for name in names for each in stores)
    for _, together in groupby(heapq.merge(*found, key=_submitted, reverse=True), key=_submitted):
        for record in sorted(together, key=cursor, reverse=True):
            if after is None or cursor(record) < after:
                yield record


def cursor(record: CaseRecord) -> str:
    """Return the cursor after a case."""
    return f"{iso(record.submitted_at)}/{record.connection}/{record.reference}"


def _submitted(record: CaseRecord) -> datetime:
    return record.submitted_at
