"""Read DocuStack's answers. Unknown keys, missing keys and other types never raise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.ports import DocumentState
from dossier.replies import ERROR, STATUS, identifier, line
from dossier.values import as_text, score_of

ENDED = {"completed": False, "failed": True}
"""The terminal statuses (guide, "Step 3"), and whether they mean failure."""

MOST_FIELDS = 1_000_000
"""A larger ``fields_extracted`` is ignored."""

NO_REASON = "DocuStack could not extract it"
"""The error of a failed document for which the vendor gives no reason."""

RUNNING = frozenset({"uploaded", "pending", "queued", "processing", "in_progress", "running", "extracting"})
"""Usual words for "still running"; the guide names none. Any other word is reported as unknown."""


def first_id(value: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first id under one of ``keys``, or None."""
    return next((found for key in keys if (found := identifier(value.get(key)))), None)


def problem(value: Mapping[str, Any]) -> str | None:
    """Return an answer's error message, in one line, or None."""
    for key in ("error", "error_message", "failure_reason", "detail"):
        said = value.get(key)
        if isinstance(said, Mapping):
            said = said.get("message") or said.get("detail") or said
        if said:
            return line(as_text(said) or "", ERROR) or None
    return None


def document_state(answer: Mapping[str, Any]) -> DocumentState:
    """Return a document's state; any status but ``completed`` and ``failed`` is still running."""
    status = line(as_text(answer.get("status")) or "", STATUS)
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
    """Whether a status is neither in the guide nor in ``RUNNING``."""
    return status.lower() not in ENDED and status.lower() not in RUNNING
