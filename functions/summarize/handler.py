"""State Summarize of the batch machine."""

from typing import Any

from dossier.bootstrap import context
from dossier.observe import observed
from dossier.steps.batches import summarize


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """List the results and failures of ``{"batch", "run"}`` in S3."""
    return summarize(event["batch"], event["run"], context=context())
