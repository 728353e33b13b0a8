"""Failed cases by cause and dead letters by queue, with their actions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cli.deliveries import moment_of
from cli.errors import BadUsageError
from cli.redrive import Pile, piles_of
from console import bulk
from console.actions import Act, back, text
from console.desk import Desk, first
from dossier.models import REFERENCE, now
from dossier.stores.evidence import id_of, key_of
from dossier.stores.queues import DROP, WAKE, poll_queue
from dossier.texts import counted

PERIODS = {"24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days", "all": "Any time"}
DEFAULT = "7d"
ERRORS_OF = timedelta(days=1)
"""How long ago the errors of a function may be that are shown."""
MOST_LINES, SHOWN_ERRORS = 2000, 5


def _piles(desk: Desk, connection: str | None, since: str) -> tuple[list[Pile], int]:
    return piles_of(desk.where, connection, [], since=None if since == "all" else moment_of(since))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: its text, and the path of its case or delivery, if there is one."""

    text: str
    name: str = ""
    path: str = ""


def letter(text: str) -> Letter:
    """Return the subject of a dead letter: a delivery, a case, or something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return Letter(text)
    if not isinstance(found, dict):
        return Letter(text)
    connection, reference, delivery = (str(found.get(each, "")) for each in ("connection", "reference", "delivery"))
    own = id_of(delivery)
    if connection and delivery and key_of(connection, own) == delivery:
        return Letter(text, f"delivery {own}", f"/deliveries/{connection}/{own}")
    if connection and REFERENCE.fullmatch(reference):
        return Letter(text, f"case {reference}", f"/cases/{connection}/{reference}")
    return Letter(text)


def errors_of(desk: Desk, queue: str) -> list[tuple[datetime, str]]:
    """Return the last errors that the function of a queue has logged within a day, latest first."""
    verb = queue.partition("-")[0]
    pages = desk.where.session.client("logs").get_paginator("filter_log_events")
    begin = int((now() - ERRORS_OF).timestamp() * 1000)
    found = pages.paginate(
        logGroupName=f"/aws/lambda/{desk.where.stack}-{verb}", startTime=begin, filterPattern="ERROR"
    )
    about = queue.partition("-")[2]
    try:
        events = islice((event for page in found for event in page["events"]), MOST_LINES)
        lines = [(event["timestamp"], text) for event in events if (text := _error_of(event["message"], about))]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":  # it has never run
            raise
        return []
    shown = {text: at for at, text in sorted(lines)}
    latest = sorted(((at, text) for text, at in shown.items()), reverse=True)[:SHOWN_ERRORS]
    return [(datetime.fromtimestamp(at / 1000, UTC), text) for at, text in latest]


def _error_of(line: str, connection: str) -> str:
    """Return the error of a log line; empty if it has none, or is about another connection."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line.strip() if line.startswith("[ERROR]") else ""
    if not isinstance(fields, dict) or fields.get("level") != "ERROR":
        return ""
    if connection and fields.get("connection") not in {None, connection}:
        return ""
    name, message = fields.get("exception_name"), str(fields.get("message", ""))
    last = str(fields.get("exception", "")).strip().rpartition("\n")[2]
    return last or ": ".join(filter(None, (name, message)))


def index(desk: Desk, request: Request) -> Response:
    """Return the page with the failures, the most frequent cause first."""
    connection, since = first(request.query_params, "connection"), first(request.query_params, "since") or DEFAULT
    piles, dismissed = _piles(desk, connection, since)
    asked = first(request.query_params, "log")
    dead: list[dict[str, Any]] = [
        {
            "pile": each,
            "letters": [letter(text) for text in desk.where.dead_letters.look(each.queue)],
            "errors": errors_of(desk, each.queue) if each.queue == asked else None,
        }
        for each in piles
        if not each.group
    ]
    return desk.page(
        request,
        "failures.html",
        piles=[each for each in piles if each.group],
        dead=dead,
        asked=asked,
        dismissed=dismissed,
        connection=connection,
        since=since,
        periods=PERIODS,
        connections=desk.connections(),
    )


def plan(desk: Desk, request: Request, form: FormData) -> Response:
    """Return the plan of an action on the cases of one cause; it changes nothing.

    Raises:
        BadUsageError: nothing has failed of that cause, or the action is unknown.

    """
    cause, action = text(form, "cause"), text(form, "action")
    if action not in {"redrive", "dismiss"}:
        raise BadUsageError("choose an action")
    connection, since = text(form, "connection"), text(form, "since") or DEFAULT
    piles, _ = _piles(desk, connection, since)
    cases = [record.id for each in piles if each.group and each.cause == cause for record in each.cases]
    if not cases:
        raise BadUsageError("no case fails for that cause any more")
    most = bulk.MOST
    place = "/failures?" + urlencode({"connection": connection or "", "since": since})
    return bulk.show(desk, request, action, cases[:most], more=len(cases) > most, named=True, back=place)


def dead_letters(desk: Desk, _request: Request, form: FormData) -> Response:
    """Send a queue's dead letters back to it, or delete them.

    Raises:
        BadUsageError: there is no such queue or action.

    """
    queue, action = text(form, "queue"), text(form, "action")
    known = [WAKE, DROP, *map(poll_queue, desk.where.connections)]
    if queue not in known or action not in {"send", "dismiss"}:
        raise BadUsageError(f"choose a queue ({', '.join(known)}) and an action")
    letters = desk.where.dead_letters
    name = "redrive" if action == "send" else "redrive --dismiss"
    with desk.trail.action(name, queue=queue) as outcome:
        number = outcome["messages"] = letters.send_back(queue) if action == "send" else letters.dismiss(queue)
    done = "sent back to it" if action == "send" else "deleted"
    return back(desk, "/failures", f"{counted(number, 'dead letter')} of queue {queue}: {done}.")


ACTIONS: dict[str, Act] = {"/failures/plan": plan, "/failures/dead-letters": dead_letters}
