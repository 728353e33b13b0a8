"""Hold: a step of a paused connection waits as a task token, so that a pause may last for days.

``dossier pause`` stops every call to a connection's vendor. A step that would call it fails with ``PausedError``, and
the state machine waits for the token that is stored here; then it repeats the step. ``dossier resume`` sends the
messages that answer the tokens, and moves the polls of the waits to now; after a crash the sweep sends the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from dossier.errors import DeadlinePassedError
from dossier.models import CaseId, now
from dossier.steps.context import Context
from dossier.stores.limiter import Hold, Standing
from dossier.stores.waits import HeldStep, Wait

PAUSED = "paused"
"""The kind of trouble of a paused step or wait."""
COLLECT = "Collect"
"""The state that collects the results that exist."""
POLLS = {"Poll All", "Poll", "Poll Results"}
"""The states that wait for the vendor; one is held if it times out, which only a long pause makes likely."""
MOST_RELEASED = 500
"""Most held steps of a connection that one sweep releases."""
A_SECOND = 10.0
"""Waits per second that a resumed connection polls again at first."""
LONGEST_SPREAD = 60.0


@dataclass(frozen=True, slots=True)
class Resumed:
    """The result of ending a pause."""

    hold: Hold | None
    """The pause that ended; None if there was none."""
    steps: int
    waits: int


def hold(case: CaseId, what: str, token: str, *, context: Context) -> None:
    """Store the token of a step that waits for ``dossier resume``; resume it at once if the pause is over.

    Raises:
        DeadlinePassedError: the state timed out after its deadline, not because of a pause: the state machine collects
            the results that exist.

    """
    standing = context.limiter.standing(context.connection_of(case.connection))
    if what in POLLS and standing.hold is None and is_late(context.waits.find(case), standing):
        raise DeadlinePassedError("the wait was not ended at its deadline")
    step = HeldStep(**case._asdict(), what=what, token=token, since=now())
    context.waits.hold(step)
    if context.limiter.held(case.connection) is None:  # it was resumed before the token was stored
        context.waits.release(step)


def later(wait: Wait, standing: Standing) -> Wait:
    """Return a wait whose deadline has moved by the time for which an operator has paused its connection."""
    more = standing.held(wait.started_at, now()) - wait.held
    if more <= 0:
        return wait
    deadline = wait.deadline + timedelta(seconds=more)
    return wait.model_copy(update={"deadline": deadline, "held": wait.held + more})


def is_late(wait: Wait | None, standing: Standing) -> bool:
    """Whether a wait's deadline has passed, not counting an operator's pauses, or there is no wait any more."""
    return wait is None or later(wait, standing).deadline <= now()


def resume(connection: str, *, context: Context) -> Resumed:
    """End an operator's pause and set the connection's cases in motion. A repetition continues."""
    ended, waits = context.limiter.release(connection), context.waits
    steps = release(connection, context=context)
    paused = [each for each in waits.waiting(connection) if each.trouble and each.trouble.kind.startswith(PAUSED)]
    spread = min(LONGEST_SPREAD, len(paused) / A_SECOND)
    moved = sum(waits.nudge(each, after=random.uniform(0, spread), delivered=False) for each in paused)  # noqa: S311 — jitter, no secret
    return Resumed(ended, steps, moved)


def release(connection: str, *, context: Context, most: int | None = None) -> int:
    """Send the messages that resume a connection's held steps; return how many."""
    held = list(islice(context.waits.held_steps(connection), most))
    for step in held:
        context.waits.release(step)
    return len(held)


def release_all(connections: Iterable[str], *, context: Context) -> int:
    """Let the held steps of all connections that are not paused go on; return how many."""
    paused = context.limiter.paused()
    return sum(release(name, context=context, most=MOST_RELEASED) for name in connections if name not in paused)
