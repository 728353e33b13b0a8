"""States Poll and Poll Results (task token)."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.wait import wait


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Put the case of ``{"connection", "reference", "phase", "token"}`` into the waiting room."""
    names = event["connection"], event["reference"]
    wait(*names, event["phase"], event["token"], desk=app().desk, waits=app().waits)
