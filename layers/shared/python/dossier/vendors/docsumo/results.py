"""Build Dossier's result from the stored raw answers of a Docsumo case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from dossier.http import decode
from dossier.models import Document
from dossier.ports import CaseView
from dossier.result import NO_FILES, UNFINISHED, DocumentResult, Result
from dossier.vendors.docsumo import answers
from dossier.vendors.docsumo.answers import Entry, File, Sent
from dossier.vendors.docsumo.matching import match
from dossier.vendors.docsumo.settings import Done

CASE, FILES, NAMED, AFTER, UPLOAD = "case", "files", "files-", "after", "upload-"
_REASONS = ("error", "error_message", "message")
_OF_CASE = ("case_id", "case_name", "stage_id", "status", "created_date", "modified_date", "assigned_to", *_REASONS)
_OF_DOCUMENT = ("doc_id", "filename", "status", *_REASONS)
"""The fields that ``answers.entry`` and ``answers.documents_of`` read."""
"""Names under which raw answers are kept: the list page with the case, its files, its files by each document's name,
the after-steps, each upload."""
Ended = Literal["completed", "completed_with_failures", "failed"]


def gave_up(entry: Entry, done: Done) -> bool:
    """Whether the vendor gave up on a case: a failing status that ``done`` does not list."""
    return _word(entry.status) in answers.FAILED and not is_done(entry, done)


def is_done(entry: Entry, done: Done) -> bool:
    """Whether a case counts as finished by the connection's ``done``; the status is compared case-insensitively."""
    return _word(entry.status) in {each.lower() for each in done.status} or entry.stage_id in done.stage_id


def failure(status: str | None, error: str | None) -> str | None:
    """Return the reason of a failure, or None if the status is not a failing one."""
    if _word(status) not in answers.FAILED:
        return None
    return f'the vendor says "{status}"' + (f": {error}" if error else "")


def _word(status: str | None) -> str:
    return (status or "").lower()


def read_result(
    case: CaseView, done: Done, raw: Mapping[str, bytes], *, title: str | None, triggered: bool = True
) -> Result:
    """Build the result of a case from its raw answers; missing parts are left out. ``title`` replaces the vendor's.

    No JSON answer of the guide contains extracted values: they are in the files, which are artifacts.
    """
    entry = _entry(raw.get(CASE), case.case_id)
    found = _files(raw)
    uploads = [_data(raw[name]) for name in raw if name.startswith(UPLOAD)]  # items() would read every artifact
    sent = [each for upload in uploads for each in answers.documents_of(upload) or []]
    documents = _of_case(case, found, sent) if case.documents else [_of_file(each) for each in found]
    finished = entry is None or is_done(entry, done) or case.completed or (case.finished and triggered)
    if not finished and triggered:
        for each in documents:
            if not each.error and _word(each.status) in answers.PROCESSING | answers.WAITING:
                each.error = UNFINISHED
    failed = entry is not None and gave_up(entry, done)
    errors = [each.error for each in documents if each.error]
    wholly = bool(errors) and len(errors) == len(documents)
    reason = f"every document failed: {errors[0]}" if wholly else None
    if entry is not None and not finished and not failed and triggered:
        reason = f'the case was {UNFINISHED} (the vendor says "{entry.status or entry.stage_id}")'
    partly = bool(errors) or (not finished and triggered)
    ended: Ended = "failed" if failed or wholly else "completed_with_failures" if partly else "completed"
    latest = _after(_data(raw.get(AFTER)), entry, since=case.completed)
    return Result(
        case_id=case.case_id,
        vendor_status=entry.status if entry else None,
        stage_id=latest.stage_id if latest else None,
        assigned_to=latest.assigned_to if latest else None,
        status="uploaded" if ended == "completed" and not finished else ended,
        reason=failure(entry.status, entry.error) if entry is not None and failed else reason,
        title=title or (latest.name if latest else None),
        documents=documents,
        warnings=[NO_FILES] if FILES in raw and case.documents and not found else [],
    )


def modified(case: CaseView, raw: Mapping[str, bytes]) -> str | None:
    """Return the vendor's time of the case's last change, as it writes it."""
    said = _after(_data(raw.get(AFTER)), _entry(raw.get(CASE), case.case_id), since=case.completed)
    return str(said.raw["modified_date"]) if said is not None and said.modified is not None else None


def facts(what: str, body: bytes) -> bytes:
    """Return the parts of an upload's or the after-steps' answer that results need: ids, names, states, times."""
    data = _data(body)
    found: dict[str, Any] = {key: data[key] for key in _OF_CASE if key in data}
    if what.startswith(UPLOAD) and isinstance(data.get("documents"), list):
        sent = [each for each in data["documents"] if isinstance(each, dict)]
        found["documents"] = [{key: each[key] for key in _OF_DOCUMENT if key in each} for each in sent]
    return json.dumps({"data": found}).encode()


def _files(raw: Mapping[str, bytes]) -> list[File]:
    """Return the files of the search, or, if it has none, the files that the searches by document name list."""
    found = answers.file_list(_json(raw.get(FILES))) or []
    if found:
        return found
    named = [answers.file_list(_json(raw[name])) or [] for name in sorted(raw) if name.startswith(NAMED)]
    return list({each.id: each for files in named for each in files}.values())


def _after(answer: dict[str, Any], entry: Entry | None, *, since: bool) -> Entry | None:
    """Return the case as the after-steps left it, unless its entry in the list is later: both by the vendor's clock.

    An entry that was read ``since`` then is later, unless the list lags behind and dates it before them.
    """
    after = answers.entry(answer)
    if entry is None or after.case_id != entry.case_id or after.modified is None:
        return entry
    at = entry.modified
    behind = at is not None and at.before(after.modified)
    return after if behind or (not since and (at is None or at == after.modified)) else entry


def _of_case(case: CaseView, found: list[File], sent: list[Sent]) -> list[DocumentResult]:
    """Return each document's state: from its file if that is known, else from its upload's answer.

    Versions that somebody else added follow as separate results.
    """
    left = list(sent)
    said = {each.index: _take_answer(each, left) for each in case.documents}
    matched = match(case, found, {index: each.name for index, each in said.items() if each and each.name})
    own = [_of_document(each, matched.own.get(each.index), said[each.index]) for each in case.documents]
    return own + [_of_file(each) for each in matched.versions]


def _of_document(document: Document, file: File | None, answer: Sent | None) -> DocumentResult:
    status = (file and file.status) or document.status or (answer and answer.status) or None
    error = failure(file.status, file.error) if file else failure(answer.status, answer.error) if answer else None
    has_file = file is not None and document.document_id is not None
    if (document.error or document.failed) and not has_file:
        error = document.error or error or "it failed"
    return DocumentResult(document_id=document.document_id, name=document.name, status=status, error=error)


def _of_file(file: File) -> DocumentResult:
    return DocumentResult(
        document_id=file.id, name=file.name, status=file.status, error=failure(file.status, file.error)
    )


def _take_answer(document: Document, left: list[Sent]) -> Sent | None:
    taken = next((each for each in left if document.document_id and each.doc_id == document.document_id), None)
    if taken is not None:
        left.remove(taken)
    return taken


def _entry(body: bytes | None, case_id: str | None) -> Entry | None:
    """Return the case's entry: stored by itself or, by an earlier version of Dossier, in its page of the list."""
    answer = _json(body)
    if isinstance(answer, dict) and "case_id" in answer:
        own = answers.entry(answer)
        return own if own.case_id == case_id else None
    listed = _data(body).get("cases")
    entries = [answers.entry(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return next((each for each in entries if each.case_id == case_id), None)


def _data(body: bytes | None) -> dict[str, Any]:
    answer = _json(body)
    data = answer.get("data", answer) if isinstance(answer, dict) else {}
    return data if isinstance(data, dict) else {}


def _json(body: bytes | None) -> Any:
    try:
        return decode(body or b"null")
    except (ValueError, RecursionError):
        return None
