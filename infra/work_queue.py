"""A queue of work, its dead letters, and the alarms for them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Cause, alarm
from infra.encryption import customer_key
from infra.settings import Settings

TRIES = 5
OLD = cdk.Duration.minutes(45)
"""Longer than any delay (15 minutes), and than the tries of a failing message."""
_LONGEST = cdk.Duration.days(14)


class WorkQueue(Construct):
    """A standard queue with dead letters (``<name>-dlq``), and alarms on dead letters and on old messages."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        name: str,
        visibility_timeout: cdk.Duration,
    ) -> None:
        super().__init__(scope, id)
        key = customer_key(self, settings)
        encryption = sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=f"{name}-dlq",
            encryption=encryption,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=_LONGEST,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            encryption=encryption,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=_LONGEST,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=TRIES),
        )
        alarm(
            self,
            "Alarm",
            self.dead_letters.metric_approximate_number_of_messages_visible(
                period=cdk.Duration.minutes(1), statistic=cloudwatch.Stats.MAXIMUM
            ),
            says=f"{name}-dlq has messages that failed {TRIES} times",
            do="read the log of its function, fix the cause, then run `dossier redrive`",
            cause=Cause.DEAD_LETTERS,
        )
        alarm(
            self,
            "Old",
            self.queue.metric_approximate_age_of_oldest_message(
                period=cdk.Duration.minutes(5), statistic=cloudwatch.Stats.MAXIMUM
            ),
            above=OLD.to_seconds(),
            says=f"the oldest message of {name} has waited for more than {OLD.to_minutes():g} minutes",
            do="look at errors, throttles and the event source mapping of its function, and at the vendor's pauses "
            "(`dossier doctor`)",
            cause=Cause.QUEUES,
        )

    def consumed_by(self, function: lambda_.Function, *, batch_size: int, at_once: int) -> None:
        """Pass the messages to a function, at most ``at_once`` batches at a time; it reports the failed ones."""
        lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=function,
            event_source_arn=self.queue.queue_arn,
            batch_size=batch_size,
            max_concurrency=at_once,
            report_batch_item_failures=True,
        )
