"""Erased cases in the table: a tombstone for each, without personal data, and the chain of their certificates."""

from __future__ import annotations

import json

from boto3.dynamodb.conditions import Attr
from pydantic import Field

from dossier.certificates import FIRST, forgotten_as
from dossier.models import CaseId, Time, now
from dossier.stores.cases import Stored
from dossier.stores.table import Item, Table

_CHAIN = "ERASURES"


class Tombstone(Stored):
    """An erased case, or one whose erasure has begun (``plan``). Its key is a digest of connection and reference."""

    id: str
    """Names the certificate."""
    at: Time
    """When the erasure began."""
    plan: str = ""
    """The ids and places to erase, as JSON, until the erasure ends; then nothing of the case is left here."""
    removed: dict[str, int] = Field(default_factory=dict)
    """The number of removed objects and items in earlier runs of the same erasure, by kind."""
    month: str = ""
    """The month in which its documents were uploaded, and how many pages they had: for the vendor's invoice."""
    pages: int = 0
    earlier: tuple[tuple[str, int], ...] = ()
    """Months and pages of cases of the same reference that were erased before."""
    done_at: Time | None = None
    again_at: Time | None = None
    """When the reference was submitted again on purpose."""

    def billed(self, month: str) -> list[int]:
        """Return the pages of each erased case of this reference whose documents were uploaded in a month."""
        return [pages for when, pages in (*self.earlier, (self.month, self.pages)) if when == month]

    def names(self, other: Tombstone) -> bool:
        """Whether another tombstone is of the same case: their certificates' ids end in the digest of its name."""
        return self.id.rpartition("-")[2] == other.id.rpartition("-")[2]


class Link(Stored):
    """A certificate's place in the chain."""

    number: int
    id: str
    sha256: str


class Forgotten:
    """The tombstones and the chain."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, case: CaseId) -> Tombstone | None:
        """Return the tombstone of a case, or None."""
        item = self._table.get(*_key(case))
        if item is None:
            return None
        return _tombstone(item)

    def of(self, connection: str) -> list[Tombstone]:
        """Return the tombstones of a connection's cases."""
        return [_tombstone(each) for each in self._table.query(f"FORGOTTEN#{connection}")]

    def billed(self, connection: str, month: str) -> list[int]:
        """Return the pages of each erased case of a connection whose documents were uploaded in a month."""
        return [pages for each in self.of(connection) for pages in each.billed(month)]

    def stands(self, case: CaseId) -> Tombstone | None:
        """Return the tombstone of a case that was erased, and not submitted again on purpose since; or None."""
        found = self.find(case)
        return None if found is None or found.again_at else found

    def begin(self, case: CaseId, *, id: str, plan: str, month: str = "", pages: int = 0) -> Tombstone:  # noqa: A002
        """Store the tombstone of a case whose erasure begins; return it, or that of one which has begun before.

        Its pages of earlier erased cases with the same reference stay, because the vendor bills these too.
        """
        pk, sk = _key(case)
        former = self.find(case)
        before = (*former.earlier, (former.month, former.pages)) if former is not None else ()
        item = {
            "pk": pk,
            "sk": sk,
            "id": id,
            "at": now(),
            "plan": plan,
            "removed": "{}",
            "month": month,
            "pages": pages,
            "earlier": json.dumps([each for each in before if each[0]]),
        }
        self._table.put(item, when=Attr("plan").not_exists())
        found = self.find(case)
        assert found is not None  # noqa: S101 -- nothing removes tombstones
        return found

    def progress(self, case: CaseId, removed: dict[str, int]) -> None:
        """Store the counts of removed objects and items so far."""
        self._table.update(*_key(case), {"removed": json.dumps(removed)})

    def end(self, case: CaseId) -> None:
        """Note that an erasure is complete: from now on the tombstone has no data of the case."""
        changes = {"plan": None, "removed": None, "done_at": now()}
        self._table.update(*_key(case), changes)

    def bar(self, case: CaseId, *, id: str) -> None:  # noqa: A002 -- the certificate's word
        """Store a tombstone for another reference under which the same data could come back."""
        pk, sk = _key(case)
        at = now()
        self._table.put({"pk": pk, "sk": sk, "id": id, "at": at, "done_at": at}, when=Attr("plan").not_exists())

    def links(self) -> list[Link]:
        """Return the chain of certificates, in order."""
        return [Link.model_validate(each) for each in self._table.query(_CHAIN)]

    def link(self, number: int, id: str, sha256: str) -> bool:  # noqa: A002 -- the certificate's word
        """Add a certificate to the chain; return False if another one has taken its place."""
        item = {"pk": _CHAIN, "sk": f"{number:08d}", "number": number, "id": id, "sha256": sha256}
        return self._table.put(item, when=Attr("pk").not_exists())


def _tombstone(item: Item) -> Tombstone:
    texts = {"removed": json.loads(item.get("removed", "{}")), "earlier": json.loads(item.get("earlier", "[]"))}
    return Tombstone.model_validate({**item, **texts})


def _key(case: CaseId) -> tuple[str, str]:
    return f"FORGOTTEN#{case.connection}", forgotten_as(case)


def latest(links: list[Link]) -> tuple[int, str]:
    """Return the number and the digest of the latest certificate; 0 and ``FIRST`` before the first."""
    return (links[-1].number, links[-1].sha256) if links else (0, FIRST)
