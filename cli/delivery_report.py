"""``dossier deliveries --report``: what a vendor's support needs to find lost, late, repeated and rejected webhooks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from cli.deliveries import described, moment_of, named
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.target import Target
from cli.text import duration, when
from dossier.models import iso, moment, now
from dossier.settings import Connection
from dossier.steps.invoice import LONGEST_STAY
from dossier.stores.cases import Case
from dossier.texts import counted

PERIOD = timedelta(days=7)
"""The period without ``--since``."""
SETTLED = timedelta(minutes=30)
"""A case that was completed more recently is not counted as one without a delivery: the delivery may be on its way."""
_COLUMNS = ("AT", "SHA-256", "BYTES", "VERDICT", "REPEATS", "EVENT", "ABOUT", "ID")


def report(out: Output, where: Target, connection: str, *, since: str | None) -> None:
    """Print a connection's deliveries of a period for the vendor's support.

    The report has no secret and no body: a delivery is named by its time and its SHA-256, which the vendor can compare
    with what it sent. ``late`` deliveries came after the case had been collected by polling. ``lost`` lists completed
    cases about which no delivery arrived.

    Raises:
        BadUsageError: an unknown connection, one without webhooks, or an invalid time.

    """
    found = found_of(where, connection, since=since)
    out.document(found)
    rows, lost = found["deliveries"], found["lost"]
    troubled = _troubled(rows)
    out.line(f"Webhook deliveries of {found['vendor']} to {found['url']}")
    out.line(f"from {when(found['since'])} to {when(found['until'])}")
    for title, about, some in (
        ("rejected", "the answer was 401, 404 or 413", troubled["refused"]),
        ("repeated", "the same bytes arrived again", troubled["repeated"]),
        ("late", "the result had been collected by polling before", troubled["late"]),
    ):
        out.line()
        out.line(f"{counted(len(some), 'delivery')} {title}: {about}")
        if some:
            out.table(_COLUMNS, map(_cells, some), long={"VERDICT", "ABOUT"}, one_line=True)
    out.line()
    out.line(f"{counted(len(lost), 'completed case')} without any delivery")
    if lost:
        cells = [(when(each["completed_at"]), each["case_id"], ", ".join(each["document_ids"])) for each in lost]
        out.table(("COMPLETED", "CASE", "DOCUMENTS"), cells, long={"DOCUMENTS"}, one_line=True)
    out.line()
    out.line(f"{counted(len(rows), 'delivery')} in all:")
    out.table(_COLUMNS, map(_cells, rows), long={"VERDICT", "ABOUT"}, one_line=True)


def found_of(where: Target, connection: str, *, since: str | None) -> dict[str, Any]:
    """Return the report for programs.

    Raises:
        BadUsageError: an unknown connection, one without webhooks, or an invalid time.

    """
    name = where.require(connection)
    settings = settings_of(where).get(name)
    if settings is None:
        raise BadUsageError(f"[{name}] is not in {settings_file(where)}", fix="name its file in DOSSIER_CONNECTIONS")
    if settings.webhook is None:
        raise BadUsageError(f"[{name}] has no webhook: its vendor sends no deliveries")
    until = now()
    begin = moment_of(since) if since else until - PERIOD
    cases = list(_cases(where, name, begin))
    owners = {each: case for case in cases for each in _ids_of(case)}
    rows = [_row(found, owners) for found in _deliveries(where, settings, begin)]
    lost = [_lost(case) for case in cases if _is_lost(case, begin, until - SETTLED, rows)]
    return {
        "connection": name,
        "vendor": settings.vendor,
        "url": where.webhook_urls.get(name),
        "since": iso(begin),
        "until": iso(until),
        "received": len(rows) + sum(each["repeats"] for each in rows),
        "accepted": sum(each["verdict"] == "accepted" for each in rows),
        **{kind: len(each) for kind, each in _troubled(rows).items()},
        "lost": lost,
        "deliveries": rows,
    }


def _troubled(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the deliveries that were refused, repeated, or late; one may be several."""
    return {
        "refused": [each for each in rows if each["verdict"] == "refused"],
        "repeated": [each for each in rows if each["repeats"]],
        "late": [each for each in rows if each["late_seconds"] is not None],
    }


def _deliveries(where: Target, connection: Connection, begin: datetime) -> Iterator[dict[str, Any]]:
    """Yield the described deliveries, oldest first, with the SHA-256 of what the vendor sent."""
    for key in reversed(list(where.app.evidence.list(connection.name, since=begin))):
        evidence = where.app.evidence.find(key)
        if evidence is None or (found := described(where, key, evidence, connection)) is None:
            continue
        whole = evidence.whole and not evidence.redacted_at
        digest = evidence.sha256 or (hashlib.sha256(evidence.body).hexdigest() if whole else None)
        yield found | {"sha256": digest}


def _cases(where: Target, connection: str, begin: datetime) -> Iterator[Case]:
    cases = where.app.cases
    for record in cases.newest(connection, since=begin - LONGEST_STAY):
        ended = record.completed_at is None or record.completed_at >= begin
        if ended and (case := cases.find(record.id)) is not None:
            yield case


def _ids_of(case: Case) -> Iterator[str]:
    ids = (each for document in case.documents for each in (document.document_id, document.job_id))
    yield from (each for each in (case.record.case_id, *ids) if each)


def _row(found: dict[str, Any], owners: dict[str, Case]) -> dict[str, Any]:
    case = next((owners[each] for each in named(found) if each in owners), None)
    columns = ("received_at", "sha256", "size", "verdict", "cause", "repeats", "event", "case_ids", "document_ids",
               "job_ids", "id")  # fmt: skip
    return {**{each: found[each] for each in columns}, "late_seconds": _late(found, case)}


def _late(found: dict[str, Any], case: Case | None) -> int | None:
    """Return by how many seconds the case's first delivery came after its first result; None if it was not late."""
    if case is None or found["verdict"] != "accepted" or case.record.completed_at is None:
        return None
    if case.record.standing != 1:  # later deliveries may be about later changes
        return None
    seconds = (moment(found["received_at"]) - case.record.completed_at).total_seconds()
    return round(seconds) if seconds > 0 else None


def _is_lost(case: Case, begin: datetime, settled: datetime, rows: Iterable[dict[str, Any]]) -> bool:
    record = case.record
    if not record.status.completed or record.appends_to or record.woken or record.completed_at is None:
        return False
    if not begin <= record.completed_at <= settled:
        return False
    ids = {*_ids_of(case)}
    return not any(ids.intersection(named(row)) for row in rows)


def _lost(case: Case) -> dict[str, Any]:
    documents = [each.document_id or each.job_id for each in case.documents]
    return {
        "reference": case.record.reference,
        "case_id": case.record.case_id,
        "document_ids": [each for each in documents if each],
        "completed_at": case.record.completed_at,
    }


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    late = f"{duration(row['late_seconds'])} late" if row["late_seconds"] else None
    return (
        when(row["received_at"], seconds=True),
        row["sha256"] or "unknown",
        row["size"],
        ": ".join(filter(None, (row["verdict"], row["cause"] or late))),
        row["repeats"] or "",
        row["event"],
        ", ".join(named(row)),
        row["id"],
    )
