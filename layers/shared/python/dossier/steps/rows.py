"""Results as rows: the fields of a case, one row each, and the whole result on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dossier.models import iso
from dossier.result import Amount, FieldValue, Result
from dossier.stores.cases import CaseRecord

COLUMNS: Mapping[str, type[str] | type[int] | type[float] | type[bool]] = {
    "connection": str, "reference": str, "vendor": str, "case_id": str, "status": str, "revision": int,
    "collected_at": str, "submitted_at": str, "document": str, "document_id": str, "document_status": str,
    "key": str, "name": str, "value": str, "type": str, "typed": str, "currency": str, "confidence": float,
    "edited": bool, "inferred": bool, "review": bool,
}  # fmt: skip
"""The columns of a field's row, and their types. Times are ISO 8601; ``typed`` is text, or a boolean."""
RESULTS, FIELDS = "results", "fields"
"""The tables for SQL: a row for each case (its ``result.json``), and one for each field."""


def rows_of(record: CaseRecord, result: Result) -> Iterator[dict[str, Any]]:
    """Yield a row by column name for each field of a result: the case's own, then those of each document.

    A case of one document also has that document's fields as its own (DocuStack). Each of them is one row, the
    document's, so that a sum over the rows counts no amount twice. A case without fields is one row.
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


def whole(record: CaseRecord, result: Result) -> dict[str, Any]:
    """Return ``result.json`` as a row of the table ``results``: ``typed`` is text, an amount its JSON."""
    row = result.model_dump(mode="json")
    row |= {"connection": record.connection, "reference": record.reference, "vendor": record.vendor}
    row["submitted_at"] = iso(record.submitted_at)
    for fields in (row["fields"], *(each["fields"] for each in row["documents"])):
        for each in fields:
            each["typed"] = text_of(each["typed"])
    return row


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


def text_of(typed: object) -> str | None:
    """Return a typed value as text; anything but text as JSON."""
    return typed if typed is None or isinstance(typed, str) else json.dumps(typed, ensure_ascii=False)
