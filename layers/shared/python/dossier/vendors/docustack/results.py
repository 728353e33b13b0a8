"""From the kept answers to the result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dossier.errors import MalformedAnswerError
from dossier.http import Reply
from dossier.models import Document
from dossier.ports import CaseView
from dossier.result import DocumentResult, FieldValue, Result
from dossier.vendors.docustack.answers import document_state, problem, text
from dossier.vendors.docustack.requests import kept_as


def read_result(case: CaseView, raw: Mapping[str, bytes]) -> Result:
    """Build the result: per document its field values; those of a case's only document are the case's, too."""
    documents = [_document(document, _answer(document, raw)) for document in case.documents]
    failed = [document for document in documents if document.error is not None]
    title = case.options.get("case_title")
    result = Result(title=title if isinstance(title, str) else None, documents=documents)
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
        answer = Reply(200, raw.get(kept_as(document.document_id), b"")).json()
    except MalformedAnswerError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _document(document: Document, answer: Mapping[str, Any]) -> DocumentResult:
    state = document_state(answer)
    failed = state.failed or (document.failed and not state.finished)
    error = problem(answer) or document.error or state.error or "DocuStack could not extract it"
    return DocumentResult(
        document_id=document.document_id,
        name=document.name,
        status=state.status or document.status,
        error=error if failed else None,
        fields=list(read_fields(answer.get("field_values"))),
    )


def read_fields(values: object) -> Iterator[FieldValue]:
    """Yield a document's ``field_values``; what is none is left out."""
    for value in values if isinstance(values, list) else []:
        if not isinstance(value, dict):
            continue
        name = text(value.get("field_name")) or text(value.get("field_key"))
        if not name:
            continue
        yield FieldValue(
            key=text(value.get("field_key")) or _slug(name),
            name=name,
            value=text(value.get("value")),
            confidence=_confidence(value.get("confidence")),
            inferred=value.get("was_inferred") is True,
            edited=value.get("manually_edited") is True,
        )


def _confidence(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_") or name
