"""``dossier timeline`` and ``dossier logs``: everything that happened to a case, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.text import clean, duration, local
from dossier import vendors
from dossier.models import moment, now
from dossier.steps.identity import execution_name, refresh_name
from dossier.steps.timeline import Delivered, Entry, History, Line, timeline
from dossier.stores.cases import Case
from dossier.stores.evidence import id_of
from dossier.texts import counted
from dossier.usage import USED

STEPS = ("accept", "open", "upload", "ask", "wait", "process", "collect", "download", "publish", "fail")
FUNCTIONS = (*STEPS, "poll", "wake", "drop")
"""The functions whose logs name a case."""
MOST_EVENTS, MOST_LINES, MOST_DELIVERIES, MOST_REFRESHES = 5000, 2000, 500, 20
AFTER = timedelta(hours=1)
"""How long after the last change of a case its deliveries and log lines are looked for."""


def show(out: Output, where: Target, reference: str, connection: str | None) -> None:
    """Print the history of a case."""
    case = find(where, reference, connection)
    names, entries = case.record.id, entries_of(where, case)
    out.document({"connection": names[0], "reference": names[1], "entries": [each.as_json() for each in entries]})
    rows = [
        (f"{each.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], each.source, took(each.seconds), local(each.what)) for each in entries
    ]
    out.table(("AT", "SOURCE", "TOOK", "WHAT"), rows, long={"WHAT"})
    out.progress(f"{counted(len(entries), 'event')}; `dossier explain {names[1]}` says what comes next")


def entries_of(where: Target, case: Case) -> list[Entry]:
    """Return the history of a case from all sources."""
    names, app = case.record.id, where.app
    standing = app.limiter.standing(names[0])
    return timeline(
        case,
        wait=app.waits.find(names),
        holds=[*standing.holds, *([standing.hold] if standing.hold else [])],
        histories=list(histories(where, case, most=MOST_EVENTS, refreshes=MOST_REFRESHES)),
        deliveries=list(deliveries_of(where, case)),
        lines=list(lines_of(where, case)),
    )


def logs(out: Output, where: Target, reference: str, connection: str | None) -> None:
    """Print the log lines of the functions about a case."""
    case = find(where, reference, connection)
    found = sorted(lines_of(where, case), key=lambda each: each.at)
    out.document([{"at": each.at.isoformat(), "function": each.function, **each.fields} for each in found])
    if not found:
        out.progress("no function has logged anything about this case; logs are kept for three months")
        return
    rows = [
        (f"{each.at:%Y-%m-%d %H:%M:%S}", each.function, each.fields.get("level", ""), _words(each)) for each in found
    ]
    out.table(("AT", "FUNCTION", "LEVEL", "MESSAGE"), rows, long={"MESSAGE"})


def lines_of(where: Target, case: Case) -> Iterator[Line]:
    """Yield the log lines about a case, function by function."""
    record, client = case.record, where.session.client("logs")
    begin, end = record.submitted_at - timedelta(minutes=1), _until(case)
    pages = client.get_paginator("filter_log_events")
    for verb in FUNCTIONS:
        found = pages.paginate(
            logGroupName=f"/aws/lambda/{where.stack}-{verb}",
            startTime=int(begin.timestamp() * 1000),
            endTime=int(end.timestamp() * 1000),
            filterPattern=f'"{record.reference}"',
        )
        try:
            events = islice((event for page in found for event in page["events"]), MOST_LINES)
            yield from (line for event in events if (line := _line(event, verb, case)) is not None)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":  # it has never run
                raise


def _line(event: Any, verb: str, case: Case) -> Line | None:
    """Return a log event as a line, if it is about the case."""
    try:
        fields = json.loads(event["message"])
    except ValueError:
        return None
    if not isinstance(fields, dict) or "_aws" in fields or USED in fields:  # metrics and usage are log lines, too
        return None
    if (fields.get("connection"), fields.get("reference")) != (case.record.connection, case.record.reference):
        return None
    return Line(written(fields) or datetime.fromtimestamp(event["timestamp"] / 1000, UTC), verb, fields)


def written(fields: Mapping[str, Any]) -> datetime | None:
    """Return the line's own time; CloudWatch's may be the time of a batch."""
    try:
        return datetime.strptime(str(fields.get("timestamp")), "%Y-%m-%d %H:%M:%S,%f%z")
    except ValueError:
        return None


def _words(line: Line) -> str:
    fields = line.fields
    if "call" not in fields:
        return clean(fields.get("message", ""))
    answer = fields.get("status") or fields.get("error") or "no answer"
    return clean(f"{fields['call']}: {answer} in {fields.get('ms')} ms")


def _until(case: Case) -> datetime:
    ended = case.record.completed_at if case.record.status.final else None
    changed = max(filter(None, (ended, case.record.updated_at, case.record.woken)))
    return min(now() + timedelta(minutes=1), changed + AFTER) if ended else now() + timedelta(minutes=1)


def histories(where: Target, case: Case, *, most: int, refreshes: int | None) -> Iterator[History]:
    """Yield the histories of a case's executions: each attempt, and the latest ``refreshes`` (None: all of them)."""
    record, executions = case.record, where.app.executions
    names = record.id
    attempts = [
        executions.arn_of(execution_name(names, record.fingerprint, attempt=each))
        for each in range(1, record.attempt + 1)
    ]
    first = 1 if refreshes is None else max(1, case.refresh.number - refreshes)
    later = [executions.arn_of(refresh_name(names, each)) for each in range(first, case.refresh.number + 2)]
    for arn in dict.fromkeys([*attempts, record.execution_arn, *later]):
        events = executions.history(arn, most=most)
        if events:
            yield History(arn.rpartition(":")[2], events)


def deliveries_of(where: Target, case: Case) -> Iterator[Delivered]:
    """Yield the deliveries that name the case, one of its documents or one of its jobs."""
    record, store = case.record, where.app.evidence
    ids = {record.case_id, *(each.document_id for each in case.documents), *(each.job_id for each in case.documents)}
    ids.discard(None)
    if not ids or record.connection not in where.webhook_urls or record.vendor not in vendors.names():
        return
    vendor, until = vendors.adapter(record.vendor), _until(case)
    for key in islice(store.list(record.connection, since=record.submitted_at), MOST_DELIVERIES):
        evidence = store.find(key)
        hint = vendor.read_hint(evidence.content) if evidence is not None else None
        if evidence is None or hint is None or moment(evidence.received_at) > until:
            continue
        about = tuple(each for each in (*hint.case_ids, *hint.document_ids, *hint.job_ids) if each in ids)
        if about:
            yield Delivered(id_of(key), moment(evidence.received_at), evidence.verdict, hint.event, about)


def took(seconds: float | None) -> str:
    """Return how long something took: milliseconds below ten seconds, empty if it is unknown."""
    if seconds is None:
        return ""
    return f"{round(seconds * 1000)} ms" if seconds < 10 else duration(round(seconds))
