"""From the raw answers that were kept of a Docsumo case to Dossier's own result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dossier.alike import pair
from dossier.http import decode
from dossier.models import Document
from dossier.ports import CaseView
from dossier.result import DocumentResult, Result
from dossier.vendors.docsumo import replies
from dossier.vendors.docsumo.replies import Entry, File, Sent
from dossier.vendors.docsumo.settings import Done

CASE, FILES, AFTER, UPLOAD = "case", "files", "after", "upload-"
"""Names under which raw answers are kept: the list page with the case, its files, the after-steps, each upload."""


def gave_up(entry: Entry, done: Done) -> bool:
    """Whether the vendor gave up on a case: a failing status that the connection does not call done."""
    return entry.status in replies.FAILED and not is_done(entry, done)


def is_done(entry: Entry, done: Done) -> bool:
    """Whether a case counts as finished by the connection's ``done``."""
    return entry.status in done.status or entry.stage_id in done.stage_id


def failure(status: str | None, error: str | None) -> str | None:
    """Return why something failed, or None if its status is no failing one."""
    if status not in replies.FAILED:
        return None
    return f'the vendor says "{status}"' + (f": {error}" if error else "")


def read_result(case: CaseView, done: Done, raw: Mapping[str, bytes], *, title: str | None) -> Result:
    """Build the result of a case from its raw answers; what they lack is left out. ``title`` is None for the vendor's.

    The guide names no extracted values in any JSON answer: they are in the files, which are artifacts.
    """
    entry = _entry(raw.get(CASE), case.case_id)
    found = replies.file_list(_json(raw.get(FILES))) or []
    sent = [each for name in raw if name.startswith(UPLOAD) for each in _documents(raw[name])]
    documents = _of_case(case.documents, found, sent) if case.documents else [_of_file(each) for each in found]
    failed = entry is not None and gave_up(entry, done)
    errors = [each.error for each in documents if each.error]
    wholly = bool(errors) and len(errors) == len(documents)
    reason = f"every document failed: {errors[0]}" if wholly else None
    return Result(
        case_id=case.case_id,
        status="failed" if failed or wholly else "completed_with_failures" if errors else "completed",
        reason=failure(entry.status, entry.error) if entry is not None and failed else reason,
        title=title or (entry.name if entry else None),
        documents=documents,
    )


def _of_case(documents: Iterable[Document], found: list[File], sent: list[Sent]) -> list[DocumentResult]:
    """Say how each document stands: by its file if that can be told, else as its upload's answer said."""
    listed, left = list(documents), list(sent)
    answers = [_take_answer(each, left) for each in listed]
    files = _files_of(listed, answers, found)
    return [_of_document(each, files.get(place), answers[place]) for place, each in enumerate(listed)]


def _files_of(documents: Sequence[Document], answers: Sequence[Sent | None], files: Sequence[File]) -> dict[int, File]:
    """Return the file of each document, by place: by id (an adopted upload has it), else by name.

    The name is the vendor's own for it, where the upload's answer gave one.
    """
    by_id = {each.id: each for each in files if each.id}
    taken = {place: by_id[each.document_id] for place, each in enumerate(documents) if each.document_id in by_id}
    rest = [each for each in files if not any(each is other for other in taken.values())]
    left = [place for place in range(len(documents)) if place not in taken]
    names = [(answer.name if (answer := answers[place]) else None) or documents[place].name for place in left]
    pairs = pair(names, [each.name for each in rest])
    return taken | {left[place]: rest[other] for place, other in pairs.found.items()}


def _of_document(document: Document, file: File | None, answer: Sent | None) -> DocumentResult:
    status = (file and file.status) or document.status or (answer and answer.status) or None
    error = failure(file.status, file.error) if file else failure(answer.status, answer.error) if answer else None
    if document.error or document.failed:
        error = document.error or error or "it failed"
    return DocumentResult(document_id=document.document_id, name=document.name, status=status, error=error)


def _of_file(file: File) -> DocumentResult:
    return DocumentResult(
        document_id=file.id, name=file.name, status=file.status, error=failure(file.status, file.error)
    )


def _take_answer(document: Document, answers: list[Sent]) -> Sent | None:
    taken = next((each for each in answers if document.document_id and each.doc_id == document.document_id), None)
    if taken is not None:
        answers.remove(taken)
    return taken


def _entry(body: bytes | None, case_id: str | None) -> Entry | None:
    """Return the case's entry: kept by itself, or (by the version before) within its page of the list."""
    answer = _json(body)
    if isinstance(answer, dict) and "case_id" in answer:
        own = replies.entry(answer)
        return own if own.case_id == case_id else None
    listed = _data(body).get("cases")
    entries = [replies.entry(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return next((each for each in entries if each.case_id == case_id), None)


def _documents(body: bytes) -> list[Sent]:
    return replies.documents_of(_data(body)) or []


def _data(body: bytes | None) -> dict[str, Any]:
    answer = _json(body)
    data = answer.get("data", answer) if isinstance(answer, dict) else {}
    return data if isinstance(data, dict) else {}


def _json(body: bytes | None) -> Any:
    try:
        return decode(body or b"null")
    except (ValueError, RecursionError):
        return None
