"""State Download Artifact."""

from typing import Any

from dossier.bootstrap import context
from dossier.models import CaseId
from dossier.observe import observed
from dossier.steps.download import download_all, give_up
from dossier.steps.reasons import reason_of


@observed
def handler(event: dict[str, Any], _context: Any) -> None:
    """Download the artifacts of ``{"connection", "reference", "artifacts": [index, …]}``; with ``cause``, give up."""
    case, collection = CaseId(event["connection"], event["reference"]), event.get("collection", "")
    if "cause" in event:
        give_up(case, event["artifacts"], reason_of(event["cause"]), collection, context=context())
    else:
        download_all(case, event["artifacts"], collection, context=context())
