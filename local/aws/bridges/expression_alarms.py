"""An alarm on a metric expression is created.

CloudFormation creates it; MiniStack's handler takes alarms of a single metric alone, and rejects the stack. The bridge
passes the alarm to MiniStack's own API, which stores it.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import arn, cloudwatch, provisioners, replace

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def install() -> None:
    """Install the bridge."""
    replace(provisioners, "_cw_metric_alarm_put", "name, props", _alarm)


def _alarm(original: Callable[..., Created], name: str, props: Properties) -> Created:
    if not props.get("Metrics"):
        return original(name, props)
    numbers = {"EvaluationPeriods": int(props["EvaluationPeriods"]), "Threshold": float(props.get("Threshold", 0))}
    data = {key: value for key, value in props.items() if key != "Tags"} | {"AlarmName": name, **numbers}
    response = cloudwatch._put_metric_alarm({}, data, False, True)
    if response[0] >= 300:
        raise ValueError(str(response[2])[:300])
    return name, {"Arn": arn("cloudwatch", f"alarm:{name}")}
