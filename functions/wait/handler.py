"""States Poll and Poll Results, and those that wait for the end of an operator's pause (task token)."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.hold import hold
from dossier.steps.wait import wait


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Put the case of ``{"connection", "reference", "token"}`` and ``phase`` or ``held`` into the waiting room."""
    case = CaseId(event["connection"], event["reference"])
    if "held" in event:
        hold(case, event["held"], event["token"], context=context())
    else:
        wait(case, event["phase"], event["token"], context=context())
