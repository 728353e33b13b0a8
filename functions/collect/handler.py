"""State Collect."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.collect import collect


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """List the artifacts of ``{"connection", "reference"}``."""
    case = CaseId(event["connection"], event["reference"])
    return collect(case, event.get("collection", ""), context=context()).model_dump()
