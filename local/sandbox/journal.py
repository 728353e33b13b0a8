"""The journal: every request that came, every webhook that left, and what each of them did."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from local.sandbox.state import Store


@dataclass
class Entry:
    """One line of the journal.

    ``status`` is None when no answer left (a dropped connection); ``effects`` is empty when nothing was done. ``leak``:
    an API key was sent where it does not belong. ``paused``: the request came during an announced 429 pause, and
    ``violation``: so long after its first 429 had left that the caller knew (``since_pause``, in seconds).
    """

    at: float
    time: str
    vendor: str
    operation: str
    method: str
    path: str
    query: str = ""
    status: int | None = None
    fault: str | None = None
    key: str = "valid"
    leak: bool = False
    paused: bool = False
    since_pause: float | None = None
    violation: bool = False
    effects: list[dict[str, Any]] = field(default_factory=list)

    def effect(self, name: str, /, **details: Any) -> None:
        """Note something that was done."""
        self.effects.append({"effect": name, **details})


class Journal:
    """Keeps entries in the order in which they were finished."""

    def __init__(self, store: Store) -> None:
        self._database = store.database

    def write(self, entry: Entry) -> None:
        """Add an entry; the caller commits it together with the work."""
        self._database.execute("INSERT INTO journal (body) VALUES (?)", (json.dumps(asdict(entry)),))

    def read(self, *, after: int = 0, limit: int | None = None, **filters: Any) -> list[dict[str, Any]]:
        """Return the entries after an id; ``effect`` looks into the effects, other filters are equalities."""
        rows = self._database.execute("SELECT id, body FROM journal WHERE id > ? ORDER BY id", (after,))
        entries = ({"id": number, **json.loads(body)} for number, body in rows)
        return [entry for entry in entries if _matches(entry, filters)][:limit]

    def clear(self) -> None:
        """Forget everything."""
        self._database.execute("DELETE FROM journal")


def _matches(entry: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    wanted = dict(filters)
    effect = wanted.pop("effect", None)
    if effect and all(done["effect"] != effect for done in entry["effects"]):
        return False
    return all(entry[name] == value for name, value in wanted.items())
