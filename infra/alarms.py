"""Alarms, each with its meaning and what to do, and the topic that gets them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.case_machine import FunctionsByVerb
from infra.findings import acknowledge
from infra.function import NAMESPACE, SERVICE
from infra.settings import Settings

UNHEARD = {
    "compare": "its next run is in an hour; a vendor that does not answer is not an error",
    "drop": "files wait in the queue and are retried; a message that fails five times becomes a dead letter",
    "fail": "cases may lack their final status until `reconcile` fails them",
    "poll": "polls are retried; a message that fails five times becomes a dead letter",
    "reconcile": "the alarms on its findings stay silent meanwhile",
    "sweep": "polls whose message was lost wait until it runs again",
    "wake": "deliveries are retried; a message that fails five times becomes a dead letter",
    "webhook": "vendors get a 500, and most of them deliver again",
}
"""The functions whose errors only an alarm reports, and what an error means. Errors of the state machine's steps choose
its next state; if they are final, the execution fails."""


class Cause(Enum):
    """A common cause of several alarms, which arrive as one message: the id, what is wrong, and what to do."""

    DEAD_LETTERS = (
        "DeadLetters",
        "messages failed five times, in one queue or several",
        "run `dossier redrive`, which lists them all; read the log of the queue's function, fix the cause, then run "
        "`dossier redrive --yes`",
    )
    QUEUES = (
        "Queues",
        "polls, deliveries or drops do not get on",
        "look at errors, throttles and event source mappings of poll, wake and drop (`dossier doctor`)",
    )
    WATCHDOG = (
        "Watchdog",
        "the check of cases, waits and queues fails or does not run: the alarms on its findings stay silent",
        "read the log of the function reconcile",
    )
    WEBHOOKS = (
        "Deliveries",
        "deliveries, or requests of programs, get a 5xx",
        "read the logs and throttles of the functions webhook and api; without deliveries, cases continue at the pace "
        "of polling",
    )


CAUSE = "dossier:cause"
"""The type of the metadata with which an alarm notes its cause."""


_SHARED = {
    "drop": Cause.QUEUES,
    "poll": Cause.QUEUES,
    "reconcile": Cause.WATCHDOG,
    "wake": Cause.QUEUES,
    "webhook": Cause.WEBHOOKS,
}
"""The causes of functions' errors that other alarms report as well."""


def alarm(
    scope: Construct,
    id: str,  # noqa: A002  # the CDK's own name for it
    metric: cloudwatch.IMetric,
    *,
    says: str,
    do: str,
    above: float = 0,
    below: float | None = None,
    looks: int = 1,
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    cause: Cause | None = None,
) -> cloudwatch.Alarm:
    """Return an alarm, with a description for the person who gets it.

    Args:
        scope: the construct it belongs to.
        id: its id there.
        metric: the metric to watch.
        says: what is wrong.
        do: what to do.
        above: values above this one raise the alarm.
        below: values below this one raise the alarm, in place of ``above``.
        looks: how many periods in a row.
        missing: the meaning of a missing value.
        cause: the cause that it shares with other alarms: it then notifies through the composite alarm alone.

    """
    less = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
    more = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
    made = cloudwatch.Alarm(
        scope,
        id,
        alarm_description=described(scope, says, do),
        metric=metric,
        comparison_operator=more if below is None else less,
        threshold=above if below is None else below,
        evaluation_periods=looks,
        treat_missing_data=missing,
    )
    if cause is not None:
        made.node.add_metadata(CAUSE, cause.name)
    return made


def described(scope: Construct, says: str, do: str) -> str:
    """Return an alarm's description: what is wrong, and what to do."""
    return f"{cdk.Stack.of(scope).stack_name}: {says}. To do: {do}."


class Alarms(Construct):
    """Alarms on AWS's metrics: errors and throttles of functions, failed executions, the API's answers."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        functions: FunctionsByVerb,
        machine: sfn.StateMachine,
        api: apigatewayv2.HttpApi,
        bounded: Sequence[str],
    ) -> None:
        """Create the alarms.

        Args:
            scope: the construct they belong to.
            id: its id there.
            settings: the stage's settings.
            functions: the functions, by verb.
            machine: the state machine.
            api: the vendors' webhooks.
            bounded: the verbs whose functions have their own bound, at which Lambda throttles them on purpose.

        """
        super().__init__(scope, id)
        five, hour = cdk.Duration.minutes(5), cdk.Duration.hours(1)
        for verb, meaning in UNHEARD.items():
            alarm(
                self,
                f"{verb.capitalize()}Errors",
                functions[verb].metric_errors(period=five, statistic=cloudwatch.Stats.SUM),
                says=f"the function {verb} fails: {meaning}",
                do=f"read the log group /aws/lambda/{settings.named(verb)}",
                cause=_SHARED.get(verb),
            )
        alarm(
            self,
            "Throttles",
            _throttles(functions, bounded, five),
            looks=3,
            says="functions of this account are throttled: deliveries, polls and steps are late",
            do="compare Lambda's concurrency quota with the need (`dossier doctor`), ask AWS for more, or set "
            "webhook_reserved_concurrency and reserve_concurrency (docs/deploy.md)",
        )
        alarm(
            self,
            "ExecutionsFailed",
            machine.metric_failed(period=hour, statistic=cloudwatch.Stats.SUM),
            above=settings.alarm_failed_cases - 1,
            says=f"cases failed within an hour (alarm_failed_cases = {settings.alarm_failed_cases})",
            do="run `dossier redrive`, which shows them by cause; fix it, then run `dossier redrive --cause TEXT`",
        )
        do = "look at them in the Step Functions console; their cases failed, and `dossier redrive` resumes them"
        timed_out = machine.metric_timed_out(period=hour, statistic=cloudwatch.Stats.SUM)
        alarm(self, "ExecutionsTimedOut", timed_out, says="executions timed out", do=do)
        # Not AWS's metric of aborted ones, to which `dossier cancel` adds; the function fail counts the others.
        stopped = cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name="ExecutionsStopped",
            dimensions_map={"stage": settings.stage, "service": SERVICE},
            period=hour,
            statistic=cloudwatch.Stats.SUM,
        )
        alarm(self, "ExecutionsStopped", stopped, says="executions were stopped, and not by `dossier cancel`", do=do)
        alarm(
            self,
            "ApiErrors",
            api.metric_server_error(period=five, statistic=cloudwatch.Stats.SUM),
            says="vendors' deliveries, or requests of programs, got a 5xx",
            do="read the logs and throttles of the functions webhook and api; without deliveries, cases continue at "
            "the pace of polling",
            cause=Cause.WEBHOOKS,
        )


def _throttles(functions: FunctionsByVerb, bounded: Sequence[str], period: cdk.Duration) -> cloudwatch.IMetric:
    """Return how often functions of the account are throttled, without those that reach their own bound."""
    total = cloudwatch.Metric(
        namespace="AWS/Lambda", metric_name="Throttles", period=period, statistic=cloudwatch.Stats.SUM
    )
    if not bounded:
        return total
    own: dict[str, cloudwatch.IMetric] = {
        verb: functions[verb].metric_throttles(period=period, statistic=cloudwatch.Stats.SUM) for verb in bounded
    }
    expected = " + ".join(f"FILL({verb}, 0)" for verb in own)  # a function that is never throttled has no value
    return cloudwatch.MathExpression(
        expression=f"total - ({expected})",
        using_metrics={"total": total, **own},
        label="throttles beyond the bounds",
        period=period,
    )


def notify(stack: cdk.Stack, alarms: Sequence[cloudwatch.AlarmBase], *, settings: Settings) -> sns.ITopic:
    """Send the beginning and the end of the alarms to a topic; return the topic.

    It is the existing topic ``alarm_topic_arn``, or the stack's own, to which ``alarm_email`` is subscribed.
    """
    if settings.alarm_topic_arn:
        topic: sns.ITopic = sns.Topic.from_topic_arn(stack, "AlarmTopic", settings.alarm_topic_arn)
    else:
        topic = sns.Topic(stack, "AlarmTopic", topic_name=settings.named("alarms"), enforce_ssl=True)
        acknowledge(
            topic,
            "AwsSolutions-SNS2",
            reason="CloudWatch cannot publish to a topic that AWS's own key encrypts; an alarm has no data of cases.",
        )
        _let_alarms_publish(topic)
        if settings.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
    action = actions.SnsAction(topic)
    for each in alarms:
        each.add_alarm_action(action)
        each.add_ok_action(action)
    return topic


def _let_alarms_publish(topic: sns.Topic) -> None:
    """Let the account's alarms publish to a topic.

    A topic without a policy accepts messages of its own account. One with a policy (`enforce_ssl` adds one) accepts
    only what that policy allows, and an alarm that may not publish fails silently
    (https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html).
    """
    alarms = cdk.Stack.of(topic).format_arn(
        service="cloudwatch", resource="alarm", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AlarmsPublish",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"ArnLike": {"aws:SourceArn": alarms}},
        )
    )
