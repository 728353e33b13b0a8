"""A synthesized stack, with the queries that tests need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Properties = dict[str, Any]
KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/0f3c8f4e-0000-4000-8000-000000000000"

DOCUMENT_KEY = KMS_KEY.replace("key/0", "key/1")
TRACING_LAYER = "arn:aws:lambda:eu-central-1:901920570463:layer:aws-otel-python-arm64-ver-1-32-0:1"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:operations"


@dataclass(frozen=True)
class Synthesized:
    """One stage's stack in a cloud assembly."""

    folder: Path
    name: str

    @cached_property
    def template(self) -> dict[str, Any]:
        """The template."""
        template: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return template

    @property
    def file(self) -> Path:
        """The template's file."""
        return self.folder / f"{self.name}.template.json"

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Return the properties of the resources of a type, by logical id."""
        resources = self.template["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in resources if each["Type"] == kind}

    def one(self, kind: str) -> Properties:
        """Return the properties of the only resource of a type."""
        [properties] = self.of_type(kind).values()
        return properties

    @property
    def functions(self) -> dict[str, Properties]:
        """The functions by verb."""
        found = [each for each in self.of_type("AWS::Lambda::Function").values() if "FunctionName" in each]
        return {each["FunctionName"].removeprefix(f"{self.name}-"): each for each in found}

    def statements(self, verb: str) -> list[Properties]:
        """Return the statements of a function's role, with actions and resources as lists of texts."""
        role = self.functions[verb]["Role"]["Fn::GetAtt"][0]
        return self.role_statements(role)

    def role_statements(self, role: str) -> list[Properties]:
        """Return the statements of a role by its logical id, with actions and resources as lists of texts."""
        properties = self.of_type("AWS::IAM::Role")[role]
        assert not properties.get("ManagedPolicyArns")
        return [
            {
                "Action": _listed(statement["Action"]),
                "Resource": [self.text(each) for each in _listed(statement["Resource"])],
            }
            for policy in properties["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The state machine's definition, with ``{verb}`` in place of a function's ARN."""
        definition: dict[str, Any] = json.loads(self.text(self.machine["DefinitionString"]))
        return definition

    @property
    def machine(self) -> Properties:
        """The state machine of cases."""
        return self.machine_named(self.name)

    def machine_named(self, name: str) -> Properties:
        """Return a state machine by its name."""
        machines = self.of_type("AWS::StepFunctions::StateMachine").values()
        return next(each for each in machines if each["StateMachineName"] == name)

    def states(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Yield every state, also inside maps: its name, the state, and the states beside it."""
        yield from _states(self.definition)

    def text(self, value: Any) -> str:
        """Return a value as text: ``{upload}`` is the ARN of a function, ``<Name>`` that of another resource."""
        match value:
            case str():
                return value
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self.text(part) for part in parts)
            case {"Fn::GetAtt": [name, "Arn"]} if "FunctionName" in self.of_type("AWS::Lambda::Function").get(name, {}):
                function = self.of_type("AWS::Lambda::Function")[name]["FunctionName"]
                return "{" + str(function).removeprefix(f"{self.name}-") + "}"
            case {"Fn::GetAtt": [name, "Arn"]}:
                return f"<{self._label(name)}>"
            case {"Fn::GetAtt": [name, attribute]}:
                return f"<{self._label(name)}.{attribute}>"
            case {"Ref": name}:
                return f"<{self._label(name)}>"
        raise AssertionError(f"no text for {value}")

    def _label(self, name: str) -> str:
        """Return a resource's name if the template has one, else the last part of its type."""
        resource = self.template["Resources"].get(name)
        if resource is None:
            return name
        properties = resource.get("Properties", {})
        label = (
            properties.get("FunctionName")
            or properties.get("QueueName")
            or properties.get("LogGroupName")
            or properties.get("Name")
        )
        return str(label if isinstance(label, str) else resource["Type"].rpartition(":")[2])


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state, machine
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
