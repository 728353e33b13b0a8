"""States Ask About Case and Ask About Upload (task token)."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import count, observed
from dossier.steps.ask import ask


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Ask an operator the question of ``{"connection", "reference", "what", "token", "cause"}``."""
    case = CaseId(event["connection"], event["reference"])
    ask(case, event["what"], event["token"], event["cause"], context=context())
    count("CasesNeedingAttention", connection=event["connection"])
