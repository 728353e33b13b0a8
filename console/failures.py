"""Failed cases by cause and dead letters by queue, with what can be done about them."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cli.deliveries import moment_of
from cli.errors import BadUsageError
from cli.redrive import Pile, piles_of
from console import bulk
from console.actions import Act, back, text
from console.desk import Desk, first
from dossier.stores.queues import DROP, WAKE, poll_queue
from dossier.texts import counted

PERIODS = {"24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days", "all": "Any time"}
DEFAULT = "7d"


def _piles(desk: Desk, connection: str | None, since: str) -> tuple[list[Pile], int]:
    return piles_of(desk.where, connection, [], since=None if since == "all" else moment_of(since))


def index(desk: Desk, request: Request) -> Response:
    """Return the page with the failures, the most frequent cause first."""
    connection, since = first(request.query_params, "connection"), first(request.query_params, "since") or DEFAULT
    piles, dismissed = _piles(desk, connection, since)
    return desk.page(
        request,
        "failures.html",
        piles=[each for each in piles if each.group],
        dead=[each for each in piles if not each.group],
        dismissed=dismissed,
        connection=connection,
        since=since,
        periods=PERIODS,
        connections=desk.connections(),
    )


def plan(desk: Desk, request: Request, form: FormData) -> Response:
    """Return the page that says what an action on the cases of one cause would do; it changes nothing.

    Raises:
        BadUsageError: nothing has failed of that cause, or the action is unknown.

    """
    cause, action = text(form, "cause"), text(form, "action")
    if action not in {"redrive", "dismiss"}:
        raise BadUsageError("choose an action")
    piles, _ = _piles(desk, text(form, "connection"), text(form, "since") or DEFAULT)
    cases = [record.id for each in piles if each.group and each.cause == cause for record in each.cases]
    if not cases:
        raise BadUsageError("no case fails of that cause any more")
    most = bulk.MOST
    return bulk.show(desk, request, action, cases[:most], more=len(cases) > most, named=True)


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
