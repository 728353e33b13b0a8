"""The trail of actions: who did what and when, in S3, ``audit/<yyyy>/<mm>/<dd>/<id>.json``.

An entry is written before its action, and again with the outcome: an action that cannot be recorded does not happen,
and one that a crash interrupted shows as begun. The bucket keeps both versions.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dossier.layout import audit_key
from dossier.models import iso, now
from dossier.stores.objects import Objects, as_json


class Trail:
    """Writes the entries of one operator.

    Attributes:
        who: the caller's ARN, as STS says it.

    """

    def __init__(self, objects: Objects, who: str) -> None:
        self._objects = objects
        self.who = who

    @contextmanager
    def action(self, name: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Record an action before and after the block; the dict that the block fills is the outcome.

        Args:
            name: the command that does the same (``redrive``).
            about: its case or connection, with the answer or reason.

        """
        at = now()
        entry: dict[str, Any] = {"id": f"{at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}", "at": iso(at), "who": self.who}
        entry |= {"action": name, "about": about}
        key = audit_key(at, str(entry["id"]))
        self._objects.write(key, as_json({**entry, "outcome": None}))
        outcome: dict[str, Any] = {}
        try:
            yield outcome
        except Exception as error:
            outcome |= {"error": type(error).__name__, "message": str(error)}
            raise
        finally:
            done = {"done": "error" not in outcome, **outcome}
            self._objects.write(key, as_json({**entry, "ended_at": iso(now()), "outcome": done}))
