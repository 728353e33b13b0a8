"""Remove what the table has of cases that ended longer ago than the retention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from boto3.dynamodb.conditions import Attr

from dossier.models import CaseStatus, iso, now
from dossier.stores.table import Table, case_key

_FINAL = [status.value for status in CaseStatus if status.final]


class Expiry:
    """Removes cases by age. Lifecycle rules of the bucket remove their objects."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def expired(self, connection: str, before: datetime) -> Iterator[str]:
        """Yield the references of cases that ended, and were last changed, before then; oldest first."""
        until = iso(before)
        for item in self._table.index(f"CASES#{connection}", until=until):
            if item["status"] in _FINAL and item["updated_at"] <= until:
                yield str(item["reference"])

    def remove(self, connection: str, reference: str, before: datetime) -> bool:
        """Remove a case with all its items, ids and intents; return False if it is at work again.

        The mark ``expired_at`` keeps the case from being redriven. The record is removed last, so that after a crash
        the next run removes the rest.
        """
        pk = case_key(connection, reference)
        ended = Attr("status").is_in(_FINAL) & Attr("updated_at").lte(iso(before))
        if not self._table.update(pk, "CASE", {"expired_at": iso(now())}, when=ended):
            return False
        ids: set[str] = set()
        for item in self._table.query(pk):
            data = json.loads(item["data"]) if item["sk"].startswith("DOC#") else item
            ids |= {str(data[name]) for name in ("document_id", "job_id", "case_id") if data.get(name)}
            if item["sk"] != "CASE":
                self._table.delete(pk, item["sk"])
        for each in sorted(ids):
            self._table.delete(f"ID#{connection}#{each}", "ID", when=Attr("reference").eq(reference))
        for item in self._table.query(f"INTENTS#{connection}", prefix=f"{reference}#"):
            self._table.delete(item["pk"], item["sk"])
        self._table.delete(pk, "CASE")
        return True
