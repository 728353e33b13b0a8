"""Match the files of a Docsumo case with the documents that were sent: by id, since a name alone proves little.

An upload returns a ``doc_id``; the file search returns different ids. A document's file is the one that carries its
``doc_id``. Without one, it is a file of the same name that was not there before the upload: the oldest of them, or the
newest if the case was appended to and its earlier files are unknown. Other files of that name are versions that
somebody else added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dossier.alike import pair, same
from dossier.ports import CaseView
from dossier.replies import identifier
from dossier.vendors.docsumo.answers import KNOWN, PROCESSING, WAITING, File


@dataclass(frozen=True, slots=True)
class Matched:
    """Files of a case: ``own`` by document index, ``versions`` (others of the documents' names), and ``others``."""

    own: dict[int, File]
    versions: list[File]
    others: list[File]


def match(case: CaseView, files: Sequence[File], names: Mapping[int, str] | None = None) -> Matched:
    """Match files with documents; ``names`` are the vendor's names of the documents, by index, as far as known."""
    left = list(files)
    own: dict[int, File] = {}
    for document in case.documents:
        file = next((each for each in left if document.document_id and document.document_id in _ids(each)), None)
        if file is not None:
            own[document.index] = file
            left.remove(file)
    fresh = [each for each in left if not case.before or each.id not in case.before]
    newest = case.appends and case.before is None
    fresh.sort(key=lambda each: str(each.raw.get("created_at") or ""), reverse=newest)
    wanted = [each for each in case.documents if each.index not in own]
    called = [(names or {}).get(each.index, each.name) for each in wanted]
    for place, other in pair(called, [each.name for each in fresh]).found.items():
        own[wanted[place].index] = fresh[other]
        left.remove(fresh[other])
    known = case.before or frozenset()
    called += [each.name for each in case.documents]
    versions = [each for each in left if each.id not in known and any(same(name, each.name) for name in called)]
    return Matched(own, versions, [each for each in left if each not in versions])


def _ids(file: File) -> set[str | None]:
    return {file.id, *(identifier(file.raw.get(key)) for key in ("doc_id", "document_id"))}


def is_settled(case: CaseView, files: Sequence[File]) -> bool:
    """Whether the vendor has finished every document and works on no other file.

    A document that the search does not list yet is ignored. After an append it has to be listed: the case's status may
    be older than the append.
    """
    matched = match(case, files)
    own = [matched.own.get(each.index) for each in case.documents if each.document_id]
    missing, others = own.count(None), [*matched.versions, *matched.others]
    if case.appends and missing:  # the vendor may have renamed them, so any new file counts
        new = [each for each in others if case.before is not None and each.id not in case.before]
        if len(new) < missing or not all(is_read(each) for each in new):
            return False
    if any(each is not None and not is_read(each) for each in own):
        return False
    return all(is_processed(each) for each in others)


def unknown(case: CaseView, files: Sequence[File]) -> tuple[str, ...]:
    """Return the statuses of the case's documents that no page of the vendor's documents."""
    words = {each.status for each in match(case, files).own.values() if each.status and _word(each) not in KNOWN}
    return tuple(sorted(words))


def is_read(file: File) -> bool:
    """Whether the vendor has finished with a document's file, successfully or not.

    An unknown status counts as finished: this is only called for cases that count as done.
    """
    return _word(file) not in PROCESSING | WAITING


def is_processed(file: File) -> bool:
    """Whether the vendor is not processing a file now."""
    return _word(file) not in PROCESSING


def _word(file: File) -> str:
    return (file.status or "").lower()
