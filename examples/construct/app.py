"""Dossier as a construct of your own stack, with your own bus and bucket.

Run ``cdk synth --app "python examples/construct/app.py"`` in the project's folder; ``docs/embedding.md`` explains it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.artifact_bucket import lifecycle
from infra.dossier import Dossier
from infra.settings import Retention

HERE = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {"stage": "claims", "allow_insecure": True}
"""Any setting of ``docs/deploy.md``. The shipped connections need the last one, because they use the sandbox."""


class OfficeStack(cdk.Stack):
    """Your own stack: a bus and a bucket that Dossier uses, and a queue that gets each completed case."""

    def __init__(self, scope: Construct, id: str, **rest: Any) -> None:  # noqa: A002
        super().__init__(scope, id, **rest)
        bus = events.EventBus(self, "Bus")
        bucket = s3.Bucket(
            self,
            "Files",
            versioned=True,  # Dossier needs versions
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=lifecycle(Retention()),  # Dossier's own, which delete what is transient
        )
        self.documents = Dossier(
            self, "Documents", connections=HERE / "connections.toml", bus=bus, bucket=bucket, **SETTINGS
        )
        finished = sqs.Queue(self, "Finished", enforce_ssl=True)
        events.Rule(
            self,
            "Completed",
            event_bus=bus,
            event_pattern=events.EventPattern(source=["dossier"], detail_type=["Case Completed", "Case Updated"]),
            targets=[targets.SqsQueue(finished)],
        )
        acknowledge(bucket, "AwsSolutions-S1", "Access logs belong into the account's log bucket.")
        acknowledge(finished, "AwsSolutions-SQS3", "An example: your consumer decides what a dead letter is.")


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Acknowledge a finding of cdk-nag in your own stack."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def build(app: cdk.App) -> OfficeStack:
    """Add your stack to an app; Dossier's stack comes with it."""
    env = cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION"))
    return OfficeStack(app, "office", env=env)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
