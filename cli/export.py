"""``dossier export``: the fields of finished cases as CSV, for a spreadsheet or a database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cli.deliveries import moment_of
from cli.output import Output
from cli.status import newest_of
from cli.target import Target
from dossier.models import iso
from dossier.result import Amount, FieldValue, Result, read_stored
from dossier.steps.views import result_key
from dossier.stores.cases import CaseRecord
from dossier.texts import counted

COLUMNS = (
    "connection", "reference", "vendor", "case_id", "status", "revision", "collected_at", "submitted_at", "document",
    "document_id", "document_status", "key", "name", "value", "type", "typed", "currency", "confidence", "edited",
    "inferred", "review",
)  # fmt: skip
AT_ONCE = 8
"""Results read at once."""


def export(out: Output, where: Target, *, connection: str | None, since: str | None) -> None:
    """Print one row for each field of each finished case, latest submitted first; one row for a case without fields.

    Args:
        out: prints the rows: CSV by RFC 4180, or with ``--json`` a list of objects with the same names.
        where: the deployment.
        connection: only its cases.
        since: only cases submitted since then: ``30m``, ``2h``, ``3d`` or a time.

    Raises:
        BadUsageError: an unknown connection, or an invalid time.

    """
    names = where.with_cases(connection)
    begin = None if since is None else moment_of(since)
    finished = [each for each in newest_of(where, names, begin, None) if each.status.final]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda record: _result(where, record), finished))
    rows = [
        row
        for record, result in zip(finished, found, strict=True)
        for row in ([] if result is None else rows_of(record, result))
    ]
    out.document(rows)
    out.csv(COLUMNS, (row.values() for row in rows))
    missing = sum(each is None for each in found)
    lost = f"; {counted(missing, 'result')} no longer in the bucket" if missing else ""
    out.progress(f"{counted(len(rows), 'row')} of {counted(len(finished) - missing, 'case')}{lost}")


def rows_of(record: CaseRecord, result: Result) -> Iterator[dict[str, Any]]:
    """Yield a row by column name for each field of a result: the case's own, then those of each document.

    A case of one document has that document's fields as its own too (DocuStack): each is one row, the document's, so
    that a sum over the rows counts no amount twice.
    """
    case = {
        "connection": record.connection,
        "reference": record.reference,
        "vendor": record.vendor,
        "case_id": result.case_id,
        "status": result.status,
        "revision": result.revision,
        "collected_at": result.collected_at,
        "submitted_at": iso(record.submitted_at),
    }
    own = [] if result.fields in [each.fields for each in result.documents] else result.fields
    parts: list[tuple[dict[str, Any], list[FieldValue]]] = [({}, own)]
    for each in result.documents:
        document = {"document": each.name, "document_id": each.document_id, "document_status": each.status}
        parts.append((document, each.fields))
    rows = [{**case, **part, **_field(each)} for part, fields in parts for each in fields]
    yield from ({name: row.get(name) for name in COLUMNS} for row in rows or [case])


def _field(field: FieldValue) -> dict[str, Any]:
    typed = field.typed
    amount = typed if isinstance(typed, Amount) else None
    return {
        "key": field.key,
        "name": field.name,
        "value": field.value,
        "type": field.type,
        "typed": amount.amount if amount else typed,
        "currency": (amount.currency or amount.symbol) if amount else None,
        "confidence": field.confidence,
        "edited": field.edited,
        "inferred": field.inferred,
        "review": field.review,
    }


def _result(where: Target, record: CaseRecord) -> Result | None:
    key = result_key(record)
    body = where.app.objects.read(key) if key else None
    return None if body is None else read_stored(body)
