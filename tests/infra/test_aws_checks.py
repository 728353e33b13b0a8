"""``make check``'s part about AWS: its findings in a wrong state machine and in wrong templates."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from checks import machine, quotas
from checks.places import PLACES, Filled
from dossier.models import CaseInput
from dossier.settings import MOST_ARTIFACTS
from dossier.steps.collect import chunks
from tests.infra.synthesis import Synthesized
from tests.walk import Walk

STATE_BYTES, HISTORY_EVENTS = 256 * 1024, 25_000
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
RETRIES = 1200
"""Tries of one step that the retriers allow in all, each of them three more events."""


@pytest.fixture
def filled(stack: Synthesized) -> Filled:
    """Return the stack's template, filled in for the first place."""
    return Filled(stack.template, stack.name, PLACES[0])


@pytest.fixture
def definition(filled: Filled) -> dict[str, Any]:
    """Return the state machine's definition with a Region's ARNs."""
    found: dict[str, Any] = json.loads(filled.machines()[0]["DefinitionString"])
    return found


def changed(stack: Synthesized, kind: str, **properties: Any) -> list[str]:
    """Return the findings after the first resource of a type got other properties."""
    template = deepcopy(stack.template)
    resource = next(each for each in template["Resources"].values() if each["Type"] == kind)
    resource["Properties"].update(properties)
    return quotas.findings(template, Filled(template, stack.name, PLACES[0]))


def test_the_state_machine_is_valid_and_its_expressions_agree(definition: dict[str, Any]) -> None:
    """For the recorded inputs of every expression the local interpreter and the reference give the same results."""
    assert machine.problems(definition, machine.recorded()) == []


def test_findings_of_awss_validator_are_reported(definition: dict[str, Any]) -> None:
    """A transition to a missing state and a field that JSONata states do not have are findings."""
    definition["States"]["Accept"]["Next"] = "Nowhere"
    assert any("asl-validator" in each and "Nowhere" in each for each in machine.problems(definition, []))
    definition["States"]["Accept"]["Type"] = "Taks"
    assert any("asl-validator" in each for each in machine.problems(definition, []))


def test_an_unrecorded_expression_is_reported(definition: dict[str, Any]) -> None:
    """A new expression needs a recording."""
    definition["States"]["Collect"]["Arguments"] = {"connection": "{% $case.conection %}"}
    found = machine.problems(definition, machine.recorded())
    assert found == ["no recorded input for $case.conection: run make record"]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("$case.conection", '{"undefined": true}, which fails the state'),
        ("$number($case.connection)", '{"error": "D3030"}, which fails the state'),
        ("$hash($case.connection, 'SHA-256')", "by the reference"),
    ],
)
def test_a_failing_or_different_expression_is_reported(definition: dict[str, Any], expression: str, said: str) -> None:
    """An expression without a result, with an error, or with another result at AWS than locally is a finding."""
    definition["States"]["Collect"]["Arguments"] = {"connection": f"{{% {expression} %}}"}
    seen = {"expression": expression, "states": {"input": {}}, "variables": {"case": {"connection": "invoices"}}}
    [found] = machine.problems(definition, [*machine.recorded(), seen])
    assert found.startswith(f"{expression}: ")
    assert said in found


@pytest.mark.parametrize("place", PLACES, ids=lambda each: each.region)
def test_the_stack_fits_into_awss_quotas(stack: Synthesized, other_stack: Synthesized, place: Any) -> None:
    """With all defaults and with every setting set, in each partition."""
    for each in (stack, other_stack):
        assert quotas.findings(each.template, Filled(each.template, each.name, place)) == []


def test_the_template_names_no_region(stack: Synthesized) -> None:
    """The template has no partition, Region or host name; one that it has is reported."""
    assert quotas.portable(stack.template) == []
    template = deepcopy(stack.template)
    template["Outputs"]["Wrong"] = {"Value": "arn:aws:s3:::artifacts in eu-central-1"}
    assert [each.split(":")[0] for each in quotas.portable(template)] == [
        "the template has arn",
        "the template has eu-central-1",
    ]


@pytest.mark.parametrize("place", PLACES, ids=lambda each: each.region)
def test_references_are_filled_in_for_each_partition(stack: Synthesized, place: Any) -> None:
    """ARNs and host names match the place."""
    text = json.dumps(
        [Filled(stack.template, stack.name, place).value(each) for each in stack.template["Resources"].values()]
    )
    assert f"arn:{place.partition}:lambda:{place.region}:" in text
    assert f"https://sqs.{place.region}.{place.suffix}/" in text
    others = {each.partition for each in PLACES} - {place.partition}
    assert not [each for each in others if f"arn:{each}:" in text]


def test_too_large_parts_are_found(stack: Synthesized) -> None:
    """Each quota is compared with the template."""
    statements = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "x" * 10_241}]
    policies = [{"PolicyName": "grants", "PolicyDocument": {"Statement": statements}}]
    assert "characters of inline policies, more than 10,240" in changed(stack, "AWS::IAM::Role", Policies=policies)[0]
    environment = {"Variables": {"DOSSIER_STAGE": "x" * 4096}}
    assert (
        "bytes of environment, more than 4,096" in changed(stack, "AWS::Lambda::Function", Environment=environment)[0]
    )
    assert "more than 5 layers" in changed(stack, "AWS::Lambda::Function", Layers=["x"] * 6)[0]
    assert "a name of more than 64" in changed(stack, "AWS::Lambda::Function", FunctionName="x" * 65)[0]
    assert "a name of more than 80" in changed(stack, "AWS::SQS::Queue", QueueName="x" * 81)[0]
    definition = changed(stack, "AWS::StepFunctions::StateMachine", DefinitionString="x" * (1024 * 1024 + 1))
    assert any("a definition of 1,048,577 bytes" in each for each in definition)
    assert "more than 5 targets" in changed(stack, "AWS::Events::Rule", Targets=[{"Arn": "x"}] * 6)[0]


def test_too_many_resources_are_found(stack: Synthesized) -> None:
    """CloudFormation rejects a stack of more than 500 resources, or of more than a megabyte."""
    template = deepcopy(stack.template)
    template["Resources"] |= {f"Topic{number}": {"Type": "AWS::SNS::Topic"} for number in range(500)}
    assert any(
        "resources, more than 500" in each for each in quotas.findings(template, Filled(template, "s", PLACES[0]))
    )
    template = {**stack.template, "Description": "x" * 1_000_000}
    assert any(
        "bytes, more than 1,000,000" in each for each in quotas.findings(template, Filled(template, "s", PLACES[0]))
    )


def test_the_largest_case_fits_into_an_execution(definition: dict[str, Any]) -> None:
    """A thousand uploads and ten thousand artifacts: payloads below 256 KiB, history with room for every retry."""
    most = next(each.max_length for each in CaseInput.model_fields["documents"].metadata if hasattr(each, "max_length"))
    accepted = {
        "connection": "c" * 32, "reference": "r" * 100, "outcome": "new", "execution_arn": "a" * 300, "opens": True,
        "phases": ["documents", "results"], "uploads": list(range(most)), "at_once": 100, "deadline": 30 * 86400,
        "collection": "",
    }  # fmt: skip
    answers = {"accept": accepted, "collect": {"artifacts": chunks(range(MOST_ARTIFACTS)), "at_once": 100}}
    walk = Walk(definition, lambda verb, _: answers.get(verb, {}))
    walk.run({"connection": "c" * 32, "reference": "r" * 100})
    assert walk.outcome == "SUCCEEDED"
    assert walk.invoked.count("upload") == most
    assert walk.invoked.count("download") == len(chunks(range(MOST_ARTIFACTS)))
    assert walk.largest < STATE_BYTES
    assert walk.events + 3 * RETRIES < HISTORY_EVENTS
