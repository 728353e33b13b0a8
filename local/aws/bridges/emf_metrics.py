"""Metrics that a function prints in the embedded metric format reach CloudWatch.

AWS extracts them from the log (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
CloudWatch_Embedded_Metric_Format_Specification.html); MiniStack only stores the line. The bridge reads each log line of
a function, and ignores those in other formats, as AWS does.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.pinned import cloudwatch, lambda_service, replace


def install() -> None:
    """Install the bridge."""
    takes = "func, request_id, log_text, error, duration_ms, log_source"
    replace(lambda_service, "_emit_lambda_logs", takes, _emit)


def _emit(original: Callable[..., None], func: Any, request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
    original(func, request_id, log_text, *args, **kwargs)
    for line in (log_text or "").splitlines():
        if '"_aws"' in line:
            try:
                _record(json.loads(line))
            except (KeyError, TypeError, ValueError, AttributeError):
                continue


def _record(document: dict[str, Any]) -> None:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    unit = metric.get("Unit", "None")
                    cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, dimensions)
