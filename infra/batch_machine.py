"""The state machine that runs batches: one execution is one run, each child execution starts one case.

A child waits for its case's end, so ``MaxConcurrency`` is how many cases are under way at once. The role may not stop
cases: if a run is stopped or fails, the cases under way continue
(https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html, "Run a Job").
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from dossier.layout import BATCHES
from dossier.stores.batches import MACHINE
from infra.artifact_bucket import ArtifactBucket
from infra.case_machine import (
    LAMBDA_TROUBLE,
    SERVICE_ACTIONS,
    execution_arns,
    state_machine_arn,
    states_arn,
    step_functions,
)
from infra.findings import acknowledge, acknowledge_wildcards
from infra.function import LOG_RETENTION
from infra.settings import Settings

LABEL = "cases"
"""Label of the Distributed Map, which is part of its runs' ARNs."""
EVENTS_RULE = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
"""The rule that Step Functions itself manages to learn of the end of a nested execution
(https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html)."""
STARTED_BEFORE = ["StepFunctions.ExecutionAlreadyExistsException", "StepFunctions.ExecutionAlreadyExists"]
"""The case was submitted before, in any way: its identity and content name the execution."""
NOT_STARTED = [
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.SdkClientException",
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.ThrottlingException",
]
"""Errors of the request that starts a case. A case's own failure is ``States.TaskFailed``, and final."""
_CASE = {"connection": "{% $states.input.input.connection %}", "reference": "{% $states.input.input.reference %}"}


class BatchMachine(Construct):
    """Cases (a Distributed Map over a list in S3) → Summarize."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        bucket: ArtifactBucket,
        summarize: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        self._settings, self._bucket, self._summarize = settings, bucket.bucket, summarize
        name = settings.named(MACHINE)
        log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            comment="One execution is a run of a batch: each child execution starts a case and waits for its end.",
            definition_body=sfn.DefinitionBody.from_string(cdk.Stack.of(self).to_json_string(self._definition())),
            role=self._role(name).without_policy_updates(),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ERROR, include_execution_data=False),
        )
        acknowledge(
            self.machine,
            "AwsSolutions-SF1",
            reason="The execution's history has every event for 90 days; each case has its own.",
        )

    def _definition(self) -> dict[str, Any]:
        services = f"arn:{cdk.Stack.of(self).partition}:states:::"
        bucket = self._bucket.bucket_name
        folder = f"'{BATCHES}' & $states.input.batch & '/runs/' & $string($states.input.run)"
        names = {"batch": "{% $states.input.batch %}", "run": "{% $states.input.run %}"}
        cases = {
            "Type": "Map",
            "Label": LABEL,
            "ItemReader": {
                "Resource": f"{services}s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Arguments": {"Bucket": bucket, "Key": f"{{% {folder} & '.jsonl' %}}"},
            },
            "MaxConcurrency": "{% $states.input.concurrency %}",
            "ToleratedFailurePercentage": 100,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Run Case",
                "States": self._child(services),
            },
            "ResultWriter": {
                "Resource": f"{services}s3:putObject",
                "Arguments": {"Bucket": bucket, "Prefix": f"{{% {folder} %}}"},
            },
            "Assign": {"failure": "{% {'error': '', 'cause': ''} %}"},
            "Output": names,
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {
                        "failure": {
                            "error": "{% $states.errorOutput.Error & '' %}",
                            "cause": "{% $substring($states.errorOutput.Cause & '', 0, 1000) %}",
                        }
                    },
                    "Output": names,
                    "Next": "Summarize",
                }
            ],
            "Next": "Summarize",
        }
        summarize = {
            "Type": "Task",
            "Resource": self._summarize.function_arn,
            "Arguments": names,
            "Retry": [_patient([*LAMBDA_TROUBLE, "Lambda.TooManyRequestsException", "States.TaskFailed"])],
            "Next": "Were All Started?",
        }
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $failure.error = '' %}", "Next": "Done"}],
            "Default": "Failed",
        }
        return {
            "Comment": "One execution is a run of a batch.",
            "QueryLanguage": "JSONata",
            "StartAt": "Cases",
            "States": {
                "Cases": cases,
                "Summarize": summarize,
                "Were All Started?": choice,
                "Done": {"Type": "Pass", "End": True},
                "Failed": {"Type": "Fail", "Error": "{% $failure.error %}", "Cause": "{% $failure.cause %}"},
            },
        }

    def _child(self, services: str) -> dict[str, Any]:
        """Return the states of one case, whose input has the name and the input of its execution."""
        return {
            "Run Case": {
                "Type": "Task",
                "Resource": f"{services}states:startExecution.sync:2",
                "Arguments": {
                    "StateMachineArn": state_machine_arn(self, self._settings),
                    "Name": "{% $states.input.name %}",
                    "Input": "{% $states.input.input %}",
                },
                "Retry": [_patient(NOT_STARTED)],
                "Catch": [{"ErrorEquals": STARTED_BEFORE, "Output": _CASE, "Next": "Started Before"}],
                "Output": _CASE,
                "End": True,
            },
            "Started Before": {"Type": "Pass", "End": True},
        }

    def _role(self, name: str) -> iam.Role:
        stack, settings = cdk.Stack.of(self), self._settings
        own = states_arn(self, "stateMachine", name)
        children, cases = states_arn(self, "execution", f"{name}:*"), execution_arns(self, settings)
        lists = self._bucket.arn_for_objects(f"{BATCHES}*")
        rule = stack.format_arn(service="events", resource="rule", resource_name=EVENTS_RULE)
        grants = [
            (["states:StartExecution"], [own, state_machine_arn(self, settings)]),
            (["states:DescribeExecution", "states:StopExecution"], [children]),
            (["states:DescribeExecution"], [cases]),
            (["events:PutTargets", "events:PutRule", "events:DescribeRule"], [rule]),
            (["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], [lists]),
            (["lambda:InvokeFunction"], [self._summarize.function_arn]),
            (list(SERVICE_ACTIONS), ["*"]),
        ]
        if settings.kms_key_arn:
            grants.append((["kms:Decrypt", "kms:GenerateDataKey"], [settings.kms_key_arn]))
        role = iam.Role(
            self,
            "Role",
            assumed_by=step_functions(stack, own),
            inline_policies={
                "grants": iam.PolicyDocument(
                    statements=[iam.PolicyStatement(actions=actions, resources=on) for actions, on in grants]
                )
            },
        )
        acknowledge_wildcards(role, [children, cases], reason="The executions of these two state machines.")
        acknowledge_wildcards(role, [lists], reason="The lists of every batch, in a folder of their own.")
        acknowledge_wildcards(role, ["*"], reason="X-Ray and the delivery of logs take no resource in a policy.")
        return role


def _patient(errors: list[str]) -> dict[str, Any]:
    """Return a retrier for passing errors: twenty minutes of tries on average."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 1,
        "BackoffRate": 1.5,
        "MaxDelaySeconds": 30,
        "JitterStrategy": "FULL",
        "MaxAttempts": 90,
    }
