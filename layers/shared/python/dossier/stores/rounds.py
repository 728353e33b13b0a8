"""Progress of the scheduled check, which goes through all connections, as many per run as its time allows."""

from __future__ import annotations

from dossier.models import Time, now
from dossier.stores.cases import Stored
from dossier.stores.table import Table

_KEY = ("STAGE", "ROUND")


class Round(Stored):
    """One round of the check over all connections."""

    began: Time
    next: str = ""
    """The connection to continue with, in the order of names."""
    woken: Time | None = None
    """When a delivery last woke a case, as far as this round has seen."""
    submitted: Time | None = None
    """When a case was last submitted, as far as this round has seen."""


class Rounds:
    """The round in the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self) -> Round | None:
        """Return the round that is under way, or None."""
        item = self._table.get(*_KEY)
        if item is None:
            return None
        return Round.model_validate({name: value for name, value in item.items() if value != ""})  # of earlier versions

    def save(self, round_: Round) -> None:
        """Store the round's progress."""
        pk, sk = _KEY
        self._table.put({"pk": pk, "sk": sk, "saved_at": now(), **round_.model_dump()})

    def end(self) -> None:
        """Delete the round: it is complete."""
        self._table.delete(*_KEY)
