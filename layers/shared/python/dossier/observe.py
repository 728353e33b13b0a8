"""Logs and metrics of the functions (Powertools), without keys, tokens, signed URLs or document content."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from dossier import usage
from dossier.calls import CALL, Call

Handler = Callable[[dict[str, Any], Any], Any]
logger = Logger()
metrics = Metrics()


def count(name: str, value: int = 1, **dimensions: str) -> None:
    """Add ``value`` to a CloudWatch metric with these dimensions and the stage."""
    always = {"stage": stage} if (stage := os.environ.get("DOSSIER_STAGE")) else {}
    with single_metric(name=name, unit=MetricUnit.Count, value=value) as metric:
        for dimension, of in {**always, **dimensions}.items():
            metric.add_dimension(name=dimension, value=of)


def hear(call: Call) -> None:
    """Log a request to a vendor: its path has ids of the vendor, and no key, query or content."""
    usage.OWN.called(call.sent)
    facts = {"call": call.call, "status": call.status, "error": call.error, "ms": round(1000 * call.seconds)}
    # As numbers too, because queries of the dashboard can only add those up.
    sums = {"throttled": int(call.status == 429), "unanswered": int(call.status is None or call.status >= 500)}
    logger.info(CALL, extra={"connection": call.connection, **facts, **sums})


def about(**names: str) -> None:
    """Add a case's names to the following logs."""
    logger.append_keys(**names)
    usage.OWN.about(**names)


def observed(handler: Handler) -> Handler:
    """Wrap a function's handler: add the case's names to its logs, flush its metrics, log its usage."""

    @usage.measured
    @logger.inject_lambda_context(clear_state=True, log_event=False)
    @metrics.log_metrics
    @wraps(handler)
    def wrapped(event: dict[str, Any], context: Any) -> Any:
        names = {key: event[key] for key in ("connection", "reference") if isinstance(event.get(key), str)}
        logger.append_keys(**names)
        return handler(event, context)

    return wrapped
