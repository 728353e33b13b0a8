"""Metrics that a function prints in the embedded metric format reach CloudWatch, and its alarms.

AWS extracts them from the log (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
CloudWatch_Embedded_Metric_Format_Specification.html); MiniStack only stores the line. The bridge reads each log line of
a function, and ignores those in other formats, as AWS does; then MiniStack looks at its alarms, as it does after a
``PutMetricData``. It takes an alarm for one on all dimensions of its metric, and no missing data for a breach.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.pinned import cloudwatch, lambda_service, replace, require


def install() -> None:
    """Install the bridge."""
    takes = "func, request_id, log_text, error, duration_ms, log_source"
    replace(lambda_service, "_emit_lambda_logs", takes, _emit)
    require(callable(cloudwatch._evaluate_all_alarms), "cloudwatch._evaluate_all_alarms is gone")


def _emit(original: Callable[..., None], func: Any, request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
    original(func, request_id, log_text, *args, **kwargs)
    found = [line for line in (log_text or "").splitlines() if '"_aws"' in line]
    for line in found:
        try:
            _record(json.loads(line))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    if found:
        cloudwatch._evaluate_all_alarms()


def _record(document: dict[str, Any]) -> None:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    unit = metric.get("Unit", "None")
                    cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, dimensions)
