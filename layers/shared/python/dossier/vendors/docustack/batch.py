"""Read the answer to a batch. The guide shows none, so items are matched with documents by any key that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dossier.models import Document
from dossier.ports import Uploaded
from dossier.replies import ERROR, identifier, line
from dossier.values import as_text
from dossier.vendors.docustack.answers import first_id, problem

TAKEN = ("documents", "results", "items", "accepted")
"""Keys under which accepted documents, or all of them, may be listed."""
REFUSED = ("rejected", "failed", "errors")
"""Keys under which rejected documents may be listed."""
REFUSALS = frozenset({"failed", "error", "rejected", "invalid", "refused"})
"""Item statuses that, without a document id, mean that a document was rejected."""


@dataclass(frozen=True, slots=True)
class Item:
    """The answer's item for one document."""

    document_id: str | None = None
    ref: str | None = None
    name: str | None = None
    refusal: str | None = None


def read_batch(answer: object, documents: Sequence[Document]) -> Uploaded:
    """Return an id or a rejection for each document in the answer.

    An item is matched by its ``ref`` (with its query, then without), then by its ``name``, then by its position if as
    many items as documents are left. A document without an item is in neither map and has to be looked up.
    """
    items = [item for item in _items(answer) if item.document_id or item.refusal]
    pairs = _match(items, documents)
    envelope = answer if isinstance(answer, dict) else {}
    return Uploaded(
        document_ids={
            index: item.document_id for index, item in pairs.items() if item.document_id and item.refusal is None
        },
        failures={index: item.refusal for index, item in pairs.items() if item.refusal is not None},
        job_id=first_id(envelope, "job_id"),
    )


def _items(answer: object) -> Iterator[Item]:
    if isinstance(answer, list):
        yield from (_item(entry) for entry in answer)
        return
    if not isinstance(answer, dict):
        return
    if isinstance(answer.get("data"), dict | list):
        yield from _items(answer["data"])
    for key in (*TAKEN, "document_ids"):
        yield from (_item(entry) for entry in _list(answer.get(key)))
    for key in REFUSED:
        yield from (_refused(entry) for entry in _list(answer.get(key)))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _item(entry: object) -> Item:
    if not isinstance(entry, dict):
        return Item(document_id=identifier(entry))
    inner = entry.get("document")
    entry = {**inner, **entry} if isinstance(inner, dict) else entry
    document_id = first_id(entry, "document_id", "id")
    refusal = problem(entry)
    status = str(entry.get("status") or "").lower()
    if refusal is None and document_id is None and status in REFUSALS:
        refusal = f"DocuStack rejected it ({status})"
    return Item(document_id, as_text(entry.get("ref")), as_text(entry.get("name")), refusal)


def _refused(entry: object) -> Item:
    if not isinstance(entry, dict):
        return Item(ref=as_text(entry), name=as_text(entry), refusal="DocuStack rejected it")
    item = _item(entry)
    refusal = item.refusal or line(as_text(entry.get("message")) or "", ERROR) or "DocuStack rejected it"
    return replace(item, document_id=None, refusal=refusal)


def _match(items: Sequence[Item], documents: Sequence[Document]) -> dict[int, Item]:
    """Pair items with documents, each at most once, most reliable match first."""
    left_items, left = _distinct(items), list(documents)
    pairs: dict[int, Item] = {}

    def take(same: Callable[[Item, Document], bool]) -> None:
        for item in list(left_items):
            document = next((each for each in left if same(item, each)), None)
            if document is not None:
                pairs[document.index] = item
                left_items.remove(item)
                left.remove(document)

    take(lambda item, document: item.ref is not None and item.ref == document.ref)
    take(lambda item, document: item.ref is not None and _bare(item.ref) == _bare(document.ref or ""))
    take(lambda item, document: item.name is not None and item.name == document.name)
    anonymous = [item for item in left_items if item.ref is None and item.name is None]
    if len(anonymous) == len(left_items) == len(left):
        pairs.update({document.index: item for document, item in zip(left, anonymous, strict=True)})
    return pairs


def _bare(ref: str) -> str:
    """Return a reference without its query: the vendor may not repeat the signature of a presigned URL."""
    return ref.partition("?")[0]


def _distinct(items: Sequence[Item]) -> list[Item]:
    """Drop items that only repeat an id (``document_ids`` beside ``documents``)."""
    seen: dict[object, Item] = {}
    for place, item in enumerate(items):
        key: object = item.document_id or place
        seen.setdefault(key, item)
    return list(seen.values())
