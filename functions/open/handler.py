"""State Open Case."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.upload import open_case


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Open the vendor's case of ``{"connection", "reference"}``."""
    open_case(event["connection"], event["reference"], desk=app().desk)
