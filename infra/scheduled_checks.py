"""Scheduled checks, and an alarm for each finding that needs an operator."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.steps.reconcile import SLOW
from infra.alarms import Cause, alarm
from infra.function import NAMESPACE, SERVICE
from infra.settings import Settings

EVERY = cdk.Duration.minutes(5)
HEARTBEAT = "ReconcileRuns"


class ScheduledChecks(Construct):
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
        self._alarm(
            "CasesUnexplained",
            says="cases have not ended, and no next event can be named for them",
            do="see `dossier explain REFERENCE` of each; stop its execution, then run `dossier redrive REFERENCE`",
        )
        # A queue that is only busy is empty, or makes progress, in one of three checks.
        self._alarm(
            "QueuesStuck",
            looks=3,
            cause=Cause.QUEUES,
            says="a queue has messages, but makes no progress",
            do="look at the log, throttles and event source mapping of poll, wake or drop",
        )
        self._alarm(
            "ArtifactsMissing",
            says="artifacts of finished cases are gone from S3",
            do="remove their delete markers (the bucket is versioned), and find out who deleted them",
        )
        self.vendors_failing = self._alarm(
            "VendorsFailing",
            says="a vendor has kept failing for five minutes (its breaker is open): its cases wait",
            do="`dossier explain --connection C` says how it fails; see the vendor's status page, base_url and network",
        )
        self._alarm(
            "KeysRefused",
            says="a vendor rejects the API key: waiting cases fail ten minutes after the first rejection",
            do="run `dossier secrets set C` with the right key, then `dossier redrive` for what has failed",
        )
        self.long_waits = self._alarm(
            "LongestWaitPercent",
            above=SLOW,
            says=f"a case has waited for more than {SLOW} % of its deadline: its vendor is slow, or has lost it",
            do="see `dossier explain REFERENCE`; ask the vendor, or give it longer (poll.deadline)",
        )
        self._alarm(
            "ConnectionsPaused",
            says="a connection has been paused for more than a day: its cases wait",
            do="`dossier explain --connection C` says who paused it and why; end it with `dossier resume C`",
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
            cause=Cause.WATCHDOG,
        )

    def _run(self, function: lambda_.Function, name: str, every: cdk.Duration, what: str) -> None:
        events.Rule(
            self,
            name,
            description=f"Dossier ({self._stage}): {what}",
            schedule=events.Schedule.rate(every),
            targets=[targets.LambdaFunction(function)],
        )

    def _alarm(
        self, metric: str, *, says: str, do: str, looks: int = 1, above: float = 0, cause: Cause | None = None
    ) -> cloudwatch.Alarm:
        do = f"read the log of the function reconcile, which names them; {do}"
        return alarm(self, metric, self._metric(metric), says=says, do=do, looks=looks, above=above, cause=cause)

    def _metric(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"stage": self._stage, "service": SERVICE},
            period=EVERY,
            statistic=cloudwatch.Stats.MAXIMUM,
        )
