"""What is about to be created at a vendor, stored before the request; and whose the vendor's ids are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr, ConditionBase
from pydantic import Field

from dossier.errors import NeedsAttentionError
from dossier.models import iso, moment, now
from dossier.ports import Uploaded
from dossier.stores.cases import Stored
from dossier.stores.table import Item, Table, case_key

LONGEST_REQUEST = timedelta(minutes=20)
"""Longer than a Lambda function lives: a request that began before that has ended."""
LARGEST = 350 << 10
"""Most bytes of an answer, which has an id for each document: an item of the table has 400 KiB."""
HINT_TTL = 86_400
"""How long, in seconds, a hint about an id that nobody knows yet is kept."""


class StoredIntent(Stored):
    """An intent in the table; ``answer`` is there once the vendor has answered, until it is applied.

    ``adopt`` is the vendor's id of what an operator says the request has made.
    """

    what: str
    at: datetime
    names: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    answer: Uploaded | None = Field(default=None)
    adopt: str | None = None
    lost_at: datetime | None = None
    """When its answer was lost, or the next try missed it."""
    unlisted: bool = False
    """Whether the vendor was asked what became of it since, and did not know it yet."""


class Intents:
    """Intents and ids of the vendors."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, connection: str, reference: str, what: str) -> StoredIntent | None:
        """Return the intent that an earlier try left, or None."""
        item = self._table.get(*_key(connection, reference, what))
        return None if item is None else _intent(what, item)

    def begin(self, connection: str, reference: str, what: str, *, names: Iterable[str], known: Iterable[str]) -> bool:
        """Store an intent before its request is made; return False if an earlier try has been answered meanwhile."""
        pk, sk = _key(connection, reference, what)
        lists = {"names": json.dumps(list(names)), "known": json.dumps(list(known))}
        return self._table.put({"pk": pk, "sk": sk, "at": iso(now()), **lists}, when=Attr("answer").not_exists())

    def lost(self, connection: str, reference: str, what: str) -> datetime:
        """Note that the answer to a request was lost; return when that was first noted."""
        pk, sk = _key(connection, reference, what)
        at = now()
        if self._table.update(pk, sk, {"lost_at": iso(at)}, when=Attr("sk").exists() & Attr("lost_at").not_exists()):
            return at
        return moment((self._table.get(pk, sk) or {}).get("lost_at", iso(at)))

    def unlisted(self, connection: str, reference: str, what: str) -> None:
        """Note that the vendor does not know of a request yet."""
        pk, sk = _key(connection, reference, what)
        self._table.update(pk, sk, {"unlisted": True})

    def answer(self, connection: str, reference: str, what: str, answer: Uploaded) -> None:
        """Store what the vendor answered (or a look-up found), in one write; it is applied next.

        Raises:
            NeedsAttentionError: it is larger than an item of the table.

        """
        data = {
            "case_id": answer.case_id,
            "document_ids": {str(key): value for key, value in answer.document_ids.items()},
            "job_id": answer.job_id,
            "failures": {str(key): value for key, value in answer.failures.items()},
        }
        text = json.dumps(data, ensure_ascii=False)
        if len(text.encode()) > LARGEST:
            raise NeedsAttentionError(f"{what}: the vendor answers with more than {LARGEST} bytes of ids: look there")
        pk, sk = _key(connection, reference, what)
        self._table.update(pk, sk, {"answer": text}, when=Attr("sk").exists())

    def adopt(self, connection: str, reference: str, what: str, vendor_id: str) -> None:
        """Store what an operator found at the vendor; the next try goes on with it."""
        pk, sk = _key(connection, reference, what)
        old = self._table.get(pk, sk) or {"at": iso(now()), "names": "[]", "known": "[]"}
        self._table.put({**old, "pk": pk, "sk": sk, "adopt": vendor_id})

    def end(self, connection: str, reference: str, what: str) -> None:
        """Delete an intent: its answer is applied, or its request was certainly not performed."""
        self._table.delete(*_key(connection, reference, what))

    def rivals(self, connection: str, reference: str, intent: StoredIntent) -> int:
        """Count other requests in flight on the connection that upload a file of one of the intent's names.

        One that began long before the intent cannot have made what a look-up finds: that is created after it.
        """
        mine, wanted = f"{reference}#{intent.what}", set(intent.names)
        oldest = iso(intent.at - LONGEST_REQUEST)
        return sum(
            1
            for item in self._table.query(f"INTENTS#{connection}")
            if item["sk"] != mine and item["at"] >= oldest and wanted & set(json.loads(item["names"]))
        )

    def own(self, connection: str, reference: str, ids: Iterable[str], *, collected: bool = False) -> tuple[bool, bool]:
        """Record that vendor ids belong to a case.

        A case that is only ``collected`` did not make what it names: the case whose upload did takes it over.

        Returns ``(owned, hinted)``: owned is False if another case has one of them; hinted tells whether a delivery
        about one of them came before. One that comes later finds the owner: none falls between the two.
        """
        owner, hinted = case_key(connection, reference), False
        free: ConditionBase = Attr("owner").not_exists()
        if not collected:
            free = free | Attr("collected").exists()
        for vendor_id in ids:
            pk = f"ID#{connection}#{vendor_id}"
            new = {
                "owner": owner,
                "reference": reference,
                "gsi_pk": f"IDS#{connection}",
                "gsi_sk": iso(now()),
                "vendor_id": vendor_id,
                "ttl": None,
                "collected": collected or None,
            }
            self._table.update(pk, "ID", new, when=free)
            item = self._table.get(pk, "ID") or {}
            if item.get("owner") != owner:
                return False, hinted
            hinted = hinted or "hinted_at" in item
        return True, hinted

    def owner(self, connection: str, vendor_id: str) -> str | None:
        """Return the reference of the case that a vendor's id belongs to, or None."""
        item = self._table.get(f"ID#{connection}#{vendor_id}", "ID")
        return None if item is None else item.get("reference")

    def hint(self, connection: str, vendor_id: str) -> bool:
        """Remember that a delivery named an id that belongs to nobody (yet); return False if it belongs to a case."""
        return self._table.update(
            f"ID#{connection}#{vendor_id}",
            "ID",
            {"hinted_at": iso(now()), "ttl": int(time.time()) + HINT_TTL},
            when=Attr("owner").not_exists(),
        )

    def recorded(self, connection: str, since: datetime) -> frozenset[str]:
        """Return the ids that were recorded since then, whichever case has them and however it came to them."""
        return frozenset(item["vendor_id"] for item in self._table.index(f"IDS#{connection}", since=iso(since)))

    def known(self, connection: str, reference: str, since: datetime) -> frozenset[str]:
        """Return the ids of *other* cases that were recorded since shortly before ``since``.

        Not those of cases that are only collected: one of these may be what a lost upload has made, told of by a
        delivery before the look-up found it.
        """
        mine = case_key(connection, reference)
        items = self._table.index(f"IDS#{connection}", since=iso(since - timedelta(minutes=5)))
        return frozenset(item["vendor_id"] for item in items if item["owner"] != mine and "collected" not in item)

    def in_doubt(self, connection: str, until: datetime) -> bool:
        """Whether a request that began by ``until`` is under way on the connection, or its answer was lost."""
        items = self._table.query(f"INTENTS#{connection}")
        return any("answer" not in item and moment(item["at"]) <= until for item in items)


def _key(connection: str, reference: str, what: str) -> tuple[str, str]:
    return f"INTENTS#{connection}", f"{reference}#{what}"


def _intent(what: str, item: Item) -> StoredIntent:
    answer = None
    if "answer" in item:
        data = json.loads(item["answer"])
        answer = Uploaded(
            case_id=data["case_id"],
            document_ids={int(key): value for key, value in data["document_ids"].items()},
            job_id=data["job_id"],
            failures={int(key): value for key, value in data["failures"].items()},
        )
    return StoredIntent(
        what=what,
        at=moment(item["at"]),
        names=tuple(json.loads(item["names"])),
        known=frozenset(json.loads(item["known"])),
        answer=answer,
        adopt=item.get("adopt"),
        lost_at=moment(item["lost_at"]) if "lost_at" in item else None,
        unlisted="unlisted" in item,
    )
