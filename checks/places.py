"""Resolves a template's references as CloudFormation does in a Region, with names as long as they can get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT = "123456789012"
GENERATED = 12
"""Characters of the random end of a name that CloudFormation generates."""


@dataclass(frozen=True, slots=True)
class Place:
    """A Region and its partition; ``suffix`` is the end of its host names."""

    region: str
    partition: str
    suffix: str


PLACES = (
    Place("us-east-1", "aws", "amazonaws.com"),
    Place("eu-central-1", "aws", "amazonaws.com"),
    Place("ap-southeast-3", "aws", "amazonaws.com"),
    Place("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    Place("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
)
_ARNS = {
    "AWS::ApiGatewayV2::Api": "arn:{p}:apigateway:{r}::/apis/{n}",
    "AWS::CloudWatch::Alarm": "arn:{p}:cloudwatch:{r}:{a}:alarm:{n}",
    "AWS::CloudWatch::CompositeAlarm": "arn:{p}:cloudwatch:{r}:{a}:alarm:{n}",
    "AWS::DynamoDB::Table": "arn:{p}:dynamodb:{r}:{a}:table/{n}",
    "AWS::Events::EventBus": "arn:{p}:events:{r}:{a}:event-bus/{n}",
    "AWS::Events::Rule": "arn:{p}:events:{r}:{a}:rule/{n}",
    "AWS::IAM::Role": "arn:{p}:iam::{a}:role/{n}",
    "AWS::Lambda::Function": "arn:{p}:lambda:{r}:{a}:function:{n}",
    "AWS::Lambda::LayerVersion": "arn:{p}:lambda:{r}:{a}:layer:{n}:99",
    "AWS::Logs::LogGroup": "arn:{p}:logs:{r}:{a}:log-group:{n}:*",
    "AWS::S3::Bucket": "arn:{p}:s3:::{n}",
    "AWS::SNS::Topic": "arn:{p}:sns:{r}:{a}:{n}",
    "AWS::SQS::Queue": "arn:{p}:sqs:{r}:{a}:{n}",
    "AWS::SecretsManager::Secret": "arn:{p}:secretsmanager:{r}:{a}:secret:{n}-AbCdEf",
    "AWS::StepFunctions::StateMachine": "arn:{p}:states:{r}:{a}:stateMachine:{n}",
}
_REF_IS_ARN = {
    "AWS::Lambda::LayerVersion",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::StepFunctions::StateMachine",
}
_NAMES = (
    "FunctionName",
    "QueueName",
    "TableName",
    "BucketName",
    "LogGroupName",
    "StateMachineName",
    "RoleName",
    "Name",
)


class Filled:
    """A template with its references resolved for one place."""

    def __init__(self, template: Mapping[str, Any], stack: str, place: Place, *, account: str = ACCOUNT) -> None:
        self.resources: Mapping[str, Any] = template["Resources"]
        self.place = place
        self._account = account
        self._stack = stack
        self._pseudo = {
            "AWS::AccountId": account,
            "AWS::NoValue": "",
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackId": f"arn:{place.partition}:cloudformation:{place.region}:{account}:stack/{stack}/{'0' * 36}",
            "AWS::StackName": stack,
            "AWS::URLSuffix": place.suffix,
        }
        parameters = template.get("Parameters", {})
        self._parameters = {name: str(each.get("Default", name)) for name, each in parameters.items()}

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the resolved properties of the resources of a type, by logical id."""
        found = ((name, each) for name, each in self.resources.items() if each["Type"] == kind)
        return {name: self.value(each.get("Properties", {})) for name, each in found}

    def machines(self) -> list[Any]:
        """Return the state machines, that of cases first: its name is the stack's."""
        found = self.of_type("AWS::StepFunctions::StateMachine").values()
        return sorted(found, key=lambda each: bool(each["StateMachineName"] != self._stack))

    def value(self, value: Any) -> Any:
        """Return a value of the template with its references resolved.

        Raises:
            ValueError: it uses an intrinsic function that this class does not support.

        """
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if not isinstance(value, dict):
            return value
        [(function, argument), *more] = value.items() or [("", None)]
        if not more and (function == "Ref" or function.startswith("Fn::")):
            return self._called(function, argument)
        return {name: self.value(each) for name, each in value.items()}

    def _called(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", name:
                return self._ref(name)
            case "Fn::GetAtt", [name, attribute]:
                return self._attribute(name, attribute)
            case "Fn::Join", [separator, parts]:
                return str(separator).join(str(self.value(part)) for part in parts)
            case "Fn::Sub", str(text):
                for name, meant in (*self._pseudo.items(), *self._parameters.items()):
                    text = text.replace("${" + name + "}", meant)
                return text
        raise ValueError(f"{function} is not supported: add it to checks/places.py")

    def _ref(self, name: str) -> str:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        kind, physical = self.resources[name]["Type"], self.name_of(name)
        if kind in _REF_IS_ARN:
            return self._arn(kind, physical)
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{self.place.region}.{self.place.suffix}/{self._account}/{physical}"
        return physical

    def _attribute(self, name: str, attribute: str) -> str:
        kind, physical = self.resources[name]["Type"], self.name_of(name)
        if attribute.endswith("Arn"):
            return self._arn(kind, physical)
        if attribute == "ApiEndpoint":
            return f"https://{physical[:10]}.execute-api.{self.place.region}.{self.place.suffix}"
        return physical

    def _arn(self, kind: str, physical: str) -> str:
        return _ARNS[kind].format(p=self.place.partition, r=self.place.region, a=self._account, n=physical)

    def arn_of(self, name: str) -> str:
        """Return a resource's ARN."""
        return self._arn(self.resources[name]["Type"], self.name_of(name))

    def name_of(self, name: str) -> str:
        """Return a resource's name, or one as long as CloudFormation generates them."""
        properties = self.resources[name].get("Properties", {})
        for key in _NAMES:
            if key in properties:
                return str(self.value(properties[key]))
        made_up = f"{self._stack}-{name}"[: 64 - GENERATED - 1] + "-" + "A1B2C3D4E5F6"
        return made_up.lower() if self.resources[name]["Type"] == "AWS::S3::Bucket" else made_up
