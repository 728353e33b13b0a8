"""The CDK app of the textbook poller: one bucket, three functions, one state machine.

Upload → Wait → Poll → Choice, back to Wait until the vendor is done, then Download: the "job poller" of AWS's own
examples (https://docs.aws.amazon.com/step-functions/latest/dg/sample-project-job-poller.html).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

NAME = "textbook"
FUNCTIONS = Path(__file__).with_name("functions")


def machine(upload: str, poll: str, download: str) -> dict[str, Any]:
    """Return the state machine's definition; the input sets the time between two polls."""

    def call(function: str, after: dict[str, Any]) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
            "Output": "{% $states.result.Payload %}",
            **after,
        }

    return {
        "QueryLanguage": "JSONata",
        "StartAt": "Upload",
        "States": {
            "Upload": call(upload, {"Next": "Wait"}),
            "Wait": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "Next": "Poll"},
            "Poll": call(poll, {"Next": "Done?"}),
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Download"}],
                "Default": "Wait",
            },
            "Download": call(download, {"End": True}),
        },
    }


class Textbook(cdk.Stack):
    """The poller, as a first version is written: Lambda's defaults, and rights from CDK's own ``grant`` methods."""

    def __init__(self, scope: Construct, id: str, *, urls: str) -> None:  # noqa: A002  # the CDK's own name for it
        super().__init__(scope, id)
        bucket = s3.Bucket(self, "Bucket", removal_policy=cdk.RemovalPolicy.DESTROY)
        keys = secretsmanager.Secret(self, "Keys", secret_name=f"{NAME}/keys")
        functions = []
        for verb in ("upload", "poll", "download"):
            function = lambda_.Function(
                self,
                verb.title(),
                function_name=f"{NAME}-{verb}",
                runtime=lambda_.Runtime.PYTHON_3_13,
                handler=f"{verb}.handler",
                code=lambda_.Code.from_asset(str(FUNCTIONS)),
                timeout=cdk.Duration.minutes(1),
                environment={"BUCKET": bucket.bucket_name, "KEYS": f"{NAME}/keys", "URLS": urls},
            )
            bucket.grant_read_write(function)
            keys.grant_read(function)
            functions.append(function)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        definition = machine(*(each.function_arn for each in functions))
        poller = sfn.StateMachine(
            self, "Poller", definition_body=sfn.DefinitionBody.from_string(json.dumps(definition)), role=role
        )
        for each in functions:
            each.grant_invoke(role)
        cdk.CfnOutput(self, "BucketName", value=bucket.bucket_name)
        cdk.CfnOutput(self, "Machine", value=poller.state_machine_arn)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    Textbook(app, NAME, urls=app.node.get_context("urls"))
    app.synth()
