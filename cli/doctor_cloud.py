"""Checks of ``dossier doctor`` in an AWS account only: throttled transitions, the alarms' topic, the version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cli.check import Check
from cli.errors import explain
from cli.target import Target
from dossier.models import now
from dossier.texts import counted
from infra.version import code_version

DAY = timedelta(days=1)


def checks(where: Target) -> Iterator[Check]:
    """Check the account's quota of state transitions, the topic of the alarms, and the deployed code."""
    looks: list[tuple[str, Callable[[], Check], str]] = [
        (
            "state transitions",
            partial(_transitions, where),
            "see Service Quotas, Step Functions",
        ),
        ("alarm topic", partial(_topic, where), "look at the topic's subscriptions in the SNS console"),
        ("version", partial(_version, where), "compare yourself: stack output CodeVersion"),
    ]
    for name, look, fix in looks:
        try:
            yield look()
        except Exception as error:  # noqa: BLE001 -- doctor reports any error
            yield Check(name, "skipped", explain(error).line, f"allow it (`dossier policy operator`), or {fix}")


def _transitions(where: Target) -> Check:
    """Check whether Step Functions has throttled transitions; new accounts have a small quota."""
    throttled = sum(each["Sum"] for each in _points(where, "ThrottledEvents", "Sum"))
    rates = sorted(_points(where, "ProvisionedRefillRate", "Average"), key=lambda each: each["Timestamp"])
    quota = f"the account has {rates[-1]['Average']:,.0f} a second" if rates else "no execution ran in the last day"
    if not throttled:
        return Check("state transitions", "ok", f"none was throttled in the last day; {quota}")
    seen = f"{throttled:,.0f} were throttled in the last day; {quota}"
    fix = "ask AWS for more (Service Quotas, Step Functions, state transitions), or lower limits.requests_per_second"
    return Check("state transitions", "warning", seen, fix)


def _points(where: Target, metric: str, statistic: Literal["Average", "Sum"]) -> list[Any]:
    """Return the last day of a metric about the account's state transitions.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html, "Service metrics"
    """
    answer = where.session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/States",
        MetricName=metric,
        Dimensions=[{"Name": "ServiceMetric", "Value": "StateTransition"}],
        StartTime=now() - DAY,
        EndTime=now(),
        Period=3600,
        Statistics=[statistic],
    )
    return list(answer["Datapoints"])


def _topic(where: Target) -> Check:
    """Look for a confirmed subscription of the alarms' topic: without one nobody receives alarms."""
    name = "alarm topic"
    if not where.alarm_topic_arn:
        return Check(name, "skipped", "the stack has no output AlarmTopicArn", "deploy again")
    sns: Any = where.session.client("sns")
    pages = sns.get_paginator("list_subscriptions_by_topic")
    found = [each for page in pages.paginate(TopicArn=where.alarm_topic_arn) for each in page["Subscriptions"]]
    confirmed = [each for each in found if each["SubscriptionArn"].startswith("arn:")]
    waiting = [str(each["Endpoint"]) for each in found if each not in confirmed]
    if confirmed:
        more = f"; {', '.join(waiting)} has not confirmed yet" if waiting else ""
        return Check(name, "ok", f"{counted(len(confirmed), 'confirmed subscription')}{more}")
    if waiting:
        fix = "open the confirmation that AWS sent there; it is valid for two days, then deploy or subscribe again"
        return Check(name, "warning", f"nobody receives alarms: {', '.join(waiting)} has not confirmed", fix)
    fix = "set alarm_email and deploy, or subscribe somebody to the topic (docs/deploy.md)"
    return Check(name, "warning", f"nobody is subscribed to {where.alarm_topic_arn}", fix)


def _version(where: Target) -> Check:
    """Compare the deployed code of the functions with this checkout's."""
    try:
        here = code_version(Path(__file__).parents[1])
    except FileNotFoundError:
        return Check("version", "skipped", "this is not a checkout of Dossier")
    if not where.code_version:
        return Check("version", "skipped", "the stack has no output CodeVersion", "deploy again")
    if where.code_version == here:
        return Check("version", "ok", f"the stage runs the code of this checkout ({here})")
    fix = "run `cdk deploy`, or the commands of the checkout that was deployed"
    return Check("version", "warning", f"the stage runs {where.code_version}, this checkout is {here}", fix)
