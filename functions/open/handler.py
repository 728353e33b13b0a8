"""State Open Case."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.upload import open_case


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Open the vendor's case of ``{"connection", "reference"}``."""
    open_case(CaseId(event["connection"], event["reference"]), context=context())
