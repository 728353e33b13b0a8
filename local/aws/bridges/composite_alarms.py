"""CloudFormation creates a composite alarm.

MiniStack's CloudWatch has composite alarms, and changes their state with their children's; its CloudFormation does not
know the resource. The bridge passes it to MiniStack's own API.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-compositealarm.html
"""

from typing import Any

from local.aws.pinned import arn, cloudwatch, provisioners, require

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
TYPE = "AWS::CloudWatch::CompositeAlarm"


def install() -> None:
    """Install the bridge."""
    require(TYPE not in provisioners._RESOURCE_HANDLERS, f"{TYPE} is known")
    require(callable(cloudwatch._put_composite_alarm), "cloudwatch._put_composite_alarm is gone")
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}


def _create(logical_id: str, props: Properties, stack_name: str) -> Created:
    return _put(props.get("AlarmName") or provisioners._physical_name(stack_name, logical_id, max_len=255), props)


def _update(physical_id: str, _old: Properties, props: Properties, _stack_name: str) -> Created:
    return _put(props.get("AlarmName") or physical_id, props)


def _put(name: str, props: Properties) -> Created:
    data = {key: value for key, value in props.items() if key != "Tags"} | {"AlarmName": name}
    response = cloudwatch._put_composite_alarm({}, data, False, True)
    if response[0] >= 300:
        raise ValueError(str(response[2])[:300])
    return name, {"Arn": arn("cloudwatch", f"alarm:{name}")}


def _delete(physical_id: str, _props: Properties) -> None:
    cloudwatch._delete_alarms({}, {"AlarmNames": [physical_id]}, False, True)
