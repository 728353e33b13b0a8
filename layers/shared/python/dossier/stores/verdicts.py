"""Verdicts: later findings about a delivery, stored beside its evidence, which never changes."""

from __future__ import annotations

import time

from boto3.dynamodb.conditions import Attr

from dossier.stores.table import Table

TTL = 90 * 86_400
"""Seconds for which a verdict is stored."""


class Verdicts:
    """The verdicts in the table, by connection and the delivery's id."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def keep(self, connection: str, delivery: str, verdict: str, why: str) -> None:
        """Store a verdict about a delivery; the first one stays."""
        found = {"verdict": verdict, "why": why[:500], "ttl": int(time.time()) + TTL}
        new = Attr("pk").not_exists()
        self._table.update(f"DELIVERIES#{connection}", delivery, found, when=new)

    def find(self, connection: str, delivery: str) -> tuple[str, str] | None:
        """Return a delivery's verdict and its reason, or None."""
        item = self._table.get(f"DELIVERIES#{connection}", delivery)
        return None if item is None else (item["verdict"], item.get("why", ""))
