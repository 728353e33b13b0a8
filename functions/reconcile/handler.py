"""Every five minutes."""

from typing import Any

from dossier import connections
from dossier.bootstrap import app
from dossier.observe import count, logger, observed
from dossier.steps.reconcile import reconcile


@observed
def handler(_event: dict[str, Any], _context: Any) -> None:
    """Compare what is stored with what runs, waits and lies in S3."""
    it, names = app(), connections.runtime_names()
    found = reconcile(names, desk=it.desk, waits=it.waits, executions=it.executions, queues=it.queues, events=it.events)
    for line in (*found.healed, *found.unattended, *found.stuck, *found.missing):
        logger.warning(line)
    count("CasesHealed", len(found.healed))
    count("CasesUnattended", len(found.unattended))
    count("QueuesStuck", len(found.stuck))
    count("ArtifactsMissing", len(found.missing))
    count("ReconcileRuns")
    for vendor, percent in found.lost_webhooks.items():
        count("LostWebhooksPercent", percent, vendor=vendor)
