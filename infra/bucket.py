"""The bucket that documents, artifacts, results and evidence live in."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from dossier.models import INBOX, REFUSED_DROPS
from infra.encryption import customer_key
from infra.rules import acknowledge
from infra.settings import Settings

_EVENT_BRIDGE = s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)


class ArtifactBucket(Construct):
    """A private, versioned bucket. It outlives the stack unless ``retain=false``.

    With ``evidence_lock_days`` its objects can be locked; which are, and until when, is said with each object.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        key = customer_key(self, settings)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            versioned=True,
            object_lock_enabled=True if settings.evidence_lock_days else None,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,  # one call to KMS for many objects
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="staging",  # what the CLI uploads before Accept copies it
                    prefix="staging/",
                    expiration=cdk.Duration.days(7),
                ),
                # What was dropped: the case has a copy. Longer than a dead letter is kept.
                s3.LifecycleRule(id="inbox", prefix=INBOX, expiration=cdk.Duration.days(30)),
                s3.LifecycleRule(id="inbox-refused", prefix=REFUSED_DROPS, expiration=cdk.Duration.days(30)),
                s3.LifecycleRule(id="unfinished", abort_incomplete_multipart_upload_after=cdk.Duration.days(1)),
                s3.LifecycleRule(
                    id="replaced",
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    expired_object_delete_marker=True,
                ),
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.retain else cdk.RemovalPolicy.DESTROY,
        )
        # On the L1: the L2's notifications bring a custom resource with a function of its own.
        self._resource = cast("s3.CfnBucket", self.bucket.node.default_child)
        self._resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=_EVENT_BRIDGE
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            reason="Access logs belong into the account's own log bucket; CloudTrail data events serve as well.",
        )

    def tell(self, queue: sqs.Queue, *, of: str) -> None:
        """Send a message to the queue for every object that is created below the prefix ``of``."""
        # The bucket cannot be named: its notifications need this policy to be there first. A message about another
        # bucket of the account is about nothing (`steps.drop.landed`).
        allowed = queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )
        if allowed.policy_dependable:
            self._resource.node.add_dependency(allowed.policy_dependable)
        created = s3.CfnBucket.QueueConfigurationProperty(
            event="s3:ObjectCreated:*",
            queue=queue.queue_arn,
            filter=s3.CfnBucket.NotificationFilterProperty(
                s3_key=s3.CfnBucket.S3KeyFilterProperty(
                    rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=of)]
                )
            ),
        )
        self._resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=_EVENT_BRIDGE, queue_configurations=[created]
        )
