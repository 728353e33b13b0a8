"""Reading DocuStack's answers leniently: unknown keys, missing keys and other types never break it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.ports import DocumentState
from dossier.replies import ERROR, STATUS, identifier, line
from dossier.values import score_of, text_of

ENDED = {"completed": False, "failed": True}
"""The terminal statuses (guide, "Step 3"), and whether they mean failure."""

MOST_FIELDS = 1_000_000
"""Most fields that a document is taken to have."""

NO_REASON = "DocuStack could not extract it"
"""What is said of a failed document of which the vendor says nothing."""

RUNNING = frozenset({"uploaded", "pending", "queued", "processing", "in_progress", "running", "extracting"})
"""Ordinary words for "still running". The guide names none; whatever is not here either is reported as unknown."""


def first_id(value: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first id that stands under one of ``keys``."""
    return next((found for key in keys if (found := identifier(value.get(key)))), None)


text = text_of
"""A value as the vendor wrote it: text as it is, None as None, anything else as JSON."""


def problem(value: Mapping[str, Any]) -> str | None:
    """Return what an answer says went wrong, where it says so."""
    for key in ("error", "error_message", "failure_reason", "detail"):
        said = value.get(key)
        if isinstance(said, Mapping):
            said = said.get("message") or said.get("detail") or said
        if said:
            return line(text(said) or "", ERROR) or None
    return None


def document_state(answer: Mapping[str, Any]) -> DocumentState:
    """Return how a document stands; whatever is neither completed nor failed is still running."""
    status = line(text(answer.get("status")) or "", STATUS)
    word = status.lower()
    failed = ENDED.get(word, False)
    error = (problem(answer) or NO_REASON) if failed else None
    progress: Any = answer.get("extraction_progress")
    known = isinstance(progress, int | float) and not isinstance(progress, bool) and 0 <= progress <= 100
    percent = int(progress) if known else None
    extracted, _ = score_of(answer.get("fields_extracted"), most=MOST_FIELDS)
    return DocumentState(
        status=status,
        finished=word in ENDED,
        failed=failed,
        error=error,
        progress=percent,
        fields_extracted=extracted if isinstance(extracted, int) else None,
    )


def is_unknown(status: str) -> bool:
    """Whether a status is neither one of the guide's nor an ordinary word for "running"."""
    return status.lower() not in ENDED and status.lower() not in RUNNING
