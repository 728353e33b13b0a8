"""Which files of a Docsumo case are this case's documents: they are told apart by id, a name alone proves little.

An upload is answered with a ``doc_id``, and the file search gives files ids of their own. So a document's file is one
that says so; else, among those of its name, one that was not there before the upload: the oldest, or of an append to a
case of which that is not known, the newest. What is left of that name is a version that somebody else has put there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dossier.alike import pair, same
from dossier.models import Document
from dossier.ports import CaseView
from dossier.replies import identifier
from dossier.vendors.docsumo.replies import KNOWN, PROCESSING, WAITING, File


@dataclass(frozen=True, slots=True)
class Matched:
    """``own``: by the document's index; ``versions``: other files of the documents' names; ``others``: the rest."""

    own: dict[int, File]
    versions: list[File]
    others: list[File]


def match(case: CaseView, files: Sequence[File], names: Mapping[int, str] | None = None) -> Matched:
    """Tell the files of a case apart; ``names`` are the vendor's own for its documents, where it has answered any."""
    left = list(files)
    own: dict[int, File] = {}
    for document in case.documents:
        _take(own, document, (each for each in left if _says_so(each, document)), left)
    fresh = [each for each in left if not case.before or each.id not in case.before]
    newest = case.appends and case.before is None
    fresh.sort(key=lambda each: str(each.raw.get("created_at") or ""), reverse=newest)
    wanted = [each for each in case.documents if each.index not in own]
    called = [(names or {}).get(each.index, each.name) for each in wanted]
    for place, other in pair(called, [each.name for each in fresh]).found.items():
        own[wanted[place].index] = fresh[other]
        left.remove(fresh[other])
    known = case.before or frozenset()
    told = [*called, *(each.name for each in case.documents)]
    versions = [each for each in left if each.id not in known and any(same(name, each.name) for name in told)]
    return Matched(own, versions, [each for each in left if each not in versions])


def _take(own: dict[int, File], document: Document, fitting: Iterable[File], left: list[File]) -> None:
    found = next(iter(fitting), None)
    if found is not None:
        own[document.index] = found
        left.remove(found)


def _says_so(file: File, document: Document) -> bool:
    ids = {file.id, *(identifier(file.raw.get(key)) for key in ("doc_id", "document_id"))}
    return document.document_id is not None and document.document_id in ids


def is_settled(case: CaseView, files: Sequence[File]) -> bool:
    """Whether none of the case's own documents is being processed any more, nor any other file.

    A file that the search does not have (yet) says nothing; but what was appended to a case has to be there, since how
    the case stands may be from before.
    """
    matched = match(case, files)
    own = [matched.own.get(each.index) for each in case.documents if each.document_id]
    missing, others = own.count(None), [*matched.versions, *matched.others]
    if case.appends and missing:  # by whatever name they are listed, they are among the new ones
        new = [each for each in others if case.before is not None and each.id not in case.before]
        if len(new) < missing or not all(is_read(each) for each in new):
            return False
    if any(each is not None and not is_read(each) for each in own):
        return False
    return all(is_processed(each) for each in others)


def unknown(case: CaseView, files: Sequence[File]) -> tuple[str, ...]:
    """Return the statuses of the case's own documents that no page of the vendor's names."""
    words = {each.status for each in match(case, files).own.values() if each.status and _word(each) not in KNOWN}
    return tuple(sorted(words))


def is_read(file: File) -> bool:
    """Whether the vendor is through with a document's file, for better or worse.

    A word that no page names says nothing against it: this is asked of cases that count as done.
    """
    return _word(file) not in PROCESSING | WAITING


def is_processed(file: File) -> bool:
    """Whether the vendor does not work on a file now."""
    return _word(file) not in PROCESSING


def _word(file: File) -> str:
    return (file.status or "").lower()
