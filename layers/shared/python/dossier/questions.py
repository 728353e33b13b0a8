"""The parts of a question that every view shows: the vendor's candidates, and the commands that answer it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from dossier.errors import Choice
from dossier.models import CaseId

BUDGET = "budget"
"""The question of a case that is over its connection's budget."""
MOST_COMMANDS = 5
"""Most candidates for which the whole command is shown."""


def answers(case: CaseId, choices: Sequence[Choice] = (), what: str | None = None) -> list[tuple[str, str]]:
    """Return the commands that answer a question, each with the condition for it.

    Args:
        case: its name.
        choices: possible answers from the vendor's list.
        what: the question, if the case has several.

    """
    if what == BUDGET:
        command = shlex.join(["dossier", "resolve", case.reference, "--connection", case.connection])
        return [("to send it all the same", f"{command} --send"), ("to end the case as failed", f"{command} --give-up")]
    begin = ["dossier", "resolve", case.reference, "--connection", case.connection]
    begin += ["--question", what] if what else []
    usable = [shlex.join([*begin, "--use", each.id]) for each in choices[:MOST_COMMANDS]]
    shown = [f"{each.id} ({each.name})" if each.name else each.id for each in choices]
    found = [(f"if it is {text}", command) for text, command in zip(shown, usable, strict=False)]
    if not found or len(choices) > MOST_COMMANDS:
        found.append(("if the vendor has it, by the id that the vendor shows", f"{shlex.join(begin)} --use ID"))
    found.append(("if the vendor certainly does not have it", f"{shlex.join(begin)} --retry"))
    return [*found, ("to end the case as failed", f"{shlex.join(begin)} --give-up")]


def listed(choices: Iterable[Choice]) -> list[dict[str, str | None]]:
    """Return candidates as JSON objects, for programs."""
    return [{"id": each.id, "name": each.name or None, "created": each.created or None} for each in choices]
