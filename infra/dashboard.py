"""The dashboard: the state of the stage and of each connection, from AWS's metrics and the functions' logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from dossier.calls import CALL
from dossier.pricing import prices
from dossier.settings import Connection
from dossier.steps.reconcile import OVERVIEW, UNENDED
from dossier.usage import USED
from infra.alarms import UNHEARD
from infra.case_machine import FunctionsByVerb
from infra.functions import CALL_VENDORS
from infra.settings import Settings

CALLERS = (*CALL_VENDORS, "poll", "compare")
"""The functions that send requests to vendors."""
BILLED = sorted({*CALLERS, "accept", "ask", "wait", "fail", "wake", "webhook"})
"""The functions that work for one connection at a time."""
REQUESTS = ("count(*) as requests", "sum(throttled) as answered_429", "sum(unanswered) as without_usable_answer")
"""The counts of requests to vendors."""
WIDE, HALF, THIRD = 24, 12, 8
"""Widths of widgets; a dashboard has 24 columns."""
FIVE = cdk.Duration.minutes(5)


class Dashboard(Construct):
    """One dashboard a stage, with a row for each connection.

    A connection's figures come from Logs Insights, because a custom metric of each connection costs $0.30 a month, and
    a log line costs next to nothing. A query reads the period that the dashboard shows, and costs by the data that it
    reads. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Stats.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        alarms: Sequence[cloudwatch.AlarmBase],
        functions: FunctionsByVerb,
        machine: sfn.StateMachine,
        api: apigatewayv2.HttpApi,
        queues: Mapping[str, sqs.Queue],
    ) -> None:
        """Create the dashboard.

        Args:
            scope: the construct it belongs to.
            id: its id there.
            settings: the stage's settings.
            alarms: the alarms that notify.
            functions: the functions, by verb.
            machine: the state machine of cases.
            api: the vendors' webhooks.
            queues: the work queues, by name.

        """
        super().__init__(scope, id)
        self._settings = settings
        stage = [
            cloudwatch.TextWidget(
                markdown=f"# {settings.stack_name}\nWhy a case does not move: `dossier explain REFERENCE`; a vendor "
                "account: `dossier explain --connection C`. What each alarm means: docs/operations.md.",
                width=HALF,
                height=4,
            ),
            cloudwatch.AlarmStatusWidget(alarms=alarms, title="Alarms", width=HALF, height=4),
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=settings.stack_name,
            default_interval=cdk.Duration.hours(3),
            widgets=[
                stage,
                [self._now()],
                [self._requests(), self._deliveries(), self._cost()],
                *(self._connection(name, each) for name, each in settings.connections.items()),
                self._aws(functions, machine, api, queues),
            ],
        )

    def _query(
        self,
        title: str,
        verbs: Sequence[str],
        *lines: str,
        width: int = THIRD,
        view: cloudwatch.LogQueryVisualizationType = cloudwatch.LogQueryVisualizationType.TABLE,
    ) -> cloudwatch.LogQueryWidget:
        groups = [f"/aws/lambda/{self._settings.named(verb)}" for verb in verbs]
        return cloudwatch.LogQueryWidget(
            title=title, log_group_names=groups, query_lines=list(lines), view=view, width=width, height=6
        )

    def _now(self) -> cloudwatch.LogQueryWidget:
        """Show the state of every connection, as of the last check."""
        return self._query(
            "Connections, as of the last check (every 5 minutes)",
            ["reconcile"],
            f'filter message = "{OVERVIEW}"',
            _stats(
                *(_latest(each.value) for each in UNENDED),
                _latest("completed_last_hour"),
                _latest("failed_last_hour"),
                _latest("oldest_wait_minutes"),
                _latest("late_polls"),
                _latest("rate_used_percent"),
                _latest("breaker_open"),
                _latest("paused"),
                _latest("lost_webhooks_percent"),
                by="connection",
            ),
            "sort connection",
            width=WIDE,
        )

    def _requests(self) -> cloudwatch.LogQueryWidget:
        return self._query(
            "Requests to vendors",
            CALLERS,
            f'filter message = "{CALL}"',
            _stats(
                *REQUESTS,
                "pct(ms, 50) as median_ms",
                "pct(ms, 99) as p99_ms",
                by="connection",
            ),
            "sort connection",
        )

    def _deliveries(self) -> cloudwatch.LogQueryWidget:
        return self._query(
            "Webhook deliveries",
            ["webhook"],
            "filter ispresent(verdict)",
            "stats count(*) as deliveries by connection, verdict",
            "sort connection, deliveries desc",
        )

    def _cost(self) -> cloudwatch.LogQueryWidget:
        """Show about what the functions and the table cost, at list prices."""
        rate = prices()
        call = rate["lambda"]["request"] + rate["assumed"]["log_bytes"] / 1e9 * rate["cloudwatch"]["log_gigabyte"]
        spent = " + ".join(
            (
                f"count(*) * {call:.12f}",
                f"sum({USED}.ms * {USED}.mb) / 1024000 * {rate['lambda']['gigabyte_second']:.12f}",
                f"sum({USED}.read) * {rate['dynamodb']['read_unit']:.12f}",
                f"sum({USED}.write) * {rate['dynamodb']['write_unit']:.12f}",
            )
        )
        return self._query(
            "AWS cost in US dollars, without transitions, S3, SQS (dossier cost has all)",
            BILLED,
            f"filter ispresent({USED}.ms)",
            f"stats count(*) as invocations, {spent} as usd by connection",
            "sort connection",
        )

    def _connection(self, name: str, connection: Connection) -> list[cloudwatch.IWidget]:
        """Return the row of a connection."""
        line, stacked = cloudwatch.LogQueryVisualizationType.LINE, cloudwatch.LogQueryVisualizationType.STACKEDAREA
        checked = f'filter message = "{OVERVIEW}" and connection = "{name}"'
        called = f'filter message = "{CALL}" and connection = "{name}"'
        title = f"{name} ({connection.vendor})"
        return [
            self._query(
                f"{title}: cases under way",
                ["reconcile"],
                checked,
                _stats(*(_most(each.value) for each in UNENDED), by="bin(5m)"),
                width=6,
                view=stacked,
            ),
            self._query(
                f"{title}: oldest wait (minutes), lost webhooks and rate used (%)",
                ["reconcile"],
                checked,
                _stats(
                    *(_most(each) for each in ("oldest_wait_minutes", "lost_webhooks_percent", "rate_used_percent")),
                    by="bin(5m)",
                ),
                width=6,
                view=line,
            ),
            self._query(
                f"{title}: requests, 429s, no usable answer",
                CALLERS,
                called,
                _stats(*REQUESTS, by="bin(5m)"),
                width=6,
                view=line,
            ),
            self._query(
                f"{title}: last delivery to result (ms)",
                ["reconcile"],
                checked,
                _stats(_most("delivery_to_result_ms"), by="bin(5m)"),
                width=6,
                view=line,
            )
            if connection.webhook is not None
            else self._query(
                f"{title}: polls",
                ["poll"],
                called,
                "stats count(*) as polls by bin(5m)",
                width=6,
                view=line,
            ),
        ]

    def _aws(
        self,
        functions: FunctionsByVerb,
        machine: sfn.StateMachine,
        api: apigatewayv2.HttpApi,
        queues: Mapping[str, sqs.Queue],
    ) -> list[cloudwatch.IWidget]:
        """Return the row of AWS's own metrics."""
        total = cloudwatch.Stats.SUM
        return [
            _graph(
                "Executions",
                machine.metric_started(period=FIVE, statistic=total),
                machine.metric_succeeded(period=FIVE, statistic=total),
                machine.metric_failed(period=FIVE, statistic=total),
                machine.metric_timed_out(period=FIVE, statistic=total),
            ),
            _graph(
                "Oldest message of each queue (seconds)",
                *(
                    each.metric_approximate_age_of_oldest_message(
                        period=FIVE, statistic=cloudwatch.Stats.MAXIMUM, label=name
                    )
                    for name, each in queues.items()
                ),
            ),
            _graph(
                "Errors of functions",
                *(
                    functions[verb].metric_errors(period=FIVE, statistic=total, label=verb)
                    for verb in (*CALL_VENDORS, *UNHEARD)
                ),
            ),
            _graph(
                "Webhooks and API: requests, 4xx, 5xx",
                api.metric_count(period=FIVE, statistic=total),
                api.metric_client_error(period=FIVE, statistic=total),
                api.metric_server_error(period=FIVE, statistic=total),
            ),
        ]


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=6, height=6)


def _stats(*values: str, by: str) -> str:
    return f"stats {', '.join(values)} by {by}"


def _latest(field: str) -> str:
    return f"latest({OVERVIEW}.{field}) as {field}"


def _most(field: str) -> str:
    return f"max({OVERVIEW}.{field}) as {field}"
