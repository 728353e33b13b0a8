"""A Lambda function with a role and a log group of its own: the one place for Lambda's defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.assets import code_of
from infra.rules import acknowledge, acknowledge_wildcards
from infra.settings import Settings

RUNTIME = lambda_.Runtime.PYTHON_3_13
LOG_RETENTION = logs.RetentionDays.ONE_MONTH
MEMORY = 512
"""MiB of every function. Half a GiB is a third of a vCPU: imports at a cold start take most of the time that is paid
for. ``dossier.transport.ANSWER_LIMIT`` and ``dossier.http.MOST_VALUES`` fit into it."""
SERVICE, NAMESPACE = "dossier", "Dossier"
"""The functions' metrics: their dimension ``service``, and where they are."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A statement of a function's role, if there are resources. ``reason`` says why one is a pattern, where one is."""

    actions: Sequence[str]
    resources: Sequence[str]
    reason: str = ""


class Function(Construct):
    """The function of one verb (``functions/<verb>``), with exactly the grants it is given."""

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
            layers: what it imports besides its handler.
            environment: its variables, besides those of Powertools.
            grants: what its role may do, besides writing its log and its traces, and using the customer's key.
            timeout: when Lambda ends it.
            loops: whether it sends messages that come back to it. Lambda stops what looks like a runaway loop after
                16 rounds otherwise (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).
            scheduled: whether a schedule runs it: one that fails is not repeated, its next time comes anyway.
                EventBridge only hands the event over; Lambda itself would run it twice more
                (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
            reserved: how many of it run at once at most, and are set aside for it; 0 is neither.

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
            # The grants above are all that it gets: nothing is added behind our back.
            role=role.without_policy_updates(),
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            reason="The dependency layer is built for this version of Python; both change together.",
        )


def _uses_key(settings: Settings, grants: Sequence[Grant]) -> Grant:
    """Return what a role needs of the customer's key: more where it uses the table.

    DynamoDB acts on the caller's behalf when it opens a table with a customer's key
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
    # Spans of an HTTP client hold whole URLs; those of artifacts are signed.
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx,requests,urllib,urllib3",
}
"""What makes the layer of OpenTelemetry instrument a function (https://aws-otel.github.io/docs/getting-started/lambda)."""


def _tracing_layer(scope: Construct, settings: Settings) -> list[lambda_.ILayerVersion]:
    arn = settings.tracing_layer_arn
    return [lambda_.LayerVersion.from_layer_version_arn(scope, "Tracing", arn)] if arn else []


def architecture(settings: Settings) -> lambda_.Architecture:
    """Return the processor that functions and layers are for."""
    return {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}[settings.architecture]
