"""States Ask About Case and Ask About Upload (task token)."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import count, observed
from dossier.steps.ask import ask


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Put the question of ``{"connection", "reference", "what", "batch"?, "token", "cause"}`` to an operator."""
    names = event["connection"], event["reference"]
    what = f"upload-{event['batch']}" if "batch" in event else event["what"]
    ask(*names, what, event["token"], event["cause"], desk=app().desk, events=app().events)
    count("CasesNeedingAttention", connection=event["connection"])
