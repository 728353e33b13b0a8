"""State Publish."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.publish import publish


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Publish the case of ``{"connection", "reference"}``."""
    return publish(CaseId(event["connection"], event["reference"]), event.get("collection", ""), context=context())
