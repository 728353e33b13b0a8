"""The inbox: S3 sends a message for each drop to a queue, whose function turns drops into cases."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.layout import INBOX
from dossier.stores.queues import BATCHES_AT_ONCE, DROP
from infra.artifact_bucket import ArtifactBucket
from infra.settings import Settings
from infra.work_queue import WorkQueue

DROP_TIMEOUT = cdk.Duration.minutes(5)
"""Enough to read some twenty gigabytes: the function hashes a case's content to name its execution."""


class Inbox(Construct):
    """A queue of drops below ``inbox/``. Dossier itself writes nothing there, so no drop causes another."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        bucket: ArtifactBucket,
    ) -> None:
        super().__init__(scope, id)
        # A failed drop is retried soon, instead of after the six timeouts that AWS advises.
        self.queue = WorkQueue(
            self,
            "Drop",
            settings=settings,
            name=settings.named(DROP),
            visibility_timeout=DROP_TIMEOUT.plus(cdk.Duration.seconds(30)),
        )
        bucket.notify(self.queue.queue, of=INBOX)

    def consumed_by(self, function: lambda_.Function) -> None:
        """Pass drops to the function one by one: each may be large."""
        self.queue.consumed_by(function, batch_size=1, at_once=BATCHES_AT_ONCE)
