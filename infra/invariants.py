"""Scheduled checks, and an alarm for each finding that needs an operator."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import alarm
from infra.function import NAMESPACE, SERVICE
from infra.settings import Settings

EVERY = cdk.Duration.minutes(5)
HEARTBEAT = "ReconcileRuns"


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
        # Without an alarm, because other people may use the vendor's account as well.
        self._run(compare, "Compare", cdk.Duration.hours(1), "compares the lists of the vendors' accounts")
        self._alarm(
            "CasesUnattended",
            says="cases wait for their vendor, but are not polled",
            do="stop the execution of each, then run `dossier redrive REFERENCE`",
        )
        # A queue that is only busy is empty, or makes progress, in one of three checks.
        self._alarm(
            "QueuesStuck",
            looks=3,
            says="a queue has messages, but makes no progress",
            do="look at the log, throttles and event source mapping of poll, wake or drop",
        )
        self._alarm(
            "ArtifactsMissing",
            says="artifacts of finished cases are gone from S3",
            do="remove their delete markers (the bucket is versioned), and find out who deleted them",
        )
        # The check's heartbeat: if the check does not run, all metrics above are silent.
        alarm(
            self,
            HEARTBEAT,
            self._metric(HEARTBEAT),
            below=1,
            looks=3,
            missing=cloudwatch.TreatMissingData.BREACHING,
            says=f"the check of cases, waits and queues has not finished for {3 * EVERY.to_minutes():g} minutes",
            do="read the log of the function reconcile; until it runs, the alarms on its findings stay silent",
        )

    def _run(self, function: lambda_.Function, name: str, every: cdk.Duration, what: str) -> None:
        events.Rule(
            self,
            name,
            description=f"Dossier ({self._stage}): {what}",
            schedule=events.Schedule.rate(every),
            targets=[targets.LambdaFunction(function)],
        )

    def _alarm(self, metric: str, *, says: str, do: str, looks: int = 1) -> None:
        do = f"read the log of the function reconcile, which names them; {do}"
        alarm(self, metric, self._metric(metric), says=says, do=do, looks=looks)

    def _metric(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"stage": self._stage, "service": SERVICE},
            period=EVERY,
            statistic=cloudwatch.Stats.MAXIMUM,
        )
