"""``dossier refresh``: collects an ended case again, as its vendor's case goes on."""

from __future__ import annotations

import time

from cli.errors import CommandError, NotFinishedError
from cli.output import Output
from cli.status import find
from cli.target import Target
from dossier.models import refresh_name
from dossier.steps.refresh import ask

_LOOK = 0.5


def refresh(out: Output, where: Target, reference: str, *, connection: str | None, wait: bool, timeout: float) -> None:
    """Ask for a case to be collected again; with ``wait`` say what came of it.

    Raises:
        CommandError: the case has not ended, nothing of it is at the vendor, or the refresh failed.
        NotFinishedError: it takes longer than ``timeout`` seconds.

    """
    case, app = find(where, reference, connection), where.app
    names = (case.record.connection, case.record.reference)
    before = app.refreshes.find(*names)
    if not ask(*names, desk=app.desk, executions=app.executions, insist=True):
        raise CommandError(
            f"case {reference} is {case.record.status.value}: only a case that has ended, and that the vendor has all "
            "of, is collected again"
        )
    number = before.number + 1
    arn = app.executions.arn_of(refresh_name(*names, number))
    told = {"connection": names[0], "reference": names[1], "execution_arn": arn, "before": case.record.standing}
    if not wait:
        out.document({**told, "revision": None})
        out.pairs([("execution", arn), ("follow it", f"dossier status {reference} --connection {names[0]}")])
        return
    until = time.monotonic() + timeout
    while (found := app.refreshes.find(*names)).number < number:
        if time.monotonic() >= until:
            raise NotFinishedError(f"case {reference} is being collected: see execution {arn}", document=told)
        time.sleep(_LOOK)
    if found.error:
        raise CommandError(f"case {reference} could not be collected again: {found.error}")
    record = app.cases.get(*names).record
    out.document({**told, "revision": record.standing, "status": record.status.value})
    new = record.standing > case.record.standing
    out.line(f"{reference}: revision {record.standing}" if new else f"{reference}: nothing has changed")
