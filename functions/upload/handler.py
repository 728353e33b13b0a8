"""State Upload Documents."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.upload import upload


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Upload the documents of ``{"connection", "reference", "batch"}``."""
    upload(CaseId(event["connection"], event["reference"]), event["batch"], context=context())
