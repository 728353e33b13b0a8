"""Build the result from the stored answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.errors import MalformedAnswerError
from dossier.http import Reply, decode
from dossier.models import Document
from dossier.options import text_of
from dossier.ports import CaseView
from dossier.replies import identifier, line
from dossier.replies import name as short
from dossier.result import UNFINISHED, Dates, DocumentResult, Result, Scores, TimelineEntry
from dossier.values import Keys, field, score_of, text
from dossier.vendors.ombudsman.answers import (
    CASE_ENDED,
    MOST_SUPPORT,
    day,
    document_state,
    entries,
    evidence_of,
    problem,
    status,
)
from dossier.vendors.ombudsman.markdown import LONGEST, MOST_WARNINGS, Read, is_absent, read, read_bullets
from dossier.vendors.ombudsman.requests import evidence_path, kept_as


def read_result(case: CaseView, raw: Mapping[str, bytes]) -> Result:
    """Build the result from the stored ``case`` and ``evidence-<id>`` answers (guide, "Response Field Reference")."""
    answer = _answer(raw.get("case"))
    warnings: list[str] = []
    documents = _documents(case, answer, raw, warnings)
    timeline = [_entry(each, warnings) for each in entries(answer.get("chronology"))]
    fields = case_fields(answer.get("case_specific_fields"))
    result = Result(
        vendor_status=status(answer) or None,
        title=short(text(answer.get("case_title")) or "") or text_of(case.options, "case_title"),
        summary=text(answer.get("case_summary")),
        warnings=[*(f"case_specific_fields: {each}" for each in fields.warnings), *warnings],
        fields=fields.fields,
        timeline=timeline,
        documents=documents,
    )
    failed = [document for document in documents if document.error is not None]
    if CASE_ENDED.get(status(answer), False):
        result.status = "failed"
        result.reason = problem(answer) or "the vendor's assessment failed"
    elif status(answer) and status(answer) not in CASE_ENDED and not case.finished:
        result.status = "completed_with_failures" if len(failed) < len(documents) else "failed"
        result.reason = f'the assessment was {UNFINISHED} (the vendor says "{status(answer)}")'
    elif failed:
        result.status = "completed_with_failures"
        result.reason = "; ".join(f"{each.name or each.document_id}: {each.error}" for each in failed)[:1000]
    return result


def case_fields(value: Any) -> Read:
    """Read the case's own fields: markdown (guide, "Case Specific Fields"), or an object of values.

    The object may also be in the text, because an AI that was asked for JSON writes it there.
    """
    if isinstance(value, str):
        value = _object_in(value) or value
    if value is None or isinstance(value, str):
        return read(value or "")
    if isinstance(value, dict):
        keys, values = Keys(), {name: each for name, each in value.items() if not isinstance(each, dict | list)}
        given = {name: None if isinstance(each, str) and is_absent(each) else each for name, each in values.items()}
        unread = [f'not read as a field: "{line(name)}"' for name in value if name not in values]
        return Read([field(keys.key(name), name, each) for name, each in given.items()], unread[:MOST_WARNINGS])
    return Read(warnings=["not a text: it is in the vendor's answer alone"])


def _object_in(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a text, with or without a fence; None if the text is anything else."""
    plain = text.strip()[:LONGEST]
    if plain.startswith("```") and plain.endswith("```"):
        kind, _, inside = plain.strip("`").partition("\n")
        plain = inside.strip() if kind.strip().lower() in {"", "json"} else ""
    try:
        found = decode(plain.encode("utf-8", "replace"), constant=str) if plain.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answer(body: bytes | None) -> Mapping[str, Any]:
    try:
        answer = Reply(200, body or b"").json()
    except MalformedAnswerError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _entry(entry: Mapping[str, Any], warnings: list[str]) -> TimelineEntry:
    listed = [(identifier(each.get("document_id")), each) for each in entries(entry.get("documents"))]
    documents = [(name, identifier(each.get("external_document_id"))) for name, each in listed if name is not None]
    generated = entry.get("is_ai_generated")
    return TimelineEntry(
        timeline_id=identifier(entry.get("timeline_id")),
        title=text(entry.get("title")),
        description=text(entry.get("description")),
        date=_day(entry, "timeline_date", "chronology", warnings),
        documents=[name for name, _ in documents],
        external_document_ids=[external for _, external in documents],
        is_ai_generated=generated if isinstance(generated, bool) else None,
    )


def _documents(
    case: CaseView, answer: Mapping[str, Any], raw: Mapping[str, bytes], warnings: list[str]
) -> list[DocumentResult]:
    """Return the case's documents in order, then earlier evidence. A document's own answer overrides the list."""
    listed = evidence_of(answer)
    case_id = case.case_id or ""

    def read(document_id: str, document: Document | None) -> DocumentResult:
        own = _answer(raw.get(kept_as(evidence_path(case_id, document_id))))
        return _document(document_id, document, {**listed.get(document_id, {}), **own}, warnings)

    known = {each.document_id: each for each in case.documents if each.document_id is not None}
    untaken = [_document(None, each, {}, warnings) for each in case.documents if each.document_id is None]
    ids = [*known, *(each for each in listed if each not in known)]
    return [read(document_id, known.get(document_id)) for document_id in ids] + untaken


def _document(
    document_id: str | None, document: Document | None, answer: Mapping[str, Any], warnings: list[str]
) -> DocumentResult:
    state = document_state(answer)
    failed = state.failed or (document is not None and document.failed and not state.finished)
    error = problem(answer) or (document.error if document else None) or "the vendor could not process it"
    insights = answer.get("case_insights")
    named = (document.name if document else None) or document_id or ""
    again = document is not None and document.finished and bool(state.status) and not state.finished
    return DocumentResult(
        document_id=document_id,
        external_document_id=identifier(answer.get("external_document_id")),
        name=document.name if document else None,
        status=state.status or (document.status if document else None),
        error=f"{UNFINISHED}: the vendor processes it again" if again else error if failed else None,
        title=text(answer.get("title")),
        description=text(answer.get("short_description")),
        summary=text(answer.get("summary")),
        insights=read_bullets(text(insights) or "")
        if not isinstance(insights, list)
        else [found for each in insights if (found := text(each))],
        dates=Dates(
            event=_day(answer, "event_date", named, warnings),
            start=_day(answer, "event_date_start", named, warnings),
            end=_day(answer, "event_date_end", named, warnings),
        ),
        scores=Scores(
            claimant=_score(answer, "claimant_support_score", named, warnings),
            defendant=_score(answer, "defendant_support_score", named, warnings),
        ),
    )


def _day(answer: Mapping[str, Any], key: str, where: str, warnings: list[str]) -> str | None:
    """Return a date; warn about a value that is neither text nor a time since 1970."""
    value = answer.get(key)
    found = day(value)
    if found is None and value is not None and not (isinstance(value, str) and not value.strip()):
        warnings.append(f"{where}: {key} is no date: it is in the vendor's answer alone")
    return found


def _score(answer: Mapping[str, Any], key: str, document: str, warnings: list[str]) -> int | float | None:
    score, readable = score_of(answer.get(key), most=MOST_SUPPORT)
    if not readable:
        warnings.append(
            f"{document}: {key} is not a number from 0 to {MOST_SUPPORT}: it is only in the vendor's answer"
        )
    return score
