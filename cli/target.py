"""The AWS that a command works with: the local one, or the account of the environment. Only this module decides."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from pydantic import ConfigDict

from cli.errors import BadUsageError, CommandError
from dossier.environment import Environment
from dossier.layout import INBOX
from dossier.steps.context import Context
from dossier.stores.clients import Clients
from dossier.stores.dead_letters import DeadLetters
from dossier.stores.queues import WAKE, Queues
from infra.outputs import Outputs, listed

DEFAULT_STAGE = "dev"


class NotDeployedError(CommandError):
    """The account has no such stage."""


class Target(Outputs):
    """A deployment: its outputs, further names of its resources, and its clients.

    Attributes:
        secret_prefix: secrets are called ``<prefix>/<connection>``.
        connections_file: the deployed connections file, if it is known.
        session: makes the clients.
        kms_key_arn: the customer's key, if the stage has one.
        document_buckets: other buckets that documents may come from.
        document_kms_keys: ARNs of the keys that encrypt those buckets.
        alarm_topic_arn: the topic that gets the alarms.
        code_version: the version of the deployed code (``infra.version``).

    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    secret_prefix: str = "dossier"  # noqa: S105 -- a name: ``dossier/<connection>`` in the local AWS
    connections_file: Path | None = None
    session: boto3.Session
    kms_key_arn: str = ""
    document_buckets: tuple[str, ...] = ()
    document_kms_keys: tuple[str, ...] = ()
    alarm_topic_arn: str = ""
    code_version: str = ""

    @property
    def stack(self) -> str:
        """Name of the CloudFormation stack."""
        return f"dossier-{self.stage}"

    @cached_property
    def app(self) -> Context:
        """What the steps work with, as in the functions."""
        environment = Environment(
            stage=self.stage,
            prefix=self.secret_prefix,
            table=self.table,
            bucket=self.bucket,
            event_bus=self.event_bus,
            state_machine_arn=self.state_machine_arn,
        )
        return Context(environment, Clients(self.session))

    @cached_property
    def queues(self) -> Queues:
        """The queues of work; the stack's outputs do not name them."""
        sqs = self.session.client("sqs")
        return Queues(sqs, sqs.get_queue_url(QueueName=f"{self.stack}-{WAKE}")["QueueUrl"])

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The queues of dead letters."""
        return DeadLetters(self.session.client("sqs"), self.queues.url(WAKE))

    @cached_property
    def caller(self) -> str:
        """The caller's ARN, from STS."""
        return str(self.session.client("sts").get_caller_identity()["Arn"])

    def require(self, connection: str) -> str:
        """Return the connection's name.

        Raises:
            BadUsageError: it is not deployed; names the deployed ones.

        """
        if connection not in self.connections:
            known = ", ".join(self.connections) or "none is deployed"
            raise BadUsageError(f'unknown connection "{connection}"', fix=f"use one of {known}")
        return connection

    def with_cases(self, connection: str | None) -> list[str]:
        """Return the connections to look for cases at: the named one, or all, including removed ones.

        Raises:
            BadUsageError: no connection ever had that name.

        """
        removed = self.app.cases.connections()
        if connection is None:
            return sorted({*self.connections, *removed})
        return [connection if connection in removed else self.require(connection)]

    def outputs(self) -> dict[str, Any]:
        """Return what ``dossier outputs --json`` prints."""
        found = self.model_dump(include={*Outputs.model_fields})
        return {**found, "inbox": f"s3://{self.bucket}/{INBOX}<connection>/"}


def find(*, local: bool = False, stage: str | None = None) -> Target:
    """Return the deployment to work with: the local one if it is up, unless a stage is named.

    Args:
        local: use only the local AWS.
        stage: use this stage in the environment's AWS account, even if the local AWS is up.

    Raises:
        CommandError: there is no deployment; says what to run.

    """
    if local and stage:
        raise BadUsageError("--local and --stage exclude each other: the local AWS has one stage")
    if not stage:
        from cli.local import deployment  # noqa: PLC0415 -- a command for an account does not need the local AWS

        here = deployment()
        if here is not None:
            return here
    if local:
        raise CommandError("the local AWS is not up", fix="start it with `dossier up`")
    return _cloud(stage or os.environ.get("DOSSIER_STAGE") or DEFAULT_STAGE)


def _cloud(stage: str) -> Target:
    session = session_of_environment()
    found = _stack_outputs(session, f"dossier-{stage}")
    try:
        where = Target.of_stack(
            found,
            api_url=found["ApiUrl"].rstrip("/"),
            stage=stage,
            region=session.region_name or "",
            endpoint_url=None,
            secret_prefix=found["SecretPrefix"].rstrip("/"),
            session=session,
            kms_key_arn=found.get("KmsKeyArn", ""),
            document_buckets=tuple(listed(found.get("DocumentBuckets", ""))),
            document_kms_keys=tuple(listed(found.get("DocumentKmsKeys", ""))),
            alarm_topic_arn=found.get("AlarmTopicArn", ""),
            code_version=found.get("CodeVersion", ""),
        )
    except KeyError as missing:
        raise CommandError(
            f"stack dossier-{stage} has no output {missing}: deploy it again with `cdk deploy`"
        ) from None
    return where.model_copy(update={"connections": sorted(where.connections)})


def session_of_environment() -> boto3.Session:
    """Return a session for the environment's account; boto3 itself ignores ``AWS_REGION``."""
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)


def _stack_outputs(session: boto3.Session, stack: str) -> dict[str, str]:
    try:
        answer = session.client("cloudformation").describe_stacks(StackName=stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise NotDeployedError(
            f"stack {stack} is not deployed in region {session.region_name}",
            fix="run `cdk deploy`, or `dossier up` for the local AWS",
        ) from None
    return {each["OutputKey"]: each["OutputValue"] for each in answer["Stacks"][0].get("Outputs", [])}
