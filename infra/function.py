"""A Lambda function with its own role and log group: the one place for Lambda's defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.assets import code_of
from infra.findings import acknowledge, acknowledge_wildcards
from infra.settings import Settings

RUNTIME = lambda_.Runtime.PYTHON_3_13
LOG_RETENTION = logs.RetentionDays.THREE_MONTHS
"""As long as Step Functions keeps an execution's history: `dossier cost` needs both."""
MEMORY = 512
"""MiB of every function. Half a GiB gives a third of a vCPU: imports at a cold start take most of the billed time.
``dossier.transport.decoding.ANSWER_LIMIT`` and ``dossier.http.MOST_VALUES`` fit into it."""
SERVICE, NAMESPACE = "dossier", "Dossier"
"""The dimension ``service`` and the namespace of the functions' metrics."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A statement of a function's role, if there are resources. ``reason`` explains a resource that is a pattern."""

    actions: Sequence[str]
    resources: Sequence[str]
    reason: str = ""


class Function(Construct):
    """The function of one verb (``functions/<verb>``), with exactly the given grants."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        verb: str,
        layers: Sequence[lambda_.ILayerVersion],
        environment: Mapping[str, str],
        grants: Sequence[Grant],
        timeout: cdk.Duration,
        loops: bool = False,
        scheduled: bool = False,
        reserved: int = 0,
    ) -> None:
        """Create the function.

        Args:
            scope: the construct it belongs to.
            id: its id there.
            settings: the stage's settings.
            verb: names the folder, the function and the log group.
            layers: its layers.
            environment: its variables, besides those of Powertools.
            grants: the statements of its role, besides those for its log, its traces and the customer's key.
            timeout: when Lambda ends it.
            loops: whether it sends messages that come back to it. Otherwise Lambda stops such a loop after 16 rounds
                (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).
            scheduled: whether a schedule runs it. Lambda does not retry it then, because the next run comes anyway
                (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
            reserved: its reserved concurrency; 0 reserves none.

        """
        super().__init__(scope, id)
        name = settings.named(verb)
        log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/lambda/{name}",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        writes_log = Grant(("logs:CreateLogStream", "logs:PutLogEvents"), (log_group.log_group_arn,))
        traces = Grant(
            ("xray:PutTraceSegments", "xray:PutTelemetryRecords"), ("*",), "X-Ray takes no resource in a policy."
        )
        every = [grant for grant in (writes_log, traces, *grants, _uses_key(settings, grants)) if grant.resources]
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                "grants": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(actions=list(grant.actions), resources=list(grant.resources))
                        for grant in every
                    ]
                )
            },
        )
        for grant in every:
            acknowledge_wildcards(role, grant.resources, reason=grant.reason)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"Dossier ({settings.stage}): {verb}",
            runtime=RUNTIME,
            architecture=architecture(settings),
            code=code_of(settings.root / "functions" / verb),
            handler="handler.handler",
            layers=[*layers, *_tracing_layer(self, settings)],
            environment={
                **environment,
                **(_TRACED if settings.tracing_layer_arn else {}),
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": "INFO",
            },
            memory_size=MEMORY,
            timeout=timeout,
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group,
            reserved_concurrent_executions=reserved or None,
            retry_attempts=0 if scheduled else None,
            max_event_age=cdk.Duration.minutes(5) if scheduled else None,
            recursive_loop=lambda_.RecursiveLoop.ALLOW if loops else None,
            # The grants above are complete: the CDK must not add others.
            role=role.without_policy_updates(),
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            reason="The dependency layer is built for this Python version; both change together.",
        )


def _uses_key(settings: Settings, grants: Sequence[Grant]) -> Grant:
    """Return the grant for the customer's key, with more actions for a role that uses the table.

    DynamoDB uses the caller's permissions to open a table with a customer's key
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html).
    """
    table = any(action.startswith("dynamodb:") for grant in grants for action in grant.actions)
    actions = (
        "Decrypt",
        "GenerateDataKey",
        *(("DescribeKey", "Encrypt", "ReEncryptFrom", "ReEncryptTo") if table else ()),
    )
    return Grant([f"kms:{action}" for action in actions], [settings.kms_key_arn] if settings.kms_key_arn else [])


_TRACED = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel-instrument",
    "DOSSIER_TRACES": "1",  # dossier.traces links what belongs to a case
    # Spans of an HTTP client have whole URLs; those of artifacts are signed.
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx,requests,urllib,urllib3",
}
"""The variables of a function that OpenTelemetry's layer instruments
(https://aws-otel.github.io/docs/getting-started/lambda)."""


def _tracing_layer(scope: Construct, settings: Settings) -> list[lambda_.ILayerVersion]:
    arn = settings.tracing_layer_arn
    return [lambda_.LayerVersion.from_layer_version_arn(scope, "Tracing", arn)] if arn else []


def architecture(settings: Settings) -> lambda_.Architecture:
    """Return the processor architecture of functions and layers."""
    return {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}[settings.architecture]
