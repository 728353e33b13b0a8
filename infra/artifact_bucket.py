"""The bucket for documents, artifacts, results and evidence."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_notifications as notifications
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from dossier import layout
from dossier.errors import ConfigurationError
from infra.encryption import customer_key
from infra.findings import acknowledge
from infra.settings import Retention, Settings

REFUSED_DAYS, SEEN_DAYS = 14, 1
"""Days to keep rejected deliveries, in which a secret may still be set; and digests of deliveries, which are used for
hours (``stores.evidence.WINDOW``)."""
PASSING_DAYS = 90
"""The longest time from a collection to its publication: an operator may pause the connection in between."""


class ArtifactBucket(Construct):
    """A private, versioned bucket. It outlives the stack unless ``retain=false``.

    With ``evidence_lock_days`` its objects can be locked; the writer of an object sets its lock.

    ``existing`` is a bucket of another stack to use instead. It keeps its own policy, encryption and lifecycle.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name
        *,
        settings: Settings,
        existing: s3.IBucket | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._resource: s3.CfnBucket | None = None
        self.bucket: s3.IBucket
        if existing is not None:
            _check(existing, settings)
            # Imported, so that this stack's additions to it are not part of the other stack.
            arn, name = existing.bucket_arn, existing.bucket_name
            if existing.node.default_child is not None:  # a bucket of the app; by an export cdk-nag names its findings
                theirs = cdk.Stack.of(existing)
                arn, name = theirs.export_value(arn), theirs.export_value(name)
            self.bucket = s3.Bucket.from_bucket_attributes(self, "Bucket", bucket_arn=arn, bucket_name=name)
        else:
            self.bucket = self._own(settings)

    def _own(self, settings: Settings) -> s3.Bucket:
        key = customer_key(self, settings)
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=settings.bucket_name or None,
            versioned=True,
            object_lock_enabled=True if settings.evidence_lock_days else None,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,  # one call to KMS for many objects
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=lifecycle(settings.retention),
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.retain else cdk.RemovalPolicy.DESTROY,
            # CloudFormation cannot delete a bucket with objects; the CDK's function empties it first.
            auto_delete_objects=not settings.retain,
        )
        if not settings.retain:
            _acknowledge_emptying(self)
        # The L1, because the L2's notifications add a custom resource with another function.
        self._resource = cast("s3.CfnBucket", bucket.node.default_child)
        acknowledge(
            bucket,
            "AwsSolutions-S1",
            reason="Access logs belong into the account's log bucket; CloudTrail data events serve as well.",
        )
        return bucket

    def notify(self, queue: sqs.Queue, *, of: str) -> None:
        """Send the queue a message for every object that is created or removed below the prefix ``of``."""
        if self._resource is None:
            for event in (s3.EventType.OBJECT_CREATED, s3.EventType.OBJECT_REMOVED):
                self.bucket.add_event_notification(
                    event, notifications.SqsDestination(queue), s3.NotificationKeyFilter(prefix=of)
                )
            _acknowledge_notifying(self)
            return
        # The condition cannot name the bucket, whose notifications need this policy first. Messages about other
        # buckets of the account are ignored (`steps.drop.landed`).
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
        below = s3.CfnBucket.NotificationFilterProperty(
            s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=of)])
        )
        configurations = [
            s3.CfnBucket.QueueConfigurationProperty(event=event, queue=queue.queue_arn, filter=below)
            for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
        ]
        self._resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=configurations
        )


def lifecycle(retention: Retention) -> list[s3.LifecycleRule]:
    """Return the lifecycle rules: fixed ones for transient objects, the others by the settings.

    A rule filters by prefix and tag. Keys of a case begin with connection and reference, so each object of a case gets
    its kind as a tag when it is written (``dossier.stores.objects``).
    """
    kinds = {
        layout.DOCUMENTS: retention.documents_days,
        layout.ARTIFACTS: retention.artifacts_days,
        layout.RAW: retention.raw_days,
        layout.RESULTS: retention.results_days,
    }
    transient = {
        "staging": (layout.STAGING, 7),
        "inbox": (layout.INBOX, 30),
        "inbox-refused": (layout.INBOX_REFUSED, 30),
        "inbox-waiting": (layout.INBOX_WAITING, 30),
        # Files of a refresh: publish copies them.
        "collecting": (layout.COLLECTING, 7),
        "deliveries-refused": (layout.DELIVERIES_REFUSED, REFUSED_DAYS),
        "deliveries-seen": (layout.DELIVERIES_SEEN, SEEN_DAYS),
    }
    return [
        # Uploads of the CLI, which Accept copies, and drops: longer than a dead letter is kept.
        *(
            s3.LifecycleRule(
                id=name,
                prefix=prefix,
                expiration=cdk.Duration.days(days),
                # Strangers can cause these objects, or copies of them exist: their versions are deleted, too.
                noncurrent_version_expiration=cdk.Duration.days(1)
                if prefix in {layout.DELIVERIES_REFUSED, layout.DELIVERIES_SEEN, layout.COLLECTING}
                else None,
            )
            for name, (prefix, days) in transient.items()
        ),
        *(
            s3.LifecycleRule(
                id=kind, prefix=layout.CASES, tag_filters={layout.TAG: kind}, expiration=cdk.Duration.days(days)
            )
            for kind, days in kinds.items()
            if days
        ),
        *(
            [
                s3.LifecycleRule(
                    id="batches", prefix=layout.BATCHES, expiration=cdk.Duration.days(retention.results_days)
                )
            ]
            if retention.results_days
            else []
        ),
        *(
            [
                s3.LifecycleRule(
                    id="evidence", prefix=layout.DELIVERIES, expiration=cdk.Duration.days(retention.evidence_days)
                )
            ]
            if retention.evidence_days
            else []
        ),
        # Copies of results: nobody reads replaced versions.
        s3.LifecycleRule(
            id="tables",
            prefix=layout.TABLES,
            expiration=cdk.Duration.days(retention.results_days) if retention.results_days else None,
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        # Raw answers of a connection that keeps none: Publish deletes them.
        s3.LifecycleRule(
            id=layout.PASSING,
            prefix=layout.CASES,
            tag_filters={layout.TAG: layout.PASSING},
            expiration=cdk.Duration.days(PASSING_DAYS),
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(id="unfinished", abort_incomplete_multipart_upload_after=cdk.Duration.days(1)),
        s3.LifecycleRule(
            id="replaced",
            noncurrent_version_expiration=cdk.Duration.days(retention.replaced_days),
            expired_object_delete_marker=True,
        ),
    ]


def _acknowledge_emptying(scope: Construct) -> None:
    """Acknowledge cdk-nag's findings about the CDK's function that empties the bucket."""
    stack = cdk.Stack.of(scope)
    provider = next(each for each in stack.node.children if each.node.id.startswith("Custom::S3AutoDeleteObjects"))
    for each in provider.node.children:
        assert isinstance(each, Construct)  # noqa: S101  # jsii types it as an interface
        acknowledge(
            each,
            "AwsSolutions-L1",
            reason="The CDK brings this function, which runs once, with its runtime.",
        )
        acknowledge(
            each,
            "AwsSolutions-IAM4",
            reason="The CDK brings this role, which writes a log and empties the one bucket to be deleted.",
        )


def _check(bucket: s3.IBucket, settings: Settings) -> None:
    """Check a bucket of another stack, as far as the app knows it."""
    if settings.bucket_name:
        raise ConfigurationError("bucket_name and an own bucket exclude each other")
    if bucket.encryption_key is not None and not settings.kms_key_arn:
        raise ConfigurationError("the bucket has its own key: name it in kms_key_arn, so that functions may use it")
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):  # an imported bucket
        return
    if resource.versioning_configuration is None:
        raise ConfigurationError("the bucket has no versions: create it with versioned=True")
    if settings.evidence_lock_days and not resource.object_lock_enabled:
        raise ConfigurationError(
            "evidence_lock_days needs a bucket with Object Lock: create it with object_lock_enabled=True"
        )


def _acknowledge_notifying(scope: Construct) -> None:
    """Acknowledge cdk-nag's findings about the CDK's function that adds notifications to a bucket of another stack."""
    stack = cdk.Stack.of(scope)
    [handler] = [each for each in stack.node.children if each.node.id.startswith("BucketNotificationsHandler")]
    basic = "Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    reasons = {
        "AwsSolutions-L1": "The CDK brings this function, which runs once, with its runtime.",
        f"AwsSolutions-IAM4[{basic}]": "The CDK brings this role, which writes a log.",
        "AwsSolutions-IAM5[Resource::*]": "The CDK brings this role, which sets the notifications of the one bucket.",
    }
    for rule, reason in reasons.items():
        assert isinstance(handler, Construct)  # noqa: S101  # jsii types it as an interface
        acknowledge(handler, rule, reason=reason)
