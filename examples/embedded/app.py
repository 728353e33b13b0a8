"""Dossier in your own app: a second stack subscribes to Dossier's bus and reads its bucket.

Run ``cdk synth --app "python examples/embedded/app.py"`` in the project's folder; ``docs/embedding.md`` explains it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import acknowledge_wildcards
from infra.settings import Settings
from infra.stack import DossierStack

DOSSIER = Path(__file__).resolve().parents[2]
"""Dossier's project, with its functions and layers."""
SETTINGS = {"stage": "claims", "connections": str(DOSSIER / "connections.toml"), "allow_insecure": "true"}
"""Any setting of ``docs/deploy.md``. The shipped connections need the last one, because they use the sandbox."""
RESULTS = "cases/*/*/result.json"
BOOKS = """
import json

import boto3


def handler(event, context):
    case = event["detail"]
    answer = boto3.client("s3").get_object(Bucket=case["bucket"], Key=case["result"])
    result = json.load(answer["Body"])
    print(case["reference"], [(field["name"], field["value"]) for field in result["fields"]])
"""


class BooksStack(cdk.Stack):
    """Your own function, which gets each completed or updated case."""

    def __init__(self, scope: Construct, id: str, *, dossier: DossierStack, **rest: Any) -> None:  # noqa: A002
        super().__init__(scope, id, **rest)
        log = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_MONTH)
        # An export by name gives cdk-nag's finding about the pattern a name. Without cdk-nag use
        # `dossier.bucket.grant_read(role, RESULTS)`.
        results = f"{dossier.export_value(dossier.bucket.bucket_arn)}/{RESULTS}"
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[results]))
        log.grant_write(role)
        acknowledge_wildcards(role, [results], reason="It reads the results of every case, and nothing else.")
        books = lambda_.Function(
            self,
            "Books",
            runtime=lambda_.Runtime.PYTHON_3_14,
            handler="index.handler",
            code=lambda_.Code.from_inline(BOOKS),
            role=role.without_policy_updates(),
            log_group=log,
        )
        events.Rule(
            self,
            "Completed",
            event_bus=dossier.bus,
            event_pattern=events.EventPattern(source=["dossier"], detail_type=["Case Completed", "Case Updated"]),
            targets=[targets.LambdaFunction(books)],
        )


def build(app: cdk.App) -> BooksStack:
    """Add Dossier's stack and your own to an app."""
    settings = Settings.load(SETTINGS.get, root=DOSSIER, environment={})
    env = cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION"))
    dossier = DossierStack(app, settings=settings, env=env)
    return BooksStack(app, "books", dossier=dossier, env=env)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
