"""``dossier refresh``: collects an ended case again, after its vendor's case has changed."""

from __future__ import annotations

import time

from cli.errors import CommandError, InterruptedCommandError, NotFinishedError
from cli.output import Output
from cli.status import find
from cli.target import Target
from dossier.steps.identity import refresh_name
from dossier.steps.refresh import ask

_LOOK = 0.5


def refresh(out: Output, where: Target, reference: str, *, connection: str | None, wait: bool, timeout: float) -> None:
    """Start to collect a case again; with ``wait``, print the result.

    Raises:
        CommandError: the case has not ended, the vendor does not have it, or the refresh failed.
        NotFinishedError: the refresh takes longer than ``timeout`` seconds.

    """
    case, app = find(where, reference, connection), where.app
    names = case.record.id
    before = app.refreshes.find(names)
    if not ask(names, context=app, insist=True):
        raise CommandError(
            f"case {reference} is {case.record.status.value}: only a case that has ended, and whose documents the "
            "vendor all has, can be collected again"
        )
    number, requests = before.number + 1, app.refreshes.find(names).asked
    arn = app.executions.arn_of(refresh_name(names, number))
    document = {"connection": names[0], "reference": names[1], "execution_arn": arn, "before": case.record.standing}
    look = f"dossier status {reference} --connection {names[0]}"
    if not wait:
        out.document({**document, "revision": None})
        out.pairs([("execution", arn), ("follow it", look)])
        return
    until = time.monotonic() + timeout
    try:
        # A refresh that was already running may have missed the change.
        while (
            (found := app.refreshes.find(names)).number < number
            or found.execution_arn
            or (found.seen < requests and found.error is None)
        ):
            if time.monotonic() >= until:
                raise NotFinishedError(f"case {reference} is being collected: see execution {arn}", document=document)
            time.sleep(_LOOK)
    except KeyboardInterrupt:
        message = f"interrupted: case {reference} is being collected, and that continues"
        raise InterruptedCommandError(message, fix=f"follow it with `{look}`") from None
    if found.error:
        raise CommandError(f"case {reference} could not be collected again: {found.error}")
    record = app.cases.get(names).record
    out.document({**document, "revision": record.standing, "status": record.status.value})
    if found.look_at and not record.unfinished:
        out.progress(f"the vendor processes case {reference} again: Dossier collects it once that is done")
    new = record.standing > case.record.standing
    out.line(f"{reference}: revision {record.standing}" if new else f"{reference}: nothing has changed")
