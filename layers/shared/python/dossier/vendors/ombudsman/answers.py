"""Read the partner API's answers. Nulls, unknown keys and other types never raise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dossier.lost import labels
from dossier.models import iso
from dossier.ports import DocumentState
from dossier.replies import ERROR, STATUS, identifier, line
from dossier.values import epoch, score_of, text

DOCUMENT_RUNNING = frozenset({"pending_processing", "processing"})
DOCUMENT_ENDED = {"processing_complete": False, "processing_failed": True}
"""A document's statuses (guide, "Document Status Progression"): the terminal ones, and whether they mean failure."""
CASE_RUNNING = frozenset({"created", "processing"})
CASE_ENDED = {"processed": False, "error": True}
"""A case's statuses (guide, "Case Status Progression"): the terminal ones, and whether they mean failure."""

MOST_SUPPORT = 10
"""Scores go from 0 to this (guide, "Evidence Document Fields")."""
_MIDNIGHT = re.compile(r"(\d{4}-\d{2}-\d{2})T00:00:00(?:\.0+)?(?:Z|\+00:00)")


def entries(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list; an empty list for anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def status(answer: Mapping[str, Any]) -> str:
    """Return the vendor's status, or an empty text."""
    return line(text(answer.get("status")) or "", STATUS)


def problem(answer: Mapping[str, Any]) -> str | None:
    """Return an answer's error message, or None. The guide has no key for it; these are the usual ones."""
    keys = ("error", "error_message", "failure_reason")
    return line(next((found for key in keys if (found := text(answer.get(key)))), ""), ERROR) or None


def document_state(answer: Mapping[str, Any]) -> DocumentState:
    """Return an evidence document's state; a status that is not in the guide is not finished."""
    word = status(answer)
    failed = DOCUMENT_ENDED.get(word, False)
    error = (problem(answer) or "the vendor could not process it") if failed else None
    return DocumentState(status=word, finished=word in DOCUMENT_ENDED, failed=failed, error=error)


def evidence_of(case: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the evidence documents in a case's answer, by id."""
    return {
        document_id: each
        for each in entries(case.get("evidence"))
        if (document_id := identifier(each.get("document_id"))) is not None
    }


def evidence_labels(case: Mapping[str, Any]) -> list[str]:
    """Return the ids of a case's evidence, with a stand-in for each missing or unusable one."""
    return labels(each.get("document_id") for each in entries(case.get("evidence")))


def day(value: object) -> str | None:
    """Return a date as ``YYYY-MM-DD`` if the vendor gives midnight UTC, its form of a date; else its text.

    A number counts as a time since the epoch, in seconds or milliseconds.
    """
    moment = epoch(value)
    written = iso(moment) if moment is not None else text(value) if isinstance(value, str) else None
    if written is None:
        return None
    match = _MIDNIGHT.fullmatch(written.strip())
    return match.group(1) if match else written


def score(value: object) -> int | float | None:
    """Return a support score from 0 to 10, or None."""
    return score_of(value, most=MOST_SUPPORT)[0]
