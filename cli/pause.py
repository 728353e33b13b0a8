"""``dossier pause`` and ``dossier resume``: stop and start all calls to a connection's vendor."""

from __future__ import annotations

import getpass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import BadUsageError
from cli.output import Output
from cli.target import Target
from cli.text import clean
from dossier.models import now
from dossier.steps.hold import Resumed
from dossier.steps.hold import resume as resume_cases
from dossier.stores.limiter import Hold
from dossier.stores.waits import Waits
from dossier.texts import counted

LONGEST_REASON = 300


def pause(out: Output, where: Target, connection: str, reason: str) -> None:
    """Stop all calls to a connection's vendor, until ``dossier resume``.

    Raises:
        BadUsageError: an unknown connection, or no usable reason.

    """
    before = where.app.limiter.held(where.require(connection))
    hold = stop(where, connection, reason, by=_who(where))
    out.document({"connection": connection, "paused": as_json(hold), "was_paused": before is not None})
    out.line(hold.text(connection, now()))
    out.progress("Dossier sends the vendor no request: cases wait, new ones queue, deliveries are stored")


def resume(out: Output, where: Target, connection: str) -> None:
    """End a pause: the connection's cases continue. Run it again after a crash: it sends the messages that are missing.

    Raises:
        BadUsageError: no connection ever had that name.

    """
    done = go_on(where, connection)
    paused = None if done.hold is None else as_json(done.hold)
    out.document({"connection": connection, "paused": None, "ended": paused, "steps": done.steps, "waits": done.waits})
    if done.hold is None:
        out.line(f"{connection} was not paused")
    else:
        out.line(f"{connection} is no longer paused: {done.hold.reason} ({done.hold.by})")
    if done.steps or done.waits:
        out.line(f"{counted(done.steps, 'step')} and {counted(done.waits, 'wait')} continue")


def stop(where: Target, connection: str, reason: str, *, by: str) -> Hold:
    """Pause a connection; return the pause.

    Raises:
        BadUsageError: an unknown connection, or no usable reason.

    """
    where.require(connection)
    text = clean(reason).strip()
    if not text or len(text) > LONGEST_REASON:
        raise BadUsageError(f"a reason has 1 to {LONGEST_REASON} characters, and your colleagues see it")
    return where.app.limiter.hold(connection, by=by, reason=text)


def go_on(where: Target, connection: str) -> Resumed:
    """End a connection's pause, and set its cases in motion.

    Raises:
        BadUsageError: no connection ever had that name.

    """
    if connection not in where.connections and connection not in where.app.cases.connections():
        where.require(connection)
    context = where.app.replacing(waits=Waits(where.app.table, where.queues))
    return resume_cases(connection, context=context)


def as_json(hold: Hold) -> dict[str, Any]:
    """Return an operator's pause for programs."""
    return {"since": hold.since, "by": hold.by, "reason": hold.reason, "until": hold.until}


def _who(where: Target) -> str:
    """Return the user of the command: the account's identity, or on the local AWS the user of this machine."""
    if where.endpoint_url is None:
        try:
            return where.caller
        except (BotoCoreError, ClientError):
            pass
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user's name
        return "an operator"
