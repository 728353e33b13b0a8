"""The budgets of connections: each case is counted once, on the day on which it was accepted (UTC).

A day's item has the numbers of cases and pages, and which case was counted last. A case's own item says that it is
counted. They are two writes, so the next case that is counted first makes up for the second one, if the function died
in between.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr

from dossier.errors import ThrottledError
from dossier.models import CaseId, now
from dossier.settings import Budget
from dossier.stores.table import Table, case_key

TTL = 400 * 86_400
"""Seconds for which a day's numbers are stored."""
_TRIES = 40
"""Tries to count a case while others are counted at the same moment."""
_MARK = "BUDGET"


@dataclass(frozen=True, slots=True)
class Spent:
    """The usage of one day's cases."""

    day: str
    cases: int = 0
    pages: int = 0


class Budgets:
    """The days of each connection in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def spent(self, connection: str, day: str | None = None) -> Spent:
        """Return the usage of a connection's cases on a day (``2026-01-31``), by default today."""
        day = day or f"{now():%Y-%m-%d}"
        item = next(iter(self._table.query(f"BUDGET#{connection}", prefix=day)), None) or {}
        return Spent(day, int(item.get("cases", 0)), int(item.get("pages", 0)))

    def spend(self, case: CaseId, pages: int, budget: Budget, *, allowed: bool = False) -> list[str]:
        """Count a case once; return an empty list, or the reasons why it is over the budget.

        Args:
            case: its name.
            pages: of its documents; unknown numbers count as one.
            budget: the connection's.
            allowed: an operator has allowed it: it is counted in any case.

        Raises:
            ThrottledError: other cases are counted all the time.

        """
        mine, (connection, reference) = case_key(case), case
        for _ in range(_TRIES):
            if self._table.get(mine, _MARK) is not None:
                return []
            day = f"{now():%Y-%m-%d}"
            item = self._table.get(f"BUDGET#{connection}", day) or {}
            last = item.get("last")
            if last is not None and last != reference:
                self._settle(CaseId(connection, last), day, int(item["last_pages"]))
            if last != reference:
                spent = Spent(day, int(item.get("cases", 0)), int(item.get("pages", 0)))
                over = [] if allowed else excess(pages, spent, budget)
                if over:
                    return over
                if not self._count(case, pages, spent):
                    time.sleep(random.uniform(0, 0.05))  # noqa: S311 -- jitter, no secret
                    continue
            self._table.put({"pk": mine, "sk": _MARK, "day": day, "pages": pages})
            return []
        raise ThrottledError(
            f"connection {connection} counts too many cases at the same moment", retry_after=1, why="turn"
        )

    def forget(self, case: CaseId) -> None:
        """Remove a case's name from the days; their numbers stay."""
        for item in list(self._table.query(f"BUDGET#{case.connection}")):
            if item.get("last") == case.reference:
                self._table.update(item["pk"], item["sk"], {"last": None}, when=Attr("last").eq(case.reference))

    def _count(self, case: CaseId, pages: int, spent: Spent) -> bool:
        """Add a case to its day, unless another case was added since the day was read."""
        changes = {
            "cases": spent.cases + 1,
            "pages": spent.pages + pages,
            "last": case.reference,
            "last_pages": pages,
            "ttl": int(time.time()) + TTL,
        }
        same = Attr("cases").eq(spent.cases) if spent.cases else Attr("cases").not_exists()
        return self._table.update(f"BUDGET#{case.connection}", spent.day, changes, when=same)

    def _settle(self, case: CaseId, day: str, pages: int) -> None:
        """Mark the case that was counted last as counted, unless its records are gone."""
        pk = case_key(case)
        if self._table.get(pk, _MARK) is None and self._table.get(pk, "CASE") is not None:
            self._table.put({"pk": pk, "sk": _MARK, "day": day, "pages": pages})


def excess(pages: int, spent: Spent, budget: Budget) -> list[str]:
    """Return what a case would exceed, in words: each limit with its number."""
    checks = (
        ("pages_per_case", "it has {} {}", pages, budget.pages_per_case, "page"),
        ("cases_per_day", "with it today has {} {}", spent.cases + 1, budget.cases_per_day, "case"),
        ("pages_per_day", "with it today has {} {}", spent.pages + pages, budget.pages_per_day, "page"),
    )
    return [
        f"{text.format(f'{number:,}', what if number == 1 else f'{what}s')}, and budget.{name} is {most:,}"
        for name, text, number, most, what in checks
        if most is not None and number > most
    ]
