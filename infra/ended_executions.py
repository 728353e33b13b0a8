"""Executions that ended without publishing."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.case_machine import state_machine_arn
from infra.settings import Settings


class EndedExecutions(Construct):
    """Sends ``fail`` the executions that failed, were aborted or timed out: after an abort, no state runs."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        fail: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        events.Rule(
            self,
            "Rule",
            description=f"Dossier ({settings.stage}): executions that failed, were aborted or timed out",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [state_machine_arn(self, settings)],
                    "status": ["FAILED", "ABORTED", "TIMED_OUT"],
                },
            ),
            targets=[targets.LambdaFunction(fail, max_event_age=cdk.Duration.hours(24))],
        )
