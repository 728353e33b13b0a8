"""The routes of the HTTP API for programs (``docs/api.md``), beside those for webhooks. IAM authorizes each request."""

from __future__ import annotations

from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.api.routes import ROUTES


class CaseApi(Construct):
    """``/cases`` and what is under it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        api: apigatewayv2.HttpApi,
        function: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        integration = integrations.HttpLambdaIntegration("Cases", function)
        authorizer = authorizers.HttpIamAuthorizer()
        for route in ROUTES:
            api.add_routes(
                path=route.path,
                methods=[apigatewayv2.HttpMethod[route.method]],
                integration=integration,
                authorizer=authorizer,
            )
