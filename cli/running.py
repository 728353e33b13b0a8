"""``dossier watch``: all cases under way, each with its next event."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.explain import vendor_name
from cli.output import Output
from cli.target import Target
from cli.text import clean, duration, local
from dossier.models import now
from dossier.steps.explain import Explanation, explain
from dossier.steps.facts import facts_of
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.executions import Execution
from dossier.stores.limiter import Standing
from dossier.texts import counted

MOST = 200
"""Most cases of a table: the latest of all connections. ``--json`` has all."""
LOOKED_AT = 2000
"""Most of a connection's latest cases among which those under way are found."""
EVERY = 2.0
"""Shortest time between two looks, in seconds."""
COLUMNS = ("CONNECTION", "REFERENCE", "STATUS", "SINCE", "DOCUMENTS", "WHO", "NEXT")
_CLEAR = "\x1b[H\x1b[2J"
"""Clears a terminal and moves the cursor to its beginning."""


def watch(out: Output, where: Target, *, connection: str | None, once: bool, every: float) -> None:
    """Show the cases under way, again and again until Ctrl-C.

    Args:
        out: prints them.
        where: the deployment.
        connection: only its cases.
        once: print them once and end.
        every: seconds between two looks.

    Raises:
        BadUsageError: an unknown connection, or ``--json`` without ``--once``.

    """
    if out.as_json and not once:
        raise BadUsageError("--json prints one document: add --once")
    names, before = where.with_cases(connection), list[tuple[Any, ...]]()
    try:
        while True:
            at = now()
            records = _unended(where, names)
            found = list(_explained(where, records if out.as_json else records[:MOST]))
            more = 0 if out.as_json else max(0, len(records) - MOST)
            rows = [_row(each, case, at) for each, case in found]
            if once or sys.stdout.isatty() or rows != before:
                _print(out, where, found, rows, at, more=more, clear=not once and sys.stdout.isatty())
            if once:
                return
            before = rows
            time.sleep(max(every, EVERY))
    except KeyboardInterrupt:
        out.progress("the cases continue")


def _print(
    out: Output,
    where: Target,
    found: list[tuple[Explanation, Case]],
    rows: list[tuple[Any, ...]],
    at: datetime,
    *,
    more: int,
    clear: bool,
) -> None:
    out.document([{**each.as_json(), "submitted_at": case.record.submitted_at} for each, case in found])
    if clear:
        sys.stdout.write(_CLEAR)
    for name, hold in where.app.limiter.paused().items():
        out.line(hold.text(name, at))
    if not rows:
        out.line(f"{at:%H:%M:%S} UTC: no case is under way")
        return
    latest = f", the latest {len(rows)} are:" if more else ""
    out.line(f"{at:%H:%M:%S} UTC: {counted(len(rows) + more, 'case')} under way{latest}")
    out.table(COLUMNS, rows, long={"NEXT"})  # in a narrow terminal it moves below its row


def _unended(where: Target, names: list[str]) -> list[CaseRecord]:
    """Return the cases that have not ended, of all connections together, latest submitted first."""
    newest = where.app.cases.newest
    found = [each for name in names for each in islice(newest(name), LOOKED_AT) if not each.status.final]
    return sorted(found, key=lambda each: each.submitted_at, reverse=True)


def _explained(where: Target, records: list[CaseRecord]) -> Iterator[tuple[Explanation, Case]]:
    """Yield the cases that have still not ended, by connection, each with its explanation."""
    app, settings, removed = where.app, settings_of(where), where.app.cases.connections()
    standings: dict[str, Standing] = {}
    for record in sorted(records, key=lambda each: each.connection):  # keeps the order within a connection
        name, case = record.connection, app.cases.find(record.id)
        if case is None or case.record.status.final:
            continue
        known = settings.get(name)
        if name not in standings:
            standings[name] = app.limiter.standing(known or name)
        facts = facts_of(
            case,
            vendor=vendor_name(record),
            context=app,
            settings=known,
            removed=None if name in where.connections else removed.get(name),
            execution=Execution("RUNNING"),  # asking Step Functions at each look would use up the quota
            standing=standings[name],
        )
        yield explain(facts), case


def _row(found: Explanation, case: Case, at: datetime) -> tuple[Any, ...]:
    coming, documents = found.next, case.documents
    done = sum(each.finished for each in documents)
    status = found.status if coming is not None else f"{found.status} (!)"
    when = f"{coming.at:%H:%M:%S} " if coming and coming.at else ""
    what = local(f"{when}{coming.what}") if coming else clean(found.why)
    age = duration((at - case.record.submitted_at).total_seconds())
    progress = f"{done}/{len(documents)}"
    return found.connection, found.reference, status, age, progress, coming.who.value if coming else "operator", what
