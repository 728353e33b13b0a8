"""State Collect."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.collect import collect


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """List the artifacts of ``{"connection", "reference"}``."""
    return collect(event["connection"], event["reference"], event.get("collection", ""), desk=app().desk).model_dump()
