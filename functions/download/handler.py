"""State Download Artifact."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.download import download_all, give_up
from dossier.steps.reasons import reason_of


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Download the artifacts of ``{"connection", "reference", "artifacts": [index, …]}``; with ``cause``, give up."""
    names = event["connection"], event["reference"], event["artifacts"]
    collection = event.get("collection", "")
    if "cause" in event:
        give_up(*names, reason_of(event["cause"]), collection, desk=app().desk)
    else:
        download_all(*names, collection, desk=app().desk)
