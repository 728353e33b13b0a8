"""From the kept answers to the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.errors import MalformedAnswerError
from dossier.http import Reply
from dossier.models import Document
from dossier.ports import CaseView
from dossier.replies import identifier
from dossier.result import Dates, DocumentResult, Result, Scores, TimelineEntry
from dossier.vendors.ombudsman.answers import (
    CASE_ENDED,
    day,
    document_state,
    entries,
    evidence_of,
    problem,
    score,
    status,
    text,
)
from dossier.vendors.ombudsman.markdown import read_bullets, read_fields
from dossier.vendors.ombudsman.requests import evidence_path, kept_as


def read_result(case: CaseView, raw: Mapping[str, bytes]) -> Result:
    """Build the result from the kept ``case`` and ``evidence-<id>`` answers (guide, "Response Field Reference")."""
    answer = _answer(raw.get("case"))
    documents = _documents(case, answer, raw)
    result = Result(
        title=text(answer.get("case_title")) or text(case.options.get("case_title")),
        summary=text(answer.get("case_summary")),
        fields=read_fields(text(answer.get("case_specific_fields")) or ""),
        timeline=[_entry(each) for each in entries(answer.get("chronology"))],
        documents=documents,
    )
    failed = [document for document in documents if document.error is not None]
    if CASE_ENDED.get(status(answer), False):
        result.status = "failed"
        result.reason = problem(answer) or "the vendor's assessment failed"
    elif failed:
        result.status = "completed_with_failures"
        result.reason = "; ".join(f"{each.name or each.document_id}: {each.error}" for each in failed)[:1000]
    return result


def _answer(body: bytes | None) -> Mapping[str, Any]:
    try:
        answer = Reply(200, body or b"").json()
    except MalformedAnswerError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _entry(entry: Mapping[str, Any]) -> TimelineEntry:
    documents = (identifier(each.get("document_id")) for each in entries(entry.get("documents")))
    return TimelineEntry(
        title=text(entry.get("title")),
        description=text(entry.get("description")),
        date=day(entry.get("timeline_date")),
        documents=[each for each in documents if each is not None],
    )


def _documents(case: CaseView, answer: Mapping[str, Any], raw: Mapping[str, bytes]) -> list[DocumentResult]:
    """Return the case's documents in their order, then evidence that was there before; own answers win over lists."""
    listed = evidence_of(answer)
    case_id = case.case_id or ""

    def read(document_id: str, document: Document | None) -> DocumentResult:
        own = _answer(raw.get(kept_as(evidence_path(case_id, document_id))))
        return _document(document_id, document, {**listed.get(document_id, {}), **own})

    known = {each.document_id: each for each in case.documents if each.document_id is not None}
    untaken = [_document(None, each, {}) for each in case.documents if each.document_id is None]
    ids = [*known, *(each for each in listed if each not in known)]
    return [read(document_id, known.get(document_id)) for document_id in ids] + untaken


def _document(document_id: str | None, document: Document | None, answer: Mapping[str, Any]) -> DocumentResult:
    state = document_state(answer)
    failed = state.failed or (document is not None and document.failed and not state.finished)
    error = problem(answer) or (document.error if document else None) or "the vendor could not process it"
    insights = answer.get("case_insights")
    return DocumentResult(
        document_id=document_id,
        name=document.name if document else None,
        status=state.status or (document.status if document else None),
        error=error if failed else None,
        title=text(answer.get("title")),
        description=text(answer.get("short_description")),
        summary=text(answer.get("summary")),
        insights=read_bullets(text(insights) or "")
        if not isinstance(insights, list)
        else [each for each in insights if text(each)],
        dates=Dates(
            event=day(answer.get("event_date")),
            start=day(answer.get("event_date_start")),
            end=day(answer.get("event_date_end")),
        ),
        scores=Scores(
            claimant=score(answer.get("claimant_support_score")),
            defendant=score(answer.get("defendant_support_score")),
        ),
    )
