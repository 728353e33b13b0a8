"""The HTTP API for the vendors' deliveries."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import acknowledge
from infra.function import LOG_RETENTION
from infra.settings import Settings

ROUTES = ("/webhooks/{connection}", "/webhooks/{connection}/{token}")
# Without the path, which has the token with the scheme `path-token`.
_LOGGED = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationError": "$context.integrationErrorMessage",
}


class WebhookApi(Construct):
    """``POST /webhooks/<connection>``, throttled and logged."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        webhook: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        self.api = apigatewayv2.HttpApi(
            self,
            "Api",
            api_name=settings.stack_name,
            description=f"Dossier ({settings.stage}): the vendors' webhooks",
            create_default_stage=False,
        )
        integration = integrations.HttpLambdaIntegration("Webhook", webhook)
        for path in ROUTES:
            for route in self.api.add_routes(
                path=path, methods=[apigatewayv2.HttpMethod.POST], integration=integration
            ):
                acknowledge(
                    route,
                    "AwsSolutions-APIG4",
                    reason="Vendors cannot sign for AWS: the function verifies each delivery instead.",
                )
        log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/vendedlogs/apis/{settings.stack_name}",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        # The L1, because the L2's access log settings take no custom format in Python.
        apigatewayv2.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigatewayv2.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=settings.webhook_rate, throttling_burst_limit=settings.webhook_burst
            ),
            access_log_settings=apigatewayv2.CfnStage.AccessLogSettingsProperty(
                destination_arn=log_group.log_group_arn, format=json.dumps(_LOGGED)
            ),
        )
