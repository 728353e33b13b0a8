"""The cost of a month, by connection and by day.

AWS's part is counted from the executions' histories and the functions' logs, which takes minutes for a large month. So
it is counted only when somebody asks, in the background, and the page shows it once it is there.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cli.cost import month_cost
from cli.errors import BadUsageError, explain
from console.actions import Act, back, text
from console.desk import Desk, first
from dossier.layout import costs_key
from dossier.models import now
from dossier.stores.objects import Objects

_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
MONTHS = 12
"""Months that can be chosen."""


@dataclass
class Counting:
    """The months that this run of the console counts or has counted."""

    _found: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)
    _lines: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def begin(self, desk: Desk, month: str) -> None:
        """Count a month, unless that is under way."""
        with self._lock:
            known = self._found.get(month)
            if known is None or known.done():
                say = self._lines.__setitem__
                self._found[month] = self._pool.submit(
                    month_cost, desk.where, month, say=lambda line: say(month, str(line))
                )

    def state(self, month: str, objects: Objects) -> tuple[dict[str, Any] | None, str, bool]:
        """Return the cost of a month, a line about the count, and whether it is being counted."""
        future = self._found.get(month)
        if future is None:
            stored = objects.read(costs_key(month))
            return (None if stored is None else dict(json.loads(stored))), "", False
        if not future.done():
            return None, self._lines.get(month, ""), True
        error = future.exception()
        if error is not None:
            return None, explain(error).line if isinstance(error, Exception) else str(error), False
        return future.result(), "", False


def index(desk: Desk, request: Request) -> Response:
    """Return the page of a month, by default this one."""
    month = first(request.query_params, "month") or f"{now():%Y-%m}"
    if not _MONTH.fullmatch(month):
        raise BadUsageError("write a month as 2026-01")
    found, note, counting = desk.counting.state(month, desk.app.objects)
    begin, months = now().replace(day=1), []
    for _ in range(MONTHS):
        months.append(f"{begin:%Y-%m}")
        begin = (begin - timedelta(days=1)).replace(day=1)
    days = found.get("days", {}) if found else {}
    names = sorted({name for each in days.values() for name in each})
    totals = {day: sum(each["aws_usd"] + (each["vendor_usd"] or 0) for each in of.values()) for day, of in days.items()}
    most = max(totals.values(), default=0)
    shares = {day: 0 if not most or not total else max(1, round(20 * total / most)) for day, total in totals.items()}
    return desk.page(
        request, "costs.html", month=month, months=months, found=found, note=note, counting=counting, days=days,
        names=names, shares=shares, totals=totals,
    )  # fmt: skip


def count(desk: Desk, _request: Request, form: FormData) -> Response:
    """Begin to count a month.

    Raises:
        BadUsageError: it is none.

    """
    month = text(form, "month") or ""
    if not _MONTH.fullmatch(month):
        raise BadUsageError("write a month as 2026-01")
    desk.counting.begin(desk, month)
    return back(desk, f"/cost?month={month}", "")


ACTIONS: dict[str, Act] = {"/cost": count}
