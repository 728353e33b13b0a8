"""Remove the items of cases that ended longer ago than the retention."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from boto3.dynamodb.conditions import Attr, ConditionBase

from dossier.models import CaseId, CaseStatus, iso, moment, now
from dossier.questions import BUDGET
from dossier.stores.table import Table, case_key

_FINAL = [status.value for status in CaseStatus if status.final]


class Expiry:
    """Removes cases by age. Lifecycle rules of the bucket remove their objects."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def expired(self, connection: str, before: datetime) -> Iterator[str]:
        """Yield the references of cases that ended, and were last changed, before then; oldest first."""
        for item in self._table.index(f"CASES#{connection}", until=before):
            if item["status"] in _FINAL and moment(item["updated_at"]) <= before:
                yield str(item["reference"])

    def mark(self, case: CaseId, before: datetime | None = None) -> bool:
        """Block an ended case from going back to work; return False if it is at work, or changed after ``before``."""
        ended: ConditionBase = Attr("status").is_in(_FINAL) & Attr("committed").not_exists()
        if before is not None:
            ended = ended & Attr("updated_at").lte(iso(before))
        return self._table.update(case_key(case), "CASE", {"expired_at": now()}, when=ended)

    def remove(self, case: CaseId, before: datetime) -> bool:
        """Remove a case with all its items, ids and intents; return False if it is at work again.

        The mark ``expired_at`` keeps the case from being redriven. The record is removed last, so that after a crash
        the next run removes the rest.
        """
        if not self.mark(case, before):
            return False
        remove_items(self._table, case, ids_of(self._table, case))
        return True


def ids_of(table: Table, case: CaseId) -> set[str]:
    """Return every vendor id that a case's items name, those of requests without an applied answer included."""
    ids: set[str] = set()
    for item in table.query(case_key(case)):
        data = json.loads(item["data"]) if item["sk"].startswith("DOC#") else item
        ids |= {str(data[name]) for name in ("document_id", "job_id", "case_id", "appends_to") if data.get(name)}
        named = item["sk"].startswith("NAMED#") and item["sk"] != f"NAMED#{BUDGET}"  # that answer is not an id
        ids |= {str(item["id"])} if named else set()
    for item in table.query(f"INTENTS#{case.connection}", prefix=f"{case.reference}#"):
        answer = json.loads(item.get("answer", "{}"))
        given = (
            answer.get("case_id"),
            answer.get("job_id"),
            item.get("adopt"),
            *answer.get("document_ids", {}).values(),
        )
        ids |= {str(each) for each in given if each}
    return ids


def remove_items(table: Table, case: CaseId, ids: Iterable[str]) -> int:
    """Remove a case's items, those of its ids and its intents; return how many.

    The record is removed last, so that after a crash the next run removes the rest.
    """
    pk, removed = case_key(case), 0

    def delete(of: str, sk: str, when: ConditionBase | None = None) -> None:
        nonlocal removed
        removed += table.delete(of, sk, when=when)

    for each in sorted(ids):
        mine = Attr("reference").eq(case.reference)
        for item in list(table.query(f"ID#{case.connection}#{each}")):
            if item.get("reference") == case.reference:
                delete(item["pk"], item["sk"], mine)
    look_ups = f"READ#{case.connection}#{case.reference}"
    for of, prefix in ((f"INTENTS#{case.connection}", f"{case.reference}#"), (look_ups, None)):
        for item in list(table.query(of, prefix=prefix)):
            delete(of, item["sk"])
    for item in list(table.query(pk)):
        if item["sk"] != "CASE":
            delete(pk, item["sk"])
    if table.get(pk, "CASE") is not None:
        delete(pk, "CASE")
    return removed
