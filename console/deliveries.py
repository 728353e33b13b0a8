"""The webhook deliveries: arrivals with their outcome and cause, as stored; and lost ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cli.deliveries import VERDICTS, described, found_of, moment_of, named, require_verdict, why
from cli.errors import BadUsageError
from cli.replay import replayed
from console.actions import Act, back, text
from console.connections import accounts
from console.desk import Desk, NotFoundError, first
from dossier.stores.evidence import NO_CONNECTION, key_of, minute_of
from dossier.texts import identifier

SHOWN = 25
"""Deliveries of a page, to the end of the last one's minute."""
MOST_SHOWN = 300
MOST_BODY = 256 << 10
"""Bytes of a body that are shown; DocuStack's and Docsumo's have a few hundred."""
PERIODS = {"": "Any time", "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}


def index(desk: Desk, request: Request) -> Response:
    """Return the page with the deliveries, latest first."""
    given = request.query_params
    connection, since, before = (first(given, name) for name in ("connection", "since", "before"))
    verdict = require_verdict(first(given, "verdict"))
    names = [desk.where.require(connection)] if connection else [*desk.where.connections, NO_CONNECTION]
    begin = moment_of(since) if since else None
    rows: list[dict[str, Any]] = []
    after = None
    found = found_of(desk.where, names, verdict, begin, before=before)
    for _, together in groupby(found, key=lambda each: minute_of(each["key"])):
        if len(rows) >= SHOWN:
            after = minute_of(rows[-1]["key"])
            break
        rows += [_row(each) for each in together][:MOST_SHOWN]

    usable = {(each["at"], own) for each in rows for own in each["about"] if identifier(own) == own}
    owners = desk.app.intents.owners(usable)
    for each in rows:
        each["cases"] = sorted({name for own in each["about"] if (name := owners.get((each["at"], own)))})

    def query(**changes: object) -> str:
        values = {"connection": connection, "verdict": verdict, "since": since, "before": before, **changes}
        return urlencode({name: value for name, value in values.items() if value})

    return desk.page(
        request,
        "deliveries.html",
        rows=rows,
        after=after,
        query_of=query,
        connection=connection,
        verdict=verdict,
        since=since,
        before=before,
        verdicts=VERDICTS,
        periods=PERIODS,
        connections=desk.where.connections,
        advice=dict.fromkeys((each["cause"], each["advice"]) for each in rows if each["advice"]),
    )


def _row(found: dict[str, Any]) -> dict[str, Any]:
    """Return a described delivery's row; ``at`` is the connection under which it is stored."""
    return {**found, "why": why(found), "about": named(found), "at": found["key"].split("/")[1]}


def lost(desk: Desk, request: Request) -> Response:
    """Return the shares of lost webhooks, which the page loads after it is shown: they read many cases."""
    webhooks = [each for each in accounts(desk) if each.connection in desk.where.webhook_urls]
    return desk.page(request, "lost.html" if request.headers.get("hx-request") else "lost_page.html", accounts=webhooks)


def one(desk: Desk, request: Request) -> Response:
    """Return the page of one delivery: verdict, cause, headers and body, as they were kept."""
    connection, own = request.path_params["connection"], request.path_params["id"]
    key = key_of(connection, own)
    evidence = desk.app.evidence.find(key) if key else None
    if key is None or evidence is None:
        raise NotFoundError(f"there is no delivery {own} at connection {connection}")
    shown = described(desk.where, key, evidence, desk.settings.get(connection)) or {}
    owners = {
        each: reference
        for each in named(shown or {"case_ids": [], "document_ids": [], "job_ids": []})
        if (reference := desk.app.intents.owner(connection, each))
    }
    return desk.page(
        request,
        "delivery.html",
        id=own,
        connection=connection,
        evidence=evidence,
        shown=shown,
        why=why(shown) if shown else "a probe of `dossier doctor`",
        about=named(shown) if shown else [],
        owners=owners,
        body=_readable(evidence.content[:MOST_BODY]),
        cut=len(evidence.content) > MOST_BODY or not evidence.whole,
    )


def _readable(body: bytes) -> str:
    """Return a body as text: JSON indented, bytes that are not text in hexadecimal."""
    try:
        decoded = body.decode()
    except UnicodeDecodeError:
        return body.hex(" ")
    try:
        return json.dumps(json.loads(decoded), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return decoded


def replay(desk: Desk, _request: Request, form: FormData) -> Response:
    """Verify deliveries again, and apply those that an active secret proves.

    Raises:
        BadUsageError: none is selected, or one does not exist.

    """
    chosen = [each.partition("/") for each in form.getlist("delivery") if isinstance(each, str)]
    if not chosen:
        raise BadUsageError("select at least one delivery")
    answers: list[Mapping[str, Any]] = []
    by_connection: dict[str, list[str]] = {}
    for connection, _, own in chosen:
        by_connection.setdefault(connection, []).append(own)
    for connection, ids in by_connection.items():
        with desk.trail.action("replay", connection=connection, deliveries=ids) as outcome:
            found = replayed(desk.where, ids, connection=connection)
            outcome["applied"] = [each["id"] for each in found if each["applied"]]
        answers += found
    done = sum(each["applied"] for each in answers)
    problems = sorted({f"{each['error']}" for each in answers if each["error"]})
    said = f"{done} of {len(answers)} verified, and queued again.{' ' + '; '.join(problems) + '.' if problems else ''}"
    only = len(chosen) == 1 and text(form, "from") == "one"
    return back(desk, f"/deliveries/{chosen[0][0]}/{chosen[0][2]}" if only else "/deliveries", said)


ACTIONS: dict[str, Act] = {"/deliveries/replay": replay}
