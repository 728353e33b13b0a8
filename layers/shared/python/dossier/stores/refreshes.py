"""Refreshes: how often one was requested for a case, and which execution runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from boto3.dynamodb.conditions import Attr, ConditionBase

from dossier.models import CaseId, now
from dossier.stores.cases import Refresh
from dossier.stores.table import Item, Table, case_key

_SK = "REFRESH"
_ANY = Attr("pk").not_exists() | Attr("pk").exists()
"""Whether there is such an item or not."""


class Refreshes:
    """The ``REFRESH`` items in the table; the index has the unfinished ones."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, case: CaseId) -> Refresh:
        """Return a case's refreshes."""
        return _refresh(self._table.get(case_key(case), _SK))

    def ask(self, case: CaseId) -> Refresh:
        """Count a request to collect the case again."""
        pk = case_key(case)
        self._table.add(pk, _SK, "asked", 1, when=_ANY)
        absent = Attr("pk").exists() & Attr("gsi_pk").not_exists()
        self._table.update(pk, _SK, _indexed(case, now()), when=absent)
        return self.find(case)

    def see(self, case: CaseId) -> None:
        """Note, before a collection reads anything, that it serves all requests so far."""
        found = self.find(case)
        if found.wanted:
            self._table.update(case_key(case), _SK, {"seen": found.asked})

    def begin(self, case: CaseId, number: int, execution_arn: str) -> bool:
        """Claim a refresh for an execution; return False if it is over, or another execution runs it."""
        mine = Attr("execution_arn").not_exists() | Attr("execution_arn").eq(execution_arn)
        turn: ConditionBase = Attr("number").eq(number - 1)
        if number == 1:
            turn = turn | Attr("number").not_exists()
        changes = {
            **_indexed(case, now()),
            "execution_arn": execution_arn,
            "started_at": now(),
        }
        return self._table.update(case_key(case), _SK, changes, when=mine & turn)

    def end(
        self,
        case: CaseId,
        number: int,
        found: Refresh,
        *,
        error: str | None,
        look_at: datetime | None,
        looks: int,
    ) -> Refresh:
        """Note that a refresh has ended, and when the case is to be checked again (``look_at``). Idempotent.

        Number 0 is an execution of the case itself, which is none. ``found`` was read after the case had ended.
        """
        pk = case_key(case)
        if number and found.number >= number:
            return found
        if not number and (found.execution_arn or (look_at is None and not found.asked and not found.look_at)):
            return found  # a refresh runs by now; or, in most cases, there was no request and nothing is left to do
        changes: Item = {
            "number": number or found.number,
            "execution_arn": None,
            "started_at": None,
            "error": error,
            "looks": looks if look_at else None,
            "look_at": look_at,
            **_indexed(case, look_at or now()),
        }
        before: ConditionBase = Attr("number").eq(found.number) | Attr("number").not_exists()
        if not number:
            before = before & Attr("execution_arn").not_exists()
        self._table.update(pk, _SK, changes, when=before)
        if look_at is None:  # nothing is left to do, unless a refresh is requested meanwhile
            done = Attr("asked").eq(found.seen) if found.asked or found.seen else Attr("asked").not_exists()
            self._table.update(pk, _SK, {"gsi_pk": None, "gsi_sk": None}, when=Attr("pk").exists() & done)
        return self.find(case)

    def leave(self, case: CaseId) -> None:
        """Note that a case is not collected again, because it has ended in another way."""
        nobody = Attr("execution_arn").not_exists() & Attr("look_at").not_exists()
        gone: Item = {"gsi_pk": None, "gsi_sk": None}
        self._table.update(case_key(case), _SK, gone, when=Attr("pk").exists() & nobody)

    def pending(self, connection: str) -> Iterator[Refresh]:
        """Yield a connection's refreshes that run, were requested, or have a ``look_at``."""
        for item in self._table.index(f"REFRESHES#{connection}"):
            yield _refresh(item)

    def compared(self, connection: str) -> dict[str, str]:
        """Return the times, by the vendor's own clock, up to which the changes in its account's lists were looked at.

        That under an empty name is for all lists: former versions of Dossier had one for the account.
        """
        found = self._table.get(f"COMPARED#{connection}", "COMPARED") or {}
        before = {"": str(found["seen"])} if "seen" in found else {}
        return {**before, **{str(name): str(at) for name, at in found.get("lists", {}).items()}}

    def compared_to(self, connection: str, seen: Mapping[str, str]) -> None:
        """Note the times up to which the changes in an account's lists were looked at; others stay."""
        before = self.compared(connection)
        lists = {name: at for name, at in {**before, **seen}.items() if name}
        if lists != {name: at for name, at in before.items() if name}:
            self._table.update(f"COMPARED#{connection}", "COMPARED", {"lists": lists}, when=_ANY)

    def due(self, connection: str, at: datetime) -> Iterator[Refresh]:
        """Yield the refreshes whose ``look_at`` has passed and which no execution runs."""
        for refresh in self.pending(connection):
            if refresh.look_at and not refresh.execution_arn and refresh.look_at <= at:
                yield refresh


def _indexed(case: CaseId, at: datetime) -> Item:
    return {"gsi_pk": f"REFRESHES#{case.connection}", "gsi_sk": at, **case._asdict()}


def _refresh(item: Item | None) -> Refresh:
    return Refresh.model_validate(item or {})
