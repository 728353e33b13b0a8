"""The key that encrypts data: the customer's, or AWS's."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.settings import Settings


def customer_key(scope: Construct, settings: Settings) -> kms.IKey | None:
    """Return the customer's KMS key as a construct in ``scope``; None if the settings name none."""
    return kms.Key.from_key_arn(scope, "Key", settings.kms_key_arn) if settings.kms_key_arn else None
