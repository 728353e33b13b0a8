"""The inbox: files that land in S3 reach a queue, and from there the function that makes cases of them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.models import INBOX
from dossier.stores.queues import DROP
from infra.bucket import ArtifactBucket
from infra.settings import Settings
from infra.work_queue import WorkQueue

DROP_TIMEOUT = cdk.Duration.minutes(5)
"""As long as it takes to read some twenty gigabytes: a case's content names its execution."""


class Inbox(Construct):
    """A queue of what was created below ``inbox/``. Dossier writes nothing there: no drop leads to another."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        bucket: ArtifactBucket,
    ) -> None:
        super().__init__(scope, id)
        # A drop that failed should be tried again soon, instead of after the six timeouts that AWS advises.
        self.queue = WorkQueue(
            self,
            "Drop",
            settings=settings,
            name=settings.named(DROP),
            visibility_timeout=DROP_TIMEOUT.plus(cdk.Duration.seconds(30)),
        )
        bucket.tell(self.queue.queue, of=INBOX)

    def consumed_by(self, function: lambda_.Function) -> None:
        """Hand each drop to the function by itself: one may be large."""
        self.queue.consumed_by(function, batch_size=1, at_once=10)
