"""State Download Artifact."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.download import download


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Fetch the artifacts of ``{"connection", "reference", "artifacts": [index, …]}``."""
    for index in event["artifacts"]:
        download(event["connection"], event["reference"], index, desk=app().desk)
