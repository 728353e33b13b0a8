"""Intents (records of writes at a vendor, stored before the request), and which case owns which vendor id."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from boto3.dynamodb.conditions import Attr, ConditionBase
from pydantic import Field

from dossier.errors import NeedsAttentionError
from dossier.models import CaseId, iso, moment, now
from dossier.ports import Seen, Uploaded
from dossier.stores.cases import Stored
from dossier.stores.table import Item, Table, case_key

LONGEST_REQUEST = timedelta(minutes=20)
"""Longer than a Lambda function lives: a request that began earlier has ended."""
LARGEST = 350 << 10
"""Most bytes of a stored answer, which has an id for each document: an item of the table holds 400 KiB."""
HINT_TTL = 86_400
"""Seconds for which a hint about an unknown id is stored."""
SEEN_TTL = 30 * 86_400
"""Seconds for which a list read before an upload is stored: longer than a case stays in doubt."""
SEEN_IS_NEW = timedelta(seconds=10)
"""A list this recent counts as read for the upload itself."""
SEEN_IS_FRESH = timedelta(minutes=5)
"""A list this recent may serve a new upload; entries that others add since then may lead to a question."""
MOST_SEEN = 5000
"""Ids of a list that are stored: they have to fit into an item of the table."""
BEFORE = timedelta(minutes=10)
"""Ids recorded this long before an upload may still appear in the vendor's list as if they were new."""
MOST_MARKS = 50
"""Ids recorded before an upload that locate it in the vendor's list if nothing else does."""


class StoredIntent(Stored):
    """An intent in the table; ``answer`` is set between the vendor's answer and its application.

    ``adopt`` is an operator's answer: the vendor's id of the object that the request created.
    """

    what: str
    at: datetime
    names: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    answer: Uploaded | None = Field(default=None)
    adopt: str | None = None
    lost_at: datetime | None = None
    """When its answer was lost, or when the next try noticed that."""
    unlisted: bool = False
    """Whether a look-up found nothing; the vendor may still be processing the request."""
    since: datetime | None = None
    """When the first request of this upload began; None if this is the first."""
    seen: str | None = None
    """Name of the list that was read before the first request (``Intents.seen``)."""
    fresh: bool = False
    """Whether that list was read for this upload."""
    doubt: frozenset[str] | None = None
    """Ids of everything that it may have created, as a look-up found once the intent had settled."""

    @property
    def began(self) -> datetime:
        """When the first request of this upload began."""
        return self.since or self.at


@dataclass(frozen=True, slots=True)
class Others:
    """Other requests of a connection."""

    names: tuple[tuple[str, ...], ...]
    """The file names of each request that is in flight or whose answer was lost."""
    answered: frozenset[str]
    """The ids in answers that are stored but not applied yet."""


class Ledger(Container[str]):
    """The ids that a lost request cannot have created: listed, recorded for other requests, or hinted at before it.

    Unknown ids are looked up in the table once.
    """

    def __init__(
        self, table: Table, connection: str, *, began: datetime, known: Iterable[str], recorded: Mapping[str, datetime]
    ) -> None:
        self._table = table
        self._connection = connection
        self._began = iso(began)
        self._answers = dict.fromkeys(known, True)
        self.recorded = recorded
        """When recent ids were recorded."""

    def __contains__(self, vendor_id: object) -> bool:
        """Whether the request cannot have created this."""
        name = str(vendor_id)
        if name not in self._answers:
            self._answers[name] = self._knows(self._table.get(f"ID#{self._connection}#{name}", "ID") or {})
        return self._answers[name]

    def _knows(self, item: Item) -> bool:
        """Whether an id is older or another case's.

        A case that is only collected may own an id that a lost upload made.
        """
        if "owner" in item and "collected" not in item:
            return True
        times = (item.get("gsi_sk"), item.get("hinted_at"))
        return any(at is not None and at < self._began for at in times)


class Intents:
    """Intents and vendor ids in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, case: CaseId, what: str) -> StoredIntent | None:
        """Return the intent that an earlier try left, or None."""
        item = self._table.get(*_key(case, what))
        return None if item is None else _intent(what, item)

    def begin(
        self,
        case: CaseId,
        what: str,
        *,
        names: Iterable[str],
        known: Iterable[str],
        seen: str | None = None,
        fresh: bool = False,
        since: datetime | None = None,
        into: str | None = None,
        earlier: StoredIntent | None = None,
    ) -> bool:
        """Store an intent before its request is sent; return False if another try has begun or was answered meanwhile.

        Step Functions may invoke a step again while the first invocation still runs. Only one of them may send.

        Args:
            case: its name.
            what: names the intent within the case.
            names: names of the documents that the request uploads.
            known: ids that the vendor's case had before.
            seen: name of the list that was read before.
            fresh: whether that list was read for this upload.
            since: when the first request of this upload began, if this is a repetition.
            into: the vendor's case that the request adds to, if any.
            earlier: the intent that the caller has found, and replaces; None if there was none.

        """
        (pk, sk), mine = _key(case, what), uuid.uuid4().hex[:8]
        # The AWS client may repeat the write if its answer was lost: then the intent is the caller's own.
        unclaimed = Attr("sk").not_exists() if earlier is None else Attr("at").eq(iso(earlier.at))
        lists = {"names": json.dumps(list(names)), "known": json.dumps(list(known))}
        marks = {"seen": seen, "fresh": fresh or None, "since": since, "into": into}
        return self._table.put(
            {"pk": pk, "sk": sk, "at": now(), "by": mine, **lists, **marks},
            when=(unclaimed & Attr("answer").not_exists()) | Attr("by").eq(mine),
        )

    def saw(self, connection: str, seen: Seen | None) -> str | None:
        """Store what an account lists (None: the list cannot be read); return the name of the record.

        A list without times serves only one upload: its entries do not show what was created later.
        """
        pk, at, ttl = f"SEEN#{connection}", iso(now()), int(time.time()) + SEEN_TTL
        self._table.delete(pk, "FAILED")
        if seen is None:
            self._table.put({"pk": pk, "sk": "LATEST", "at": at, "ttl": ttl})
            return None
        name = f"{at}#{uuid.uuid4().hex[:8]}"
        ids = list(seen.ids)[:MOST_SEEN]
        whole = seen.whole and len(ids) == len(seen.ids)
        packed = gzip.compress(json.dumps(ids).encode())
        self._table.put({"pk": pk, "sk": name, "ids": packed, "whole": whole, "dated": seen.dated, "ttl": ttl})
        if seen.dated:
            self._table.put({"pk": pk, "sk": "LATEST", "at": at, "name": name, "ttl": ttl})
        return name

    def unseen(self, connection: str) -> int:
        """Count that an account's list could not be read before an upload; return how often in a row."""
        pk, ttl = f"SEEN#{connection}", int(time.time()) + SEEN_TTL
        failed = int((self._table.get(pk, "FAILED") or {}).get("times", 0)) + 1
        self._table.put({"pk": pk, "sk": "FAILED", "times": failed, "ttl": ttl})
        return failed

    def latest_seen(self, connection: str) -> tuple[str | None, timedelta]:
        """Return the name of the list that was read last, and its age."""
        item = self._table.get(f"SEEN#{connection}", "LATEST")
        if item is None:
            return None, timedelta.max
        return item.get("name"), now() - moment(item["at"])

    def seen(self, connection: str, name: str | None) -> Seen | None:
        """Return a list that was read before, by its name; None if it has expired."""
        item = name and self._table.get(f"SEEN#{connection}", name)
        if not item:
            return None
        ids = json.loads(gzip.decompress(bytes(item["ids"])))
        return Seen(tuple(ids), whole=bool(item["whole"]), dated=bool(item["dated"]))

    def doubt(self, case: CaseId, what: str, ids: Iterable[str]) -> None:
        """Note every id that a request may have created; it cannot have created entries that appear later."""
        pk, sk = _key(case, what)
        self._table.update(pk, sk, {"doubt": json.dumps(sorted(ids))})

    def lost(self, case: CaseId, what: str) -> datetime:
        """Note that a request's answer was lost; return when that was first noted."""
        pk, sk = _key(case, what)
        at = now()
        if self._table.update(pk, sk, {"lost_at": at}, when=Attr("sk").exists() & Attr("lost_at").not_exists()):
            return at
        return moment((self._table.get(pk, sk) or {}).get("lost_at", iso(at)))

    def unlisted(self, case: CaseId, what: str) -> None:
        """Note that a look-up found nothing yet."""
        pk, sk = _key(case, what)
        self._table.update(pk, sk, {"unlisted": True})

    def answer(self, case: CaseId, what: str, answer: Uploaded) -> None:
        """Store the vendor's answer, or a look-up's, in one write; it is applied next.

        Raises:
            NeedsAttentionError: it does not fit into an item of the table.

        """
        data = {
            "case_id": answer.case_id,
            "document_ids": {str(key): value for key, value in answer.document_ids.items()},
            "job_id": answer.job_id,
            "failures": {str(key): value for key, value in answer.failures.items()},
        } | ({"named": answer.named} if answer.named else {})
        text = json.dumps(data, ensure_ascii=False)
        if len(text.encode()) > LARGEST:
            raise NeedsAttentionError(
                f"{what}: the vendor's answer has more than {LARGEST} bytes of ids: check what it created"
            )
        pk, sk = _key(case, what)
        self._table.update(pk, sk, {"answer": text}, when=Attr("sk").exists())

    def adopt(self, case: CaseId, what: str, vendor_id: str) -> None:
        """Store the vendor id that an operator named; the next try continues with it."""
        pk, sk = _key(case, what)
        old = self._table.get(pk, sk) or {"at": now(), "names": "[]", "known": "[]"}
        self._table.put({**old, "pk": pk, "sk": sk, "adopt": vendor_id})

    def end(self, case: CaseId, what: str) -> None:
        """Delete an intent whose answer is applied, or whose request was certainly not performed."""
        self._table.delete(*_key(case, what))

    def others(self, case: CaseId, intent: StoredIntent, *, into: str | None) -> Others:
        """Return the connection's other requests that go ``into`` the same vendor case, or into none.

        Requests that began long before the intent are left out: a look-up only considers what was created later.
        """
        mine, oldest = f"{case.reference}#{intent.what}", iso(intent.began - LONGEST_REQUEST)
        items = [item for item in self._table.query(f"INTENTS#{case.connection}") if item["sk"] != mine]
        return Others(
            names=tuple(
                tuple(json.loads(item["names"]))
                for item in items
                if "answer" not in item and "adopt" not in item and item["at"] >= oldest and item.get("into") == into
            ),
            answered=frozenset(
                each
                for item in items
                if (answer := _answer(item)) is not None
                for each in (answer.case_id, *answer.document_ids.values())
                if each
            ),
        )

    def own(self, case: CaseId, ids: Iterable[str], *, collected: bool = False) -> tuple[bool, bool]:
        """Record that vendor ids belong to a case.

        A case that is only ``collected`` did not create its ids: the case whose upload did takes them over.

        Returns:
            ``(owned, hinted)``: ``owned`` is False if another case has one of the ids; ``hinted`` is True if a delivery
            about one of them arrived before. A later delivery sees the owner, so none is missed.

        """
        owner, hinted = case_key(case), False
        free: ConditionBase = Attr("owner").not_exists()
        if not collected:
            free = free | Attr("collected").exists()
        for vendor_id in ids:
            pk = f"ID#{case.connection}#{vendor_id}"
            new = {
                "owner": owner,
                "reference": case.reference,
                "gsi_pk": f"IDS#{case.connection}",
                "gsi_sk": now(),
                "vendor_id": vendor_id,
                "ttl": None,
                "collected": collected or None,
            }
            item = self._table.updated(pk, "ID", new, when=free)
            if item.get("owner") != owner:
                return False, hinted
            hinted = hinted or "hinted_at" in item
        return True, hinted

    def owner(self, connection: str, vendor_id: str) -> str | None:
        """Return the reference of the case that a vendor's id belongs to, or None."""
        item = self._table.get(f"ID#{connection}#{vendor_id}", "ID")
        return None if item is None else item.get("reference")

    def owners(self, ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the references of the cases that vendors' ids belong to, by connection and id: 100 a request."""
        keys = {(f"ID#{connection}#{vendor_id}", "ID"): (connection, vendor_id) for connection, vendor_id in ids}
        found = {(item["pk"], item["sk"]): item.get("reference") for item in self._table.get_many(keys)}
        return {keys[key]: reference for key, reference in found.items() if reference}

    def maker(self, connection: str, vendor_id: str) -> str | None:
        """Return the reference of the case that created a vendor id; None if it is unknown or only collected."""
        item = self._table.get(f"ID#{connection}#{vendor_id}", "ID") or {}
        return None if "collected" in item else item.get("reference")

    def of(self, case: CaseId) -> list[StoredIntent]:
        """Return a case's intents."""
        found = self._table.query(f"INTENTS#{case.connection}", prefix=f"{case.reference}#")
        return [_intent(item["sk"].removeprefix(f"{case.reference}#"), item) for item in found]

    def open(self, case: CaseId) -> list[str]:
        """Return the names of a case's intents without an answer."""
        found = self._table.query(f"INTENTS#{case.connection}", prefix=f"{case.reference}#")
        return [item["sk"].removeprefix(f"{case.reference}#") for item in found if "answer" not in item]

    def relate(self, case: CaseId, vendor_id: str) -> None:
        """Record that a case works on a vendor id that another case may own."""
        item = {"pk": f"ID#{case.connection}#{vendor_id}", "sk": f"REF#{case.reference}", "reference": case.reference}
        self._table.put(item)

    def references(self, connection: str, vendor_id: str) -> tuple[str, ...]:
        """Return the references of every case for a vendor id: its owner, and those that work on it."""
        items = self._table.query(f"ID#{connection}#{vendor_id}")
        return tuple(dict.fromkeys(item["reference"] for item in items if "reference" in item))

    def hint(self, connection: str, vendor_id: str) -> bool:
        """Record that a delivery named an id without an owner; return False if a case owns it."""
        return self._table.update(
            f"ID#{connection}#{vendor_id}",
            "ID",
            {"hinted_at": now(), "ttl": int(time.time()) + HINT_TTL},
            when=Attr("owner").not_exists(),
        )

    def unhint(self, connection: str, vendor_id: str) -> None:
        """Remove the record of a delivery that named an id without an owner."""
        self._table.delete(f"ID#{connection}#{vendor_id}", "ID", when=Attr("owner").not_exists())

    def recorded(self, connection: str, since: datetime) -> dict[str, datetime]:
        """Return the ids that any case of the connection recorded since then, with their times."""
        items = self._table.index(f"IDS#{connection}", since=since)
        return {item["vendor_id"]: moment(item["gsi_sk"]) for item in items}

    def ledger(self, connection: str, intent: StoredIntent, *, known: Iterable[str], marks: bool) -> Ledger:
        """Return the ids that an intent's request cannot have created.

        Args:
            connection: the ids' connection.
            intent: the request.
            known: ids that are known not to be its.
            marks: whether to add older ids, because the list before the request is unknown.

        """
        recorded = self.recorded(connection, intent.began - BEFORE)
        if marks:
            older = self._table.index(f"IDS#{connection}", until=intent.began, newest=True)
            recorded |= {item["vendor_id"]: moment(item["gsi_sk"]) for item in islice(older, MOST_MARKS)}
        return Ledger(self._table, connection, began=intent.began, known=known, recorded=recorded)

    def in_doubt(self, connection: str, until: datetime) -> bool:
        """Whether a request of the connection that began by ``until`` is in flight, or its answer was lost."""
        items = self._table.query(f"INTENTS#{connection}")
        return any("answer" not in item and moment(item["at"]) <= until for item in items)


def _key(case: CaseId, what: str) -> tuple[str, str]:
    return f"INTENTS#{case.connection}", f"{case.reference}#{what}"


def _answer(item: Item) -> Uploaded | None:
    if "answer" not in item:
        return None
    data = json.loads(item["answer"])
    return Uploaded(
        case_id=data["case_id"],
        document_ids={int(key): value for key, value in data["document_ids"].items()},
        job_id=data["job_id"],
        failures={int(key): value for key, value in data["failures"].items()},
        named=data.get("named"),
    )


def _intent(what: str, item: Item) -> StoredIntent:
    return StoredIntent(
        what=what,
        at=moment(item["at"]),
        names=tuple(json.loads(item["names"])),
        known=frozenset(json.loads(item["known"])),
        answer=_answer(item),
        adopt=item.get("adopt"),
        lost_at=moment(item["lost_at"]) if "lost_at" in item else None,
        unlisted="unlisted" in item,
        since=moment(item["since"]) if "since" in item else None,
        seen=item.get("seen"),
        fresh="fresh" in item,
        doubt=frozenset(json.loads(item["doubt"])) if "doubt" in item else None,
    )
