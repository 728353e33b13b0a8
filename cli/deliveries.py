"""``dossier deliveries``: the webhook deliveries that were kept."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.target import Target
from cli.text import clean, size
from dossier import vendors
from dossier.models import now
from dossier.settings import Connection
from dossier.stores.evidence import id_of

VERDICTS = ("accepted", "refused")
_AGO = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def deliveries(
    out: Output, where: Target, *, connection: str | None, verdict: str | None, limit: int, since: str | None
) -> None:
    """Print the deliveries of one connection or all, the latest first.

    Raises:
        BadUsageError: an unknown connection or verdict, or a time that is none.

    """
    if verdict not in {None, *VERDICTS}:
        raise BadUsageError(f'unknown verdict "{clean(verdict)}": use one of {", ".join(VERDICTS)}')
    names = [where.require(connection)] if connection else where.connections
    found = list(islice(_found(where, names, verdict, None if since is None else moment_of(since)), limit))
    out.document(found)
    if not found:
        out.progress("no deliveries")
        return
    rows = [
        (
            *(each[name] for name in ("id", "received_at", "connection", "verdict", "event")),
            _ids(each),
            size(each["size"]),
        )
        for each in found
    ]
    out.table(("ID", "RECEIVED", "CONNECTION", "VERDICT", "EVENT", "ABOUT", "SIZE"), rows)


def moment_of(text: str) -> datetime:
    """Parse ``90s``, ``30m``, ``2h``, ``3d`` (ago), a day or a moment in ISO 8601 (UTC unless it says otherwise).

    Raises:
        BadUsageError: it is none of these.

    """
    if ago := _AGO.fullmatch(text.strip()):
        return now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadUsageError(f'"{clean(text)}" is no time: use 30m, 2h, 3d, 2026-01-31 or 2026-01-31T12:00') from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _found(where: Target, names: list[str], verdict: str | None, since: datetime | None) -> Iterator[dict[str, Any]]:
    store, settings = where.app.evidence, settings_of(where)
    for key in heapq.merge(*(store.list(name, since=since) for name in names), key=id_of, reverse=True):
        evidence = store.find(key)
        if evidence is None or verdict not in {None, evidence.verdict}:
            continue
        yield {
            "id": id_of(key),
            "received_at": evidence.received_at,
            "connection": evidence.connection,
            "verdict": evidence.verdict,
            **_about(settings.get(evidence.connection), evidence.body),
            "size": len(evidence.body),
            "key": key,
        }


def _about(settings: Connection | None, body: bytes) -> dict[str, Any]:
    """Return the event, and the ids that the delivery names as far as its vendor is known."""
    hint = vendors.vendor(settings.vendor).read_hint(body) if settings else None
    return {
        "event": hint.event if hint else None,
        "case_ids": list(hint.case_ids) if hint else [],
        "document_ids": list(hint.document_ids) if hint else [],
        "job_ids": list(hint.job_ids) if hint else [],
    }


def _ids(found: dict[str, Any]) -> str:
    return ", ".join([*found["case_ids"], *found["document_ids"], *found["job_ids"]])
