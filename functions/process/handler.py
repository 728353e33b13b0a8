"""State Process."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.process import process


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Trigger the assessment of ``{"connection", "reference"}``."""
    process(CaseId(event["connection"], event["reference"]), context=context())
