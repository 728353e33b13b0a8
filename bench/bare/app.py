"""The CDK app of the bare webhook: an HTTP API, a function, a queue."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

NAME = "bare"


class Bare(cdk.Stack):
    """The webhook, with Lambda's memory as Dossier's function has it."""

    def __init__(self, scope: Construct, id: str, *, secret: str) -> None:  # noqa: A002  # the CDK's own name for it
        super().__init__(scope, id)
        queue = sqs.Queue(self, "Queue")
        function = lambda_.Function(
            self,
            "Webhook",
            function_name=f"{NAME}-webhook",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="bare.handler",
            code=lambda_.Code.from_asset(str(Path(__file__).with_name("function"))),
            memory_size=512,
            environment={"QUEUE_URL": queue.queue_url, "WEBHOOK_SECRET": secret},
        )
        queue.grant_send_messages(function)
        http = api.HttpApi(self, "Api")
        http.add_routes(
            path="/webhook",
            methods=[api.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration("Integration", function),
        )
        cdk.CfnOutput(self, "ApiId", value=http.api_id)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    Bare(app, NAME, secret=app.node.get_context("secret"))
    app.synth()
