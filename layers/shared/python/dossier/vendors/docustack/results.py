"""Build the result from the stored answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dossier.http import decode
from dossier.models import Document
from dossier.options import text_of
from dossier.ports import CaseView
from dossier.replies import name as short
from dossier.result import UNFINISHED, DocumentResult, FieldValue, Result
from dossier.values import as_text, field
from dossier.vendors.docustack.answers import NO_REASON, document_state, problem
from dossier.vendors.docustack.requests import kept_as


def read_result(case: CaseView, raw: Mapping[str, bytes]) -> Result:
    """Build the result: each document with its field values. The fields of an only document are also the case's."""
    warnings: list[str] = []
    documents = [_document(case, document, _answer(document, raw), warnings) for document in case.documents]
    failed = [document for document in documents if document.error is not None]
    result = Result(title=text_of(case.options, "case_title"), documents=documents, warnings=warnings)
    if len(documents) == 1:
        result.fields = list(documents[0].fields)
    if failed:
        result.status = "failed" if len(failed) == len(documents) else "completed_with_failures"
        result.reason = "; ".join(f"{each.name}: {each.error}" for each in failed)[:1000]
    return result


def _answer(document: Document, raw: Mapping[str, bytes]) -> Mapping[str, Any]:
    if document.document_id is None:
        return {}
    try:
        answer = decode(raw.get(kept_as(document.document_id), b""), constant=str)  # "NaN" is a value here
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _document(case: CaseView, document: Document, answer: Mapping[str, Any], warnings: list[str]) -> DocumentResult:
    state = document_state(answer)
    failed = state.failed or (document.failed and not state.finished)
    own = document.error if document.error != NO_REASON else None
    error = problem(answer) or own or case.said.get(document.job_id or "") or NO_REASON
    again = document.finished and bool(state.status) and not state.finished
    values = answer.get("field_values")
    fields = list(read_fields(values))
    unnamed = len(values) - len(fields) if isinstance(values, list) else 0
    if unnamed:
        warnings.append(f"{document.name}: {unnamed} field values without a name are only in the vendor's answer")
    extracted = document.fields_extracted
    if extracted is not None and answer and extracted > len(fields) + unnamed:
        warnings.append(f"{document.name}: DocuStack extracted {extracted} fields, but its answer has {len(fields)}")
    return DocumentResult(
        document_id=document.document_id,
        name=(short(as_text(answer.get("name")) or "") if not document.key and not document.ref else "")
        or document.name,
        status=state.status or document.status,
        error=f"{UNFINISHED}: DocuStack processes it again" if again else error if failed else None,
        fields_extracted=extracted,
        fields=fields,
    )


def read_fields(values: object) -> Iterator[FieldValue]:
    """Yield the values in a document's ``field_values``; items without a name are left out."""
    for value in values if isinstance(values, list) else []:
        if not isinstance(value, dict):
            continue
        name = as_text(value.get("field_name")) or as_text(value.get("field_key"))
        if not name:
            continue
        yield field(
            as_text(value.get("field_key")) or re.sub(r"\W+", "_", name.lower()).strip("_") or name,
            name,
            value.get("value"),
            confidence=value.get("confidence"),
            inferred=value.get("was_inferred") is True,
            edited=value.get("manually_edited") is True,
        )
