"""State Publish."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.publish import publish


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Publish the case of ``{"connection", "reference"}``."""
    it = app()
    names = event["connection"], event["reference"], event.get("collection", "")
    return publish(*names, desk=it.desk, events=it.events, executions=it.executions)
