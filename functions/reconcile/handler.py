"""The five-minute schedule."""

from typing import Any

from dossier import connections
from dossier.bootstrap import app
from dossier.observe import count, logger, observed


@observed
def handler(_event: dict[str, Any], context: Any) -> None:
    """Compare the records with executions, waits, queues and S3."""
    found = app().reconciler(lambda: context.get_remaining_time_in_millis() / 1000)(connections.runtime_names())
    for line in (*found.healed, *found.unattended, *found.stuck, *found.missing, *found.ended):
        logger.warning(line)
    count("CasesHealed", len(found.healed))
    count("CasesUnattended", len(found.unattended))
    count("QueuesStuck", len(found.stuck))
    count("ArtifactsMissing", len(found.missing))
    count("CasesExpired", found.expired)
    for vendor, percent in found.lost_webhooks.items():
        count("LostWebhooksPercent", percent, vendor=vendor)
    count("ReconcileRuns")
