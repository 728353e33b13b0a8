"""Acknowledges findings of cdk-nag, each with its construct and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from constructs import Construct


def acknowledge(construct: Construct, rule: str, *, reason: str) -> None:
    """Acknowledge a finding (``AwsSolutions-S1``) about a construct."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcards(construct: Construct, resources: Iterable[str], *, reason: str) -> None:
    """Acknowledge the resources with ``*`` in the policies below a construct."""
    for resource in resources:
        text = _as_text(cdk.Stack.of(construct).resolve(resource))
        if "*" in text:
            acknowledge(construct, f"AwsSolutions-IAM5[Resource::{text}]", reason=reason)


def _as_text(value: Any) -> str:
    """Return a policy's resource as cdk-nag writes it: ``<Bucket.Arn>/cases/*``."""
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
