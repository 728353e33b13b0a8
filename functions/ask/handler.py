"""States Ask About Case and Ask About Upload (task token)."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import count, observed
from dossier.steps.ask import ask


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Ask an operator the question of ``{"connection", "reference", "what", "token", "cause"}``."""
    names = event["connection"], event["reference"]
    ask(*names, event["what"], event["token"], event["cause"], desk=app().desk, events=app().events)
    count("CasesNeedingAttention", connection=event["connection"])
