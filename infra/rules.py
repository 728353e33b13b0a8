"""The rules of cdk-nag that do not apply here: each with the construct that it is about, and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from constructs import Construct


def acknowledge(construct: Construct, rule: str, *, reason: str) -> None:
    """Say why a finding (``AwsSolutions-S1``) about a construct is right as it is."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcards(construct: Construct, resources: Iterable[str], *, reason: str) -> None:
    """Say why policies below a construct name resources by a pattern; resources without ``*`` need no reason."""
    for resource in resources:
        text = _as_text(cdk.Stack.of(construct).resolve(resource))
        if "*" in text:
            acknowledge(construct, f"AwsSolutions-IAM5[Resource::{text}]", reason=reason)


def _as_text(value: Any) -> str:
    """Return a resource of a policy as cdk-nag writes it: ``<Bucket.Arn>/cases/*``."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return str(name)
        case {"Fn::Join": ["", parts]}:
            return "".join(_as_text(part) for part in parts)
        case _:
            return str(value)
