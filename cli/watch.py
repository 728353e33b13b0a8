"""Shows a case until it ends: live on a terminal, otherwise one line for each change."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from cli.errors import CommandError, NeedsAnswerError, NotFinishedError
from cli.output import Output
from cli.status import describe, resolve_command, standing
from cli.target import Target
from cli.text import clean, duration, local
from dossier.models import CaseStatus
from dossier.steps.reasons import reason_of
from dossier.stores.cases import Case
from dossier.texts import counted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_BAD_ENDS = {"FAILED": "Failed", "TIMED_OUT": "TimedOut", "ABORTED": "Aborted"}
_EXECUTION_EVERY = 15.0
"""Seconds between two reads of the execution, whose end may not be recorded in the case."""
_SETTLING = 30.0
"""Seconds between the end of an execution and that of its case, at most."""


def watch(out: Output, where: Target, case: Case, *, seconds: float) -> Case:
    """Show a case's progress until it ends, and return it.

    Raises:
        NotFinishedError: the case has not ended after ``seconds``.
        NeedsAnswerError: the case waits for an operator's answer.
        CommandError: the execution ended, but the case did not.

    """
    started = time.monotonic()
    names = case.record.id
    ended_at, looked_at = None, started
    with LiveProgress(out) if sys.stderr.isatty() else PlainProgress(out) as progress:
        while not case.record.status.final:
            progress.show(case)
            if case.questions and case.record.status is CaseStatus.NEEDS_ATTENTION:
                others = f" ({len(case.questions) - 1} more)" if len(case.questions) > 1 else ""
                raise NeedsAnswerError(
                    f"case {names[1]} needs attention: {case.questions[0].text}{others}",
                    fix=f"run `{resolve_command(case)}`",
                    document=describe(case),
                )
            now = time.monotonic()
            if now - started >= seconds:
                raise NotFinishedError(
                    f"case {names[1]} is {case.record.status.value} after {duration(round(seconds))}, and continues",
                    fix=f"follow it with `dossier status {names[1]} --connection {names[0]}`",
                    document=describe(case),
                )
            if now - looked_at >= _EXECUTION_EVERY:
                looked_at = now
                ended = ended_badly(where, case.record.execution_arn)
                ended_at = (ended_at or now) if ended else None
                if ended and ended_at is not None and now - ended_at >= _SETTLING:
                    raise CommandError(f"case {names[1]} is stuck: its execution ended: {ended[1]}")
            time.sleep(min(0.5 + (now - started) / 60, 5.0))  # the longer it takes, the longer the pause
            case = where.app.cases.get(names)
        progress.show(case)
    return case


def ended_badly(where: Target, arn: str) -> tuple[str, str] | None:
    """Return error name and reason of an execution that ended without success; None for any other."""
    found = where.app.executions.describe(arn)
    if found is None or found.status not in _BAD_ENDS:
        return None
    name = found.error or _BAD_ENDS[found.status]
    return name, reason_of(found.cause) or name


class PlainProgress:
    """One line for each change."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last = ""

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def show(self, case: Case) -> None:
        """Print the case's line if it has changed."""
        line = _line(case)
        if line != self._last:
            self._out.progress(line)
            self._last = line


class LiveProgress:
    """A line for the case and one for each document, kept up to date."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._started = time.monotonic()
        self._case: Case | None = None
        self._live: Live | None = None

    def __enter__(self) -> LiveProgress:
        from rich.console import Console  # noqa: PLC0415 -- only on a terminal
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(
            console=Console(stderr=True, highlight=False), get_renderable=self._render, refresh_per_second=4
        )
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, case: Case) -> None:
        """Show the case from now on."""
        self._case = case
        if self._live is not None:
            self._live.refresh()

    def _render(self) -> RenderableType:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        if self._case is None:
            return Text("")
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row(Text(_line(self._case), style="bold"), Text(duration(time.monotonic() - self._started)))
        for each in self._case.documents:
            style = "red" if each.failed else "green" if each.finished else ""
            table.add_row(Text(f"  {clean(each.name)}"), Text(clean(standing(each)), style=style))
        return table


def _line(case: Case) -> str:
    record = case.record
    parts = [f"{record.reference}: {record.status.value}", record.note or _count(case)]
    if record.status is not CaseStatus.NEEDS_ATTENTION:  # there the reason is the question, which ends the command
        parts.append(record.reason or "")
    return clean(local(", ".join(filter(None, parts))))


def _count(case: Case) -> str:
    """Return how many documents are sent or read, in the states that do that."""
    whole = counted(len(case.documents), "document")
    if case.record.status is CaseStatus.UPLOADING:
        return f"{sum(bool(each.document_id or each.finished) for each in case.documents)} of {whole} sent"
    if case.record.status is CaseStatus.WAITING:
        return f"{sum(each.finished for each in case.documents)} of {whole} read"
    return ""
