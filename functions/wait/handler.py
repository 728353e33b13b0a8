"""States Poll and Poll Results (task token)."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.wait import wait


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Put the case of ``{"connection", "reference", "phase", "token"}`` into the waiting room."""
    case = CaseId(event["connection"], event["reference"])
    wait(case, event["phase"], event["token"], context=context())
