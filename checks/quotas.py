"""Compares a template, resolved for one place, with AWS's published quotas. Each finding is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from checks.places import Filled

KB = 1024
TEMPLATE_BYTES, RESOURCES, OUTPUTS, PARAMETERS = 1_000_000, 500, 200, 200
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
INLINE_POLICIES, TRUST_POLICY = 10_240, 2_048
"""Characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
ENVIRONMENT, LAYERS, UNZIPPED = 4 * KB, 5, 250 * KB * KB
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
DEFINITION = KB * KB
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
QUEUE_POLICY_STATEMENTS, QUEUE_NAME = 20, 80
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html"""
FUNCTION_NAME, ROLE_NAME = 64, 64
BUCKET_POLICY = 20 * KB
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html"""
FUNCTION_POLICY = 20 * KB
"""Resource-based policy of a function; about 400 bytes a permission."""
TARGETS_PER_RULE, RULES_PER_BUS = 5, 300
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"""
ROUTES_PER_API = 300
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
_LITERALS = re.compile(r"arn:aws(-cn|-us-gov)?:|amazonaws\.com\.cn|\b(us|eu|ap|cn)-[a-z]+-\d\b")
"""Literals of one partition or Region, in place of which the template must use a pseudo parameter."""


def findings(template: dict[str, Any], filled: Filled) -> list[str]:
    """Return what exceeds AWS's quotas at one place."""
    return [finding for check in _CHECKS for finding in check(template, filled)]


def portable(template: dict[str, Any]) -> list[str]:
    """Return the literals in a template that name a Region or a partition, and so are right in one place only."""
    text = json.dumps({"Resources": template["Resources"], "Outputs": template.get("Outputs", {})})
    literals = [each[0] for each in _LITERALS.finditer(text)]
    return [f"the template has {each}: use AWS::Partition, AWS::Region or AWS::URLSuffix" for each in literals]


def sizes(template: dict[str, Any], filled: Filled) -> dict[str, int]:
    """Return the use of the tightest quotas in percent."""
    roles, functions = filled.of_type("AWS::IAM::Role"), filled.of_type("AWS::Lambda::Function")
    used = {
        "resources": len(filled.resources) / RESOURCES,
        "template": _bytes(template) / TEMPLATE_BYTES,
        "largest role": max(map(_policies, roles.values())) / INLINE_POLICIES,
        "largest environment": max(map(_environment, functions.values())) / ENVIRONMENT,
    }
    return {name: round(100 * share) for name, share in used.items()}


def _stack(template: dict[str, Any], filled: Filled) -> Iterator[str]:
    for what, has, most in (
        ("resources", len(filled.resources), RESOURCES),
        ("bytes", _bytes(template), TEMPLATE_BYTES),
        ("outputs", len(template.get("Outputs", {})), OUTPUTS),
        ("parameters", len(template.get("Parameters", {})), PARAMETERS),
    ):
        if has > most:
            yield f"the template has {has:,} {what}, more than {most:,}"


def _roles(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    for name, role in filled.of_type("AWS::IAM::Role").items():
        if (has := _policies(role)) > INLINE_POLICIES:
            yield f"role {name} has {has:,} characters of inline policies, more than {INLINE_POLICIES:,}"
        if (has := len(_dense(role["AssumeRolePolicyDocument"]))) > TRUST_POLICY:
            yield f"role {name} has a trust policy of {has:,} characters, more than {TRUST_POLICY:,}"
        if len(role.get("RoleName", "")) > ROLE_NAME:
            yield f"role {name} has a name of more than {ROLE_NAME} characters"


def _functions(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    for name, function in filled.of_type("AWS::Lambda::Function").items():
        if (has := _environment(function)) > ENVIRONMENT:
            yield f"function {name} has {has:,} bytes of environment, more than {ENVIRONMENT:,}"
        if len(function.get("Layers", [])) > LAYERS:
            yield f"function {name} has more than {LAYERS} layers"
        if len(function.get("FunctionName", "")) > FUNCTION_NAME:
            yield f"function {name} has a name of more than {FUNCTION_NAME} characters"
    permissions: dict[str, int] = {}
    for each in filled.of_type("AWS::Lambda::Permission").values():
        permissions[each["FunctionName"]] = permissions.get(each["FunctionName"], 100) + len(_dense(each)) + 250
    for function, has in permissions.items():
        if has > FUNCTION_POLICY:
            yield f"function {function} has a policy of {has:,} bytes, more than {FUNCTION_POLICY:,}"


def _machines(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    for name, machine in filled.of_type("AWS::StepFunctions::StateMachine").items():
        if (has := len(machine["DefinitionString"].encode())) > DEFINITION:
            yield f"state machine {name} has a definition of {has:,} bytes, more than {DEFINITION:,}"


def _queues(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    for name, queue in filled.of_type("AWS::SQS::Queue").items():
        if len(queue.get("QueueName", "")) > QUEUE_NAME:
            yield f"queue {name} has a name of more than {QUEUE_NAME} characters"
    for name, policy in filled.of_type("AWS::SQS::QueuePolicy").items():
        if len(policy["PolicyDocument"]["Statement"]) > QUEUE_POLICY_STATEMENTS:
            yield f"queue policy {name} has more than {QUEUE_POLICY_STATEMENTS} statements"


def _buckets(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    for name, policy in filled.of_type("AWS::S3::BucketPolicy").items():
        if (has := len(_dense(policy["PolicyDocument"]))) > BUCKET_POLICY:
            yield f"bucket policy {name} has {has:,} bytes, more than {BUCKET_POLICY:,}"


def _rules(_: dict[str, Any], filled: Filled) -> Iterator[str]:
    rules = filled.of_type("AWS::Events::Rule")
    if len(rules) > RULES_PER_BUS:
        yield f"{len(rules)} rules, more than {RULES_PER_BUS}"
    for name, rule in rules.items():
        if len(rule.get("Targets", [])) > TARGETS_PER_RULE:
            yield f"rule {name} has more than {TARGETS_PER_RULE} targets"
    if len(filled.of_type("AWS::ApiGatewayV2::Route")) > ROUTES_PER_API:
        yield f"the API has more than {ROUTES_PER_API} routes"


_CHECKS: tuple[Callable[[dict[str, Any], Filled], Iterator[str]], ...] = (
    _stack, _roles, _functions, _machines, _queues, _buckets, _rules,
)  # fmt: skip


def _policies(role: Any) -> int:
    return sum(len(_dense(each["PolicyDocument"])) for each in role.get("Policies", []))


def _environment(function: Any) -> int:
    return len(_dense(function.get("Environment", {}).get("Variables", {})).encode())


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _bytes(template: dict[str, Any]) -> int:
    return len(json.dumps(template, indent=1).encode())
