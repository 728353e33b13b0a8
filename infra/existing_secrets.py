"""Secrets that exist before a deployment and belong to no stack, because they outlived theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105  # a type of resource
_GONE = {"DELETE_COMPLETE", "DELETE_SKIPPED"}
"""Deleted with its stack or connection, or retained: no longer a resource of the stack."""


def secrets_outside(session: Any, *, stack: str, prefix: str, connections: Iterable[str]) -> frozenset[str]:
    """Return the connections whose secret exists outside the stack.

    Args:
        session: a boto3 session for the account and Region of the deployment.
        stack: the stack's name.
        prefix: secrets are called ``<prefix>/<connection>``.
        connections: the connections to deploy.

    """
    owned = _resources(session.client("cloudformation"), stack)
    pages = session.client("secretsmanager").get_paginator("list_secrets")
    found = {
        each["Name"]
        for page in pages.paginate(Filters=[{"Key": "name", "Values": [f"{prefix}/"]}])
        for each in page["SecretList"]
        if not {each["ARN"], each["Name"]} & owned
    }
    return frozenset(name for name in connections if f"{prefix}/{name}" in found)


def _resources(cloudformation: Any, stack: str) -> set[str]:
    """Return the ids of the stack's secrets; none if there is no such stack."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    try:
        return {
            each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each["ResourceType"] == _SECRET and each["ResourceStatus"] not in _GONE
        }
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return set()
        raise
