"""The five-minute schedule."""

from typing import Any

from dossier import connections
from dossier.bootstrap import context
from dossier.observe import count, logger, observed
from dossier.steps.reconcile import OVERVIEW, reconcile


@observed
def handler(_event: dict[str, Any], lambda_context: Any) -> None:
    """Compare the records with executions, waits, queues and S3."""

    def time_left() -> float:
        return float(lambda_context.get_remaining_time_in_millis()) / 1000

    found = reconcile(connections.runtime_names(), time_left=time_left, context=context())
    for line in found.lines:
        logger.warning(line)
    for connection, numbers in found.overview.items():
        logger.info(OVERVIEW, extra={"connection": connection, "overview": numbers})
    for name, value in found.counts.items():
        count(name, value)
    for vendor, percent in found.lost_webhooks.items():
        count("LostWebhooksPercent", percent, vendor=vendor)
    count("ReconcileRuns")
