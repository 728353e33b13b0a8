"""The journal: every request, every webhook, and the effects of each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from local.sandbox.state import Store


@dataclass
class Entry:
    """One line of the journal.

    ``status`` is None if no answer was sent (a dropped connection); ``effects`` is empty if the request had none.
    ``leak``: the request had a foreign API key. ``paused``: it came during an announced pause, and ``violation``: so
    long after the first 429 (``since_pause``, in seconds) that the caller knew of it.
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
        """Record an effect."""
        self.effects.append({"effect": name, **details})


class Journal:
    """Stores entries in the order in which they finished."""

    def __init__(self, store: Store) -> None:
        self._database = store.database

    def write(self, entry: Entry) -> None:
        """Add an entry; the caller commits it together with the work."""
        self._database.execute("INSERT INTO journal (body) VALUES (?)", (json.dumps(asdict(entry)),))

    def read(self, *, after: int = 0, limit: int | None = None, **filters: Any) -> list[dict[str, Any]]:
        """Return the entries after an id; ``effect`` selects by effect, other filters by equality."""
        rows = self._database.execute("SELECT id, body FROM journal WHERE id > ? ORDER BY id", (after,))
        entries = ({"id": number, **json.loads(body)} for number, body in rows)
        return [entry for entry in entries if _matches(entry, filters)][:limit]

    def clear(self) -> None:
        """Delete all entries."""
        self._database.execute("DELETE FROM journal")


def _matches(entry: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    wanted = dict(filters)
    effect = wanted.pop("effect", None)
    if effect and all(done["effect"] != effect for done in entry["effects"]):
        return False
    return all(entry[name] == value for name, value in wanted.items())
