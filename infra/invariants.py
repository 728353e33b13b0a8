"""What always holds: scheduled checks, and an alarm for each finding that somebody has to look into."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.function import NAMESPACE, SERVICE
from infra.settings import Settings

EVERY = cdk.Duration.minutes(5)


class Invariants(Construct):
    """Runs the checks; the metrics of ``functions/reconcile`` have the stage as a dimension."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        reconcile: lambda_.Function,
        compare: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        self._stage = settings.stage
        self._run(reconcile, "Schedule", EVERY, "compares cases, executions, waits, queues and S3")
        # Without an alarm: whether others may work with a vendor's account, its operators know.
        self._run(compare, "Compare", cdk.Duration.hours(1), "compares what the vendors' accounts list with the cases")
        self._alarm("CasesUnattended", "cases wait for their vendor and nobody polls them")
        # Each look is a moment's: a queue that is only busy is empty, or gets on, in one of three.
        self._alarm("QueuesStuck", "a queue holds messages and nobody works on them", looks=3)
        self._alarm("ArtifactsMissing", "artifacts of finished cases are gone from S3")

    def _run(self, function: lambda_.Function, name: str, every: cdk.Duration, what: str) -> None:
        events.Rule(
            self,
            name,
            description=f"Dossier ({self._stage}): {what}",
            schedule=events.Schedule.rate(every),
            targets=[targets.LambdaFunction(function, retry_attempts=0)],
        )

    def _alarm(self, metric: str, what: str, *, looks: int = 1) -> None:
        cloudwatch.Alarm(
            self,
            metric,
            alarm_description=f"Dossier ({self._stage}): {what}; the log of the function reconcile names them",
            metric=cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name=metric,
                dimensions_map={"stage": self._stage, "service": SERVICE},
                period=EVERY,
                statistic=cloudwatch.Stats.MAXIMUM,
            ),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=0,
            evaluation_periods=looks,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
