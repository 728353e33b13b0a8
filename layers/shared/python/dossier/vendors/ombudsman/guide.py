"""The fields that the partner API's guide documents, by the name under which answers are stored (``dossier.drift``)."""

from __future__ import annotations

from collections.abc import Mapping

from dossier.http import Refusal

_EVIDENCE = (
    "document_id",
    "case_id?",  # in the document's own answer, not always in the case's list
    "external_document_id?",
    "status?",
    "uploaded_at?",
    "title",
    "short_description",
    "summary?",
    "case_insights",
    "event_date?",
    "event_date_start?",
    "event_date_end?",
    "claimant_support_score",
    "defendant_support_score",
)
_ENTRY = ("timeline_id", "title", "description", "timeline_date", "is_ai_generated")
_CASE = (
    "case_id",
    "external_case_id",
    "ombudsman",
    "case_type_id",
    "case_type_name",
    "status",
    "case_title",
    "case_summary",
    "case_specific_fields",
    "processing_started_at",
    "processing_completed_at",
    "created_at",
    "updated_at",
)

DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "case": (
        *_CASE,
        *(f"chronology[].{each}" for each in _ENTRY),
        "chronology[].documents[].document_id",
        "chronology[].documents[].external_document_id",
        *(f"evidence[].{each}" for each in _EVIDENCE),
    ),  # "Step 5", "Response Field Reference" and the examples
    "evidence-": tuple(each.removesuffix("?") for each in _EVIDENCE),  # "Step 2b"
}

REFUSAL: Refusal = (frozenset({"statusCode", "message"}),)
"""The keys of a rejection (guide, "Example Error Response")."""
