"""``dossier status`` and ``dossier list``: show the state of cases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cli.deliveries import moment_of
from cli.deployed import settings_of
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from cli.text import clean, local, size, when
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.questions import BUDGET
from dossier.steps.accept import pages_of
from dossier.steps.context import SOON
from dossier.steps.listing import CURSOR, cursor, newest
from dossier.steps.views import answers_of, result_key, summary, view
from dossier.stores.cases import Case, CaseRecord, Refresh, RevisionRecord
from dossier.stores.limiter import Hold
from dossier.texts import counted
from dossier.troubles import clock

REVIEW = "wanted: fields of low confidence are marked in result.json"


def find(
    where: Target,
    reference: str,
    connection: str | None = None,
    *,
    waiting: str = "drop the missing files; `dossier list` shows waiting folders",
) -> Case:
    """Return the case of a reference, at any connection unless one is named.

    Args:
        where: the deployment.
        reference: the case's.
        connection: only its case.
        waiting: the fix if it is a dropped folder that waits for files and is not a case yet.

    Raises:
        BadUsageError: an unknown connection, or several connections have a case of that reference.
        CommandError: there is no such case.

    """
    names = where.with_cases(connection)
    found = [case for name in names if (case := where.app.cases.find(CaseId(name, reference))) is not None]
    if len(found) > 1:
        owners = ", ".join(case.record.connection for case in found)
        raise BadUsageError(f"several connections have a case {reference}: give --connection with one of {owners}")
    drops = (drop for name in names if not found for drop in where.app.cases.waiting_drops(name))
    drop = next((drop for drop in drops if drop.reference == reference), None)
    if drop is not None:
        raise CommandError(f"{reference} is not a case yet, it is {drop.status.value}: {drop.reason}", fix=waiting)
    if not found:
        raise CommandError(
            f"there is no case {reference} at {' or '.join(names) or 'any connection: none is deployed'}"
        )
    return found[0]


def status(out: Output, where: Target, reference: str, connection: str | None) -> None:
    """Print everything about a case."""
    case = find(where, reference, connection)
    paused = where.app.limiter.paused()
    case = case.model_copy(update={"record": _noted(where, case.record, paused)})
    out.document({**describe(case), "paused": _pause_of(case.record, paused)})
    _show(out, where, case)


def show_budgets(out: Output, where: Target, names: Collection[str]) -> None:
    """Print today's use of each connection's budget, as progress."""
    for name, settings in settings_of(where).items():
        budget = settings.budget
        if name not in names or not budget.limited:
            continue
        spent = where.app.cases.budgets.spent(name)
        used = (("case", spent.cases, budget.cases_per_day), ("page", spent.pages, budget.pages_per_day))
        parts = [f"{number:,} of {counted(most, what)}" for what, number, most in used if most is not None]
        if parts:
            out.progress(f"budget of {name} today: {', '.join(parts)}")


def cases(
    out: Output,
    where: Target,
    *,
    connection: str | None,
    status: str | None,
    since: str | None,
    review: bool,
    after: str | None,
    limit: int | None,
) -> None:
    """Print the cases of one connection or all, latest submitted first.

    Args:
        out: prints them.
        where: the deployment.
        connection: only its cases.
        status: only cases with one of these statuses, separated by commas.
        since: only cases submitted since then: ``30m``, ``2h``, ``3d`` or a time.
        review: only cases that need review.
        after: the ``cursor`` of a case that an earlier call printed last: only cases after that one.
        limit: how many at most; None for all.

    Raises:
        BadUsageError: an unknown connection or status, or an invalid time or cursor.

    """
    wanted = statuses_of(status)
    names = where.with_cases(connection)
    begin = None if since is None else moment_of(since)
    latest = newest_of(where, names, begin, after, drops=True)
    found = (each for each in latest if (not wanted or each.status in wanted) and (each.review or not review))
    paused = where.app.limiter.paused()
    records = [
        _noted(where, where.app.cases.troubled(each), paused)
        for each in (found if limit is None else islice(found, limit))
    ]
    more = next(found, None) is not None
    show_budgets(out, where, names)
    out.document(
        [
            {**summary(each).model_dump(mode="json"), "paused": _pause_of(each, paused), "cursor": cursor(each)}
            for each in records
        ]
    )
    for name in names:
        if name in paused:
            out.progress(paused[name].text(name, now()))
    if not records:
        which = f" are {' or '.join(each.value for each in wanted)}" if wanted else " need review" if review else ""
        out.progress(f"no cases{which}")
        return
    rows = [
        (each.connection, each.reference, each.status.value, when(each.submitted_at), _remark(each)) for each in records
    ]
    out.table(("CONNECTION", "REFERENCE", "STATUS", "SUBMITTED", "REASON"), rows, long={"REASON"})
    if more:
        out.progress(
            f"{counted(len(records), 'case')} shown, and there are more: add --all, or --after {cursor(records[-1])}"
        )


def newest_of(
    where: Target, names: Collection[str], since: datetime | None, after: str | None, *, drops: bool = False
) -> Iterator[CaseRecord]:
    """Yield cases, latest submitted first (``listing.newest``).

    Raises: BadUsageError: ``after`` is not a cursor.

    """
    if after is not None and not CURSOR.fullmatch(after):
        raise BadUsageError(f'"{clean(after)}" is not a cursor', fix="give a cursor that `dossier list` printed")
    return newest(names, context=where.app, since=since, after=after, drops=drops)


def _noted(where: Target, record: CaseRecord, paused: Mapping[str, Hold]) -> CaseRecord:
    hold = None if record.status.final else paused.get(record.connection)
    note = current_note(where, record) if hold is None else hold.text(record.connection, now())
    return record.model_copy(update={"note": note})


def _pause_of(record: CaseRecord, paused: Mapping[str, Hold]) -> dict[str, Any] | None:
    """Return the operator's pause of a case that has not ended, for programs."""
    hold = None if record.status.final else paused.get(record.connection)
    return None if hold is None else {"since": hold.since, "by": hold.by, "reason": hold.reason}


def _remark(record: CaseRecord) -> str:
    return "; ".join(
        filter(None, ("needs review" if record.review else None, local(record.reason or record.note or "")))
    )


def current_note(where: Target, record: CaseRecord) -> str | None:
    """Return a case's note; for a step that is retried soon, with the time of the next attempt."""
    if record.note is None or record.trouble is None or SOON not in record.note:
        return record.note
    left = where.app.limiter.paused_for(record.connection)
    at = clock(now() + timedelta(seconds=left), now(), seconds=True)
    return record.note.replace(SOON, f"Next attempt {at}") if left else record.note


def describe(case: Case) -> dict[str, Any]:
    """Return a case for programs: what ``dossier status --json`` prints."""
    return view(case).model_dump(mode="json")


def show_questions(out: Output, case: Case) -> None:
    """Print the open questions, each with the vendor's candidates and the commands that answer it."""
    for number, question in enumerate(case.questions):
        if number:
            out.line()
        out.line(f"question ({question.what}, {when(question.asked_at, seconds=True)}): {question.text}")
        if question.choices:
            rows = [(each.id, each.name, when(each.created or "", seconds=True)) for each in question.choices]
            out.table(("ID", "NAME", "CREATED"), rows)
        for meaning, command in answers_of(case, question):
            out.line(f"{meaning}: {command}")


def resolve_command(case: Case) -> str:
    """Return the command that answers a case's open question."""
    record = case.record
    which = f" --question {case.questions[0].what}" if len(case.questions) > 1 else ""
    choice = "--send" if case.questions[0].what == BUDGET else "--retry | --use ID"
    return f"dossier resolve {record.reference} --connection {record.connection}{which} ({choice} | --give-up)"


def _show(out: Output, where: Target, case: Case) -> None:
    record, key = case.record, result_key(case.record)
    out.pairs(
        [
            ("case", f"{record.connection} / {record.reference}"),
            ("vendor", record.vendor),
            ("status", record.status.value),
            ("reason", local(record.reason or "")),
            ("error", record.error),
            ("note", local(record.note or "")),
            ("dismissed", when(record.dismissed_at, seconds=True)),
            ("review", REVIEW if record.review else None),
            ("pages", _pages(where, case)),
            ("case id", record.case_id),
            ("vendor's status", record.vendor_status),
            ("stage", record.stage_id),
            ("assigned to", record.assigned_to),
            ("submitted", when(record.submitted_at, seconds=True)),
            ("updated", when(record.updated_at, seconds=True)),
            ("completed", when(record.completed_at, seconds=True)),
            ("execution", record.execution_arn),
            ("result", key and f"s3://{where.bucket}/{key}"),
            ("attempt", record.attempt if record.attempt > 1 else None),
            ("revision", record.standing or None),
            ("refresh", _refresh(case.refresh)),
        ]
    )
    for warning in record.warnings:
        out.line(f"warning: {warning}")
    if len(case.revisions) > 1:
        out.line()
        out.line(counted(len(case.revisions), "revision"))
        revisions = [(each.number, when(each.collected_at), each.status, _changes(each)) for each in case.revisions]
        out.table(("REVISION", "COLLECTED", "STATUS", "CHANGES"), revisions, long={"CHANGES"})
    if case.documents:
        out.line()
        out.line(counted(len(case.documents), "document"))
        rows = [
            (each.name, standing(each, ended=record.status.final), each.document_id, each.job_id, each.error)
            for each in case.documents
        ]
        out.table(("NAME", "STATUS", "DOCUMENT ID", "JOB ID", "ERROR"), rows, long={"ERROR"})
    if case.artifacts:
        out.line()
        out.line(counted(len(case.artifacts), "artifact"))
        files = [(each.name, size(each.size) if each.key else "not fetched yet", each.key) for each in case.artifacts]
        out.table(("NAME", "SIZE", "KEY"), files)
    if case.questions:
        out.line()
        show_questions(out, case)


def _pages(where: Target, case: Case) -> str | None:
    """Return the pages of a case's documents in words, with what the vendor bills for them, if that is known."""
    unknown = sum(each.pages is None for each in case.documents)
    if not case.documents or unknown == len(case.documents):
        return None
    pages, settings = pages_of(case.documents), settings_of(where).get(case.record.connection)
    price = settings.budget.price_per_page if settings else None
    more = f", {counted(unknown, 'document')} of an unknown number counted as one each" if unknown else ""
    return f"{pages:,}{more}" + (f" (about ${pages * price:,.2f} at the vendor)" if price else "")


def _refresh(refresh: Refresh) -> str | None:
    if refresh.execution_arn:
        return f"running since {when(refresh.started_at, seconds=True)}: {refresh.execution_arn}"
    again = f"; the next check is at {when(refresh.look_at)}" if refresh.look_at else ""
    if refresh.error:
        return f"the last one failed: {local(refresh.error)}{again}"
    return f"some documents are not finished{again}" if again else None


def _changes(revision: RevisionRecord) -> str:
    """Return the changes of a revision in a few words."""
    parts = []
    for name, change in revision.changes.items():
        if isinstance(change, dict) and "to" in change:
            parts.append(f"{name} {change['from']} → {change['to']}")
        elif isinstance(change, dict):
            parts += [f"{what} {', '.join(names)}" for what, names in change.items()]
        elif isinstance(change, list):
            parts.append(f"{name} {', '.join(change)}")
    return "; ".join(parts)


def standing(document: Document, *, ended: bool = False) -> str:
    """Return a document's status: the vendor's, if there is one.

    Once the case has ``ended``, an unfinished status is only the last one that the vendor reported.
    """
    if document.failed:
        return document.status or "failed"
    if ended and not document.finished:
        if document.document_id is None:
            return "not sent" if document.job_id is None else "sent"
        return f"{document.status or 'uploaded'} when last asked"
    status = document.status or ("uploaded" if document.document_id else "accepted")
    return status if document.progress is None or document.finished else f"{status} ({document.progress} %)"


def statuses_of(text: str | None) -> list[CaseStatus]:
    """Return the statuses in a text, which commas separate.

    Raises:
        BadUsageError: one of them is unknown; names all.

    """
    known = {each.value: each for each in CaseStatus}
    text = text.replace("waiting_for_files", CaseStatus.WAITING_FOR_FILES.value) if text else None
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if word not in known:
            raise BadUsageError(f'unknown status "{clean(word)}"', fix=f"use one or several of {', '.join(known)}")
    return [known[word] for word in words]
