"""Docsumo's replies, as values. Unknown keys are ignored, missing ones are None, ids are opaque text.

A reply is a success if the HTTP status and the envelope's ``status``/``status_code`` both say so
(``dossier.replies.read``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dossier.errors import MalformedAnswerError
from dossier.http import Reply, Request
from dossier.lost import Entry as Listed
from dossier.lost import labels
from dossier.replies import ERROR, STATUS, identifier, line, missing, name, read, read_object
from dossier.stamps import Stamp
from dossier.values import text

FAILED = frozenset({"erred", "error", "failed"})
"""Statuses of a case, document or file that Docsumo has given up on (public pages name "erred")."""

PROCESSING = frozenset({"processing", "in_progress", "queued", "pending"})
"""Statuses of a file that the vendor is processing."""
WAITING = frozenset({"new", "uploaded"})
"""Statuses of a file that the vendor has not begun to process."""

KNOWN = FAILED | {"new", "uploaded", "processing", "reviewing", "review_required", "review_skipped", "processed"}
"""Statuses that the guide or another public page names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the list of cases (guide 1.B); ``raw`` is the vendor's object."""

    case_id: str | None
    name: str | None
    stage_id: str | None
    status: str | None
    created: Stamp | None
    modified: Stamp | None
    assigned_to: str | None
    error: str | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labelled:
    """An entry for a look-up: a label stands in for an id that is missing or unusable."""

    entry: Listed
    case_id: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. ``size`` counts every item in it; ``total`` is None if the vendor does not report it."""

    entries: tuple[Entry, ...]
    size: int
    total: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A file of a case (guide 2, step 1). Its ``id`` is not a document's ``doc_id``."""

    id: str | None
    name: str | None
    status: str | None
    error: str | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A document in an upload's answer (guide 1.A)."""

    doc_id: str | None
    name: str | None
    status: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class UploadAnswer:
    """An upload's answer (guide 1.A)."""

    case_id: str
    documents: Sequence[Sent]


def upload_answer(request: Request, reply: Reply) -> UploadAnswer:
    """Read an upload's answer.

    Raises:
        OutcomeUnknownError: a success without ``case_id`` or ``documents``; also the errors of
            ``dossier.replies.read``.

    """
    data = _data(read_object(request, reply))
    case_id = identifier(data.get("case_id"))
    if case_id is None:
        raise missing(request, reply, "case_id")
    documents = documents_of(data)
    if documents is None:
        raise missing(request, reply, "documents")
    return UploadAnswer(case_id, documents)


def documents_of(data: dict[str, Any]) -> list[Sent] | None:
    """Return ``documents[]`` of an upload's ``data``, or None if it has no such list."""
    listed = data.get("documents")
    if not isinstance(listed, list):
        return None
    return [
        Sent(identifier(each.get("doc_id")), named(each, "filename"), status(each), reason(each))
        for each in listed
        if isinstance(each, dict)
    ]


def page(request: Request, reply: Reply) -> Page:
    """Read one page of cases; the total is ``data.total_count`` or in ``data.pagination``.

    Raises:
        MalformedAnswerError: there is no list of cases; also the errors of ``dossier.replies.read``.

    """
    data = _data(read_object(request, reply))
    listed = data.get("cases")
    if not isinstance(listed, list):
        raise missing(request, reply, "cases")
    pagination = data.get("pagination")
    inner = pagination if isinstance(pagination, dict) else {}
    totals = (data.get("total_count"), inner.get("total_count"), inner.get("total"))
    total = next((each for each in totals if isinstance(each, int) and not isinstance(each, bool)), None)
    return Page(tuple(entry(each) for each in listed if isinstance(each, dict)), len(listed), total)


def entry(raw: dict[str, Any]) -> Entry:
    """Read one case of the list."""
    return Entry(
        case_id=identifier(raw.get("case_id")),
        name=named(raw, "case_name"),
        stage_id=identifier(raw.get("stage_id")),
        status=status(raw),
        created=Stamp.of(raw.get("created_date")),
        modified=Stamp.of(raw.get("modified_date")),
        assigned_to=identifier(raw.get("assigned_to")),
        error=reason(raw),
        raw=raw,
    )


def labelled(entries: Sequence[Entry]) -> list[Labelled]:
    """Return entries for a look-up (``dossier.lost``)."""
    names = labels(each.raw.get("case_id") for each in entries)
    return [Labelled(Listed(name, each.created), each.case_id) for name, each in zip(names, entries, strict=True)]


def files(request: Request, reply: Reply) -> list[File]:
    """Read a file search's answer: a bare array, or the usual envelope around one.

    Raises:
        MalformedAnswerError: there is no list of files; also the errors of ``dossier.replies.read``.

    """
    listed = file_list(read(request, reply))
    if listed is None:
        raise MalformedAnswerError(f"{request.method} {request.path}: the vendor's answer is not a list of files")
    return listed


def file_list(answer: Any) -> list[File] | None:
    """Return the files in a file search's decoded answer, or None if it is not a list."""
    if isinstance(answer, dict):
        answer = answer.get("data")
    if isinstance(answer, dict):
        answer = answer.get("files")
    if not isinstance(answer, list):
        return None
    return [
        File(identifier(each.get("id")), named(each, "filename"), status(each), reason(each), each)
        for each in answer
        if isinstance(each, dict)
    ]


def download_url(request: Request, reply: Reply) -> str:
    """Read a file's temporary URL, unchanged.

    Raises:
        MalformedAnswerError: there is none; also the errors of ``dossier.replies.read``.

    """
    url = _data(read_object(request, reply)).get("url")
    if not isinstance(url, str) or not url:
        raise missing(request, reply, "url")
    return url


def status(raw: dict[str, Any]) -> str | None:
    """Return the vendor's status, or None."""
    return line(text(raw.get("status")) or "", STATUS) or None


def named(raw: dict[str, Any], key: str) -> str | None:
    """Return the name or title under ``key``, or None."""
    return name(text(raw.get(key)) or "") or None


def reason(raw: dict[str, Any]) -> str | None:
    """Return an object's error message, in one line, or None."""
    said = next((each for key in ("error", "error_message", "message") if (each := text(raw.get(key)))), None)
    return line(said, ERROR) or None if said else None


def _data(answer: dict[str, Any]) -> dict[str, Any]:
    data = answer.get("data")
    return data if isinstance(data, dict) else answer
