"""State Publish."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.publish import publish


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Publish the case of ``{"connection", "reference"}``."""
    return publish(event["connection"], event["reference"], desk=app().desk, events=app().events)
