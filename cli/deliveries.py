"""``dossier deliveries``: lists the stored webhook deliveries."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import dropwhile, groupby, islice
from typing import Any

from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.target import Target
from cli.text import clean, size, when
from dossier import vendors
from dossier.models import now, utc
from dossier.refusals import ADVICE
from dossier.settings import Connection
from dossier.steps.wake import NOT_OURS
from dossier.steps.webhook import PROBE, is_signed_probe
from dossier.stores.evidence import NO_CONNECTION, Evidence, id_of, minute_of

REPLAYED = "replayed"
"""The verdict about a rejected delivery that was applied once a secret proved it."""
VERDICTS = ("accepted", "refused", REPLAYED, NOT_OURS)
PROBE_BODY = b"{}"
_AGO = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def deliveries(
    out: Output, where: Target, *, connection: str | None, verdict: str | None, limit: int, since: str | None
) -> None:
    """Print the deliveries of one connection or all, latest first; for rejected ones the cause and the fix.

    Raises:
        BadUsageError: an unknown connection, or an invalid time.

    """
    names = [where.require(connection)] if connection else [*where.connections, NO_CONNECTION]
    found = list(islice(found_of(where, names, verdict, None if since is None else moment_of(since)), limit))
    out.document(found)
    if not found:
        out.progress("no deliveries")
        return
    rows = [
        (
            each["id"],
            when(each["received_at"]),
            each["connection"],
            ": ".join(filter(None, (each["verdict"], why(each)))),
            each["event"],
            ", ".join(named(each)),
            size(each["size"]),
        )
        for each in found
    ]
    columns = ("ID", "AT", "CONNECTION", "VERDICT", "EVENT", "ABOUT", "SIZE")
    out.table(columns, rows, long={"VERDICT"}, one_line=True)
    for cause, advice in dict.fromkeys((each["cause"], each["advice"]) for each in found if each["advice"]):
        out.line(f"{cause}: {advice}")


def require_verdict(word: str | None) -> str | None:
    """Return a verdict, or None.

    Raises:
        BadUsageError: there is no such verdict; names all.

    """
    if word not in {None, *VERDICTS}:
        raise BadUsageError(f'unknown verdict "{clean(word)}": use one of {", ".join(VERDICTS)}')
    return word


def moment_of(text: str) -> datetime:
    """Parse ``90s``, ``30m``, ``2h``, ``3d`` (ago), or a day or time in ISO 8601 (UTC by default).

    Raises:
        BadUsageError: the text is none of these.

    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise BadUsageError(f'"{clean(text)}" is not a time: use 30m, 2h, 3d, 2026-01-31 or 2026-01-31T12:00') from None


def found_of(
    where: Target, names: Sequence[str], verdict: str | None, since: datetime | None, *, before: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the described deliveries of some connections, latest first.

    Args:
        where: the deployment.
        names: the connections.
        verdict: only those with this verdict.
        since: only those that came since then.
        before: only those of earlier minutes than this one (``stores.evidence.minute_of``).

    """
    store, settings = where.app.evidence, settings_of(where)
    keys: Iterator[str] = heapq.merge(*(store.list(name, since=since) for name in names), key=id_of, reverse=True)
    keys = keys if before is None else dropwhile(lambda key: minute_of(key) >= before, keys)
    for _, together in groupby(keys, key=minute_of):  # within a minute, ids of rejected deliveries are unordered
        read = [(key, evidence) for key in together if (evidence := store.find(key))]
        for key, evidence in sorted(read, key=lambda each: (each[1].received_at, id_of(each[0])), reverse=True):
            found = described(where, key, evidence, settings.get(evidence.connection))
            if found is not None and verdict in {None, found["verdict"]}:
                yield found


def is_probe(evidence: Evidence) -> bool:
    """Return whether a delivery is a probe of ``dossier doctor``: marked and empty, so a forged probe hides nothing."""
    refused = evidence.verdict == "refused" and PROBE in evidence.headers and evidence.body == PROBE_BODY
    return refused or is_signed_probe(evidence.headers, evidence.content)


def described(where: Target, key: str, evidence: Evidence, settings: Connection | None) -> dict[str, Any] | None:
    """Return what ``dossier deliveries`` shows of a delivery; None for a probe of ``dossier doctor``."""
    if is_probe(evidence):
        return None
    later = where.app.verdicts.find(evidence.connection, id_of(key))
    seen = where.app.evidence.seen(evidence.connection, evidence.digest) if evidence.digest else None
    about = _about(settings, evidence.content)
    advice = "" if later else ADVICE.get(evidence.cause, "")
    url = where.webhook_urls.get(evidence.connection, "")
    return {
        "id": id_of(key),
        "received_at": evidence.received_at,
        "connection": evidence.asked if evidence.connection == NO_CONNECTION else evidence.connection,
        "verdict": later[0] if later else evidence.verdict,
        "cause": (later[1] if later else evidence.cause) or None,
        "detail": evidence.detail or None,
        "advice": advice.format(connection=evidence.connection, url=url) or None,
        "repeats": seen.repeats if seen and seen.key == key else 0,
        **about,
        "understood": None if settings is None else bool(named(about)),
        "size": max(evidence.size, len(evidence.body)),
        "kept_whole": evidence.whole,
        "key": key,
    }


def why(found: dict[str, Any]) -> str:
    """Return the reason for a verdict in a few words."""
    if found["cause"]:
        return f"{found['cause']} ({found['detail']})" if found["detail"] else found["cause"]
    if found["repeats"]:
        return f"repeated {found['repeats']} times"
    return "not understood" if found["understood"] is False and found["verdict"] == "accepted" else ""


def _about(settings: Connection | None, body: bytes) -> dict[str, Any]:
    """Return the event and the ids that the delivery names; empty if its vendor is unknown."""
    hint = vendors.vendor(settings).read_hint(body) if settings else None
    return {
        "event": hint.event if hint else None,
        "case_ids": list(hint.case_ids) if hint else [],
        "document_ids": list(hint.document_ids) if hint else [],
        "job_ids": list(hint.job_ids) if hint else [],
    }


def named(found: dict[str, Any]) -> list[str]:
    """Return every vendor id that a described delivery names."""
    return [*found["case_ids"], *found["document_ids"], *found["job_ids"]]
