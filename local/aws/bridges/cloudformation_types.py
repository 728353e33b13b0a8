"""Resource types that MiniStack does not support.

CloudFormation creates each of them. MiniStack rejects the whole stack with "Unrecognized resource types", and rejects
an alarm on a metric expression. The bridge adds a handler for each: through MiniStack's own API where it has the
resource (composite and expression alarms, archives, connections, API destinations), otherwise as a name without
effect (anomaly detectors, saved queries, rotation schedules).
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.pinned import arn, cloudwatch, eventbridge, provisioners, replace, responses

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_WITHOUT_EFFECT = (
    "AWS::ApplicationInsights::Application",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::AnomalyDetector",
    "AWS::CloudWatch::InsightRule",
    "AWS::Events::EventBusPolicy",
    "AWS::Lambda::CodeSigningConfig",
    "AWS::Logs::LogAnomalyDetector",
    "AWS::Logs::QueryDefinition",
    "AWS::ResourceGroups::Group",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::ServiceCatalogAppRegistry::Application",
    "AWS::ServiceCatalogAppRegistry::ResourceAssociation",
    "AWS::XRay::Group",
    "AWS::XRay::SamplingRule",
)


def install() -> None:
    """Install the bridge."""
    for type_name in _WITHOUT_EFFECT:
        _register(type_name, _nothing, lambda *_: None)
    _register("AWS::CloudWatch::CompositeAlarm", _composite_alarm, _drop_composite_alarm)
    _register("AWS::Events::Archive", _archive, _dropper(eventbridge._delete_archive, "ArchiveName"))
    _register("AWS::Events::Connection", _connection, _dropper(eventbridge._delete_connection, "Name"))
    _register("AWS::Events::ApiDestination", _destination, _dropper(eventbridge._delete_api_destination, "Name"))
    replace(provisioners, "_cw_metric_alarm_put", "name, props", _alarm)


def _register(type_name: str, create: Callable[[str, Properties], Created], drop: Callable[..., None]) -> None:
    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        return create(provisioners._physical_name(stack, logical_id, max_len=48), properties)

    def updated(physical_id: str, _old: Properties, new: Properties, _stack: str) -> Created:
        drop(physical_id, new)
        return create(physical_id, new)

    provisioners._RESOURCE_HANDLERS.setdefault(type_name, {"create": created, "update": updated, "delete": drop})


def _answered(response: tuple[Any, ...]) -> dict[str, Any]:
    if response[0] >= 300:
        raise ValueError(str(response[2])[:300])
    try:
        answer: dict[str, Any] = json.loads(response[2] or "{}")
    except ValueError:
        return {}
    return answer


def _dropper(delete: Callable[[dict[str, Any]], Any], key: str) -> Callable[..., None]:
    def drop(physical_id: str, _properties: Properties) -> None:
        delete({key: physical_id})

    return drop


def _nothing(name: str, _properties: Properties) -> Created:
    return name, {"Arn": name, "Id": name, "ArnForPolicy": name}


def _untagged(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if name != "Tags"}


def _composite_alarm(name: str, properties: Properties) -> Created:
    name = properties.get("AlarmName") or name
    _answered(cloudwatch._put_composite_alarm({}, {**_untagged(properties), "AlarmName": name}, False, True))
    return name, {"Arn": arn("cloudwatch", f"alarm:{name}")}


def _drop_composite_alarm(physical_id: str, _properties: Properties) -> None:
    cloudwatch._composite_alarms.pop(physical_id, None)


def _alarm(original: Callable[..., Created], name: str, props: Properties) -> Created:
    if not props.get("Metrics"):
        return original(name, props)
    numbers = {"EvaluationPeriods": int(props["EvaluationPeriods"]), "Threshold": float(props.get("Threshold", 0))}
    data = {**_untagged(props), "AlarmName": name, **numbers}
    _answered(cloudwatch._put_metric_alarm({}, data, False, True))
    return name, {"Arn": arn("cloudwatch", f"alarm:{name}")}


def _archive(name: str, properties: Properties) -> Created:
    name = properties.get("ArchiveName") or name
    pattern = properties.get("EventPattern")
    data = {
        **properties,
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "EventPattern": json.dumps(pattern) if isinstance(pattern, dict) else pattern,
    }
    return name, {"Arn": _answered(eventbridge._create_archive(data))["ArchiveArn"]}


def _connection(name: str, properties: Properties) -> Created:
    name = properties.get("Name") or name
    created = _answered(eventbridge._create_connection({**properties, "Name": name}))
    secret = arn("secretsmanager", f"secret:events!connection/{name}/{responses.new_uuid()}")
    return name, {"Arn": created["ConnectionArn"], "ArnForPolicy": created["ConnectionArn"], "SecretArn": secret}


def _destination(name: str, properties: Properties) -> Created:
    name = properties.get("Name") or name
    created = _answered(eventbridge._create_api_destination({**properties, "Name": name}))
    return name, {"Arn": created["ApiDestinationArn"], "ArnForPolicy": created["ApiDestinationArn"]}
