"""A deployment in memory for the CLI: the stack's outputs, its state machine, and a walker of its executions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.models import Execution, StepFunctionBackend, stepfunctions_backends
from typer.testing import CliRunner, Result

from cli.main import app
from dossier.errors import CaseFailedError, InvalidCaseError
from dossier.models import CaseId, CaseStatus
from dossier.settings import Connection
from dossier.steps.accept import accept
from dossier.steps.publish import fail
from dossier.stores.cases import Case, Question
from infra.outputs import Outputs
from local.home import Home, LocalState
from local.processes import Process
from tests.conftest import BUCKET, REGION, Cloud
from tests.local.sandbox.sandboxes import ACCOUNTS, LiveSandbox
from tests.machine import ROOT, World, shipped

CONNECTIONS = ("claims", "disputes", "invoices")
ACCOUNT = "123456789012"
"""The account of moto."""
DOCUMENTS = ROOT / "events" / "documents"


@dataclass
class Dossier:
    """The deployment, and the command that works with it.

    Attributes:
        cloud: the AWS account.
        stacks: what is deployed.
        connections: the connections' settings, as deployed.
        whole: whether an execution is walked to its end at once; else only accepted, and ``then`` goes on.
        then: what happens to the deployment, one each time that the command sleeps.
        answers: task tokens that were answered: True, or the name of the error they were failed with.
        dead: nobody waits for a task token any more.
        world: walks all executions, at one sandbox; else each has one of its own.
        runs: what runs batches while the command sleeps.

    """

    cloud: Cloud
    stacks: Stacks
    connections: dict[str, Connection]
    whole: bool = True
    then: list[Callable[[], object]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    dead: bool = False
    world: World | None = None
    runs: Callable[[], object] | None = None

    def __call__(self, *words: str | Path, input: str | None = None) -> Result:  # noqa: A002 -- CliRunner's word
        """Run ``dossier`` in this process."""
        return CliRunner().invoke(app, [str(word) for word in words], input=input)

    def json(self, *words: str | Path) -> Any:
        """Run ``dossier … --json`` and return the document that it printed."""
        return json.loads(self(*words, "--json").stdout)

    def case(self, connection: str, reference: str) -> Case:
        """Return a case as stored."""
        return self.cloud.app.cases.get(CaseId(connection, reference))

    def executions(self) -> list[Execution]:
        """Return all executions of the state machine; each is a case."""
        return executions_of("dossier-dev")

    def change(self, connection: str, reference: str, **changes: Any) -> None:
        """Change a case's record."""
        assert self.cloud.app.cases.change(CaseId(connection, reference), **changes)

    def ask(self, connection: str, reference: str, what: str, text: str = "was it created?") -> None:
        """Ask the operator."""
        question = Question(what=what, text=text, token=f"token-{what}", asked_at="2026-01-31T12:00:00.000Z")
        self.cloud.app.cases.ask(CaseId(connection, reference), question)
        self.change(connection, reference, status=CaseStatus.NEEDS_ATTENTION, reason=text)

    def tick(self, _seconds: float = 0) -> None:
        """Let the deployment work while the command sleeps."""
        if self.runs is not None:
            self.runs()
        fresh = [each for each in self.executions() if each.status == "RUNNING" and each.output is None]
        for each in fresh:
            self._run(each)
        if not fresh and self.then:
            self.then.pop(0)()

    def _run(self, execution: Execution) -> None:
        case, arn = json.loads(execution.execution_input), execution.execution_arn
        execution.output = "taken"
        if self.whole:
            (self.world or World(self.cloud)).execute(case, arn)
            execution.status = "SUCCEEDED"
            return
        app = self.cloud.app
        context = app.replacing(connection_of=self._connection)
        try:
            accept(case, arn, context=context)
        except CaseFailedError as error:
            name, cause = type(error).__name__, json.dumps({"errorMessage": str(error)})
            fail(case, arn, name, cause, context=context)
            execution.status, execution.error, execution.cause = "FAILED", name, str(error)

    def _connection(self, name: str) -> Connection:
        if name not in self.connections:
            raise InvalidCaseError(f'unknown connection "{name}"')
        return self.connections[name]


def executions_of(machine: str) -> list[Execution]:
    """Return the executions of a state machine by its name."""
    backend = stepfunctions_backends[ACCOUNT][REGION]
    return [each for found in backend.state_machines if found.name == machine for each in found.executions]


_CLIENTS: dict[str, Any] = {}
"""AWS clients by service: making them anew for every run of the command would be most of the tests' time."""


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a local AWS nor an AWS account, whatever this machine has; the environment is restored afterwards."""
    before = dict(os.environ)
    monkeypatch.setenv("DOSSIER_HOME", str(tmp_path / "home"))
    for name in ("DOSSIER_STAGE", "DOSSIER_DEBUG", "DOSSIER_CONNECTIONS", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Stacks:
    """Return an account's stacks, of which there is none; from here on clients are made once."""
    found, real = Stacks({}), boto3.Session.client

    def made(session: boto3.Session, service: Any, **options: Any) -> Any:
        if service == "cloudformation":
            return found
        if service == "lambda":
            return found.functions
        if service == "dynamodb" and options:  # a resource adds handlers to its client, each time anew
            return real(session, service, **options)
        if service not in _CLIENTS:
            _CLIENTS[service] = real(session, service, **options)
        return _CLIENTS[service]

    monkeypatch.setattr(boto3.Session, "client", made)
    return found


@pytest.fixture
def dossier(stacks: Stacks, cloud: Cloud, nowhere: None, monkeypatch: pytest.MonkeyPatch) -> Dossier:
    """Return a deployment of stage ``dev`` whose executions run while the command sleeps."""
    deploy(cloud, stacks)
    vars(cloud.app)["transport"] = None  # accepting needs none, and making one takes its time
    it = Dossier(cloud, stacks, dict(shipped()))
    monkeypatch.setattr(time, "sleep", it.tick)

    def answered(token: str, answer: object) -> None:
        if it.dead:
            raise InvalidToken
        it.answers[token] = answer

    def succeed(_backend: object, token: str, _output: str) -> None:
        answered(token, True)

    def failed(_backend: object, token: str, error: str) -> None:  # moto drops the cause
        answered(token, error)

    monkeypatch.setattr(StepFunctionBackend, "send_task_success", succeed)
    monkeypatch.setattr(StepFunctionBackend, "send_task_failure", failed)
    return it


def deploy(cloud: Cloud, stacks: Stacks, stage: str = "dev") -> None:
    """Create the resources that the CLI finds in an account: state machine, secrets, and the stack with its outputs.

    By moto's own calls: requests for them would be a quarter of what a quick test costs.
    """
    role = f"arn:aws:iam::{ACCOUNT}:role/states"
    definition = json.dumps({"StartAt": "Accept", "States": {"Accept": {"Type": "Succeed"}}})
    machines = stepfunctions_backends[ACCOUNT][REGION]
    arn = machines.create_state_machine(f"dossier-{stage}", definition, role).arn
    machines.create_state_machine(f"dossier-{stage}-batch", definition, role)
    cloud.app.environment = cloud.app.environment.model_copy(update={"state_machine_arn": arn})
    for name in CONNECTIONS:
        secretsmanager_backends[ACCOUNT][REGION].create_secret(
            name=f"dossier/{name}",
            secret_string=json.dumps({"api_key": "", "webhook_secrets": []}),
            secret_binary=None,
            description=None,
            tags=None,
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
    outputs = {
        "ApiUrl": "https://api.example.com",
        "ApiId": "a1b2c3",
        "BucketName": BUCKET,
        "TableName": "cases",
        "StateMachineArn": arn,
        "EventBusName": "dossier",
        "SecretPrefix": "dossier",
        "ConnectionNames": ",".join(CONNECTIONS),
        "WebhookConnections": "claims,invoices",
    }
    sqs, endpoint = sqs_backends[ACCOUNT][REGION], urlparse(f"https://sqs.{REGION}.amazonaws.com")
    queues = [f"dossier-{stage}-{name}-dlq" for name in ("wake", "drop", *(f"poll-{each}" for each in CONNECTIONS))]
    urls = [sqs.create_queue(name).url(endpoint) for name in queues]
    watched = {"Queue": sqs.create_queue(f"dossier-{stage}-drop").queue_arn, "Event": ["s3:ObjectCreated:*"]}
    notifications = {"QueueConfiguration": [watched]}
    s3_backends[ACCOUNT]["aws"].put_bucket_notification_configuration(BUCKET, notifications)
    stacks.stacks[f"dossier-{stage}"] = (outputs, urls)


class Stacks:
    """The CloudFormation calls of the CLI (moto's own need packages that are not installed)."""

    def __init__(self, stacks: dict[str, tuple[dict[str, str], list[str]]]) -> None:
        self.stacks = stacks
        self.functions = Quotas()

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 -- AWS's name
        """Return a stack's outputs."""
        if StackName not in self.stacks:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.stacks[StackName][0].items()]
        return {"Stacks": [{"StackName": StackName, "Outputs": outputs}]}

    def get_paginator(self, _operation: str) -> Stacks:
        """Return a paginator of a stack's resources."""
        return self

    def paginate(self, *, StackName: str) -> list[dict[str, Any]]:  # noqa: N803 -- AWS's name
        """Return one page of a stack's resources."""
        queues = [{"ResourceType": "AWS::SQS::Queue", "PhysicalResourceId": url} for url in self.stacks[StackName][1]]
        return [{"StackResourceSummaries": queues}]


@dataclass
class Quotas:
    """The Lambda calls of the CLI that moto does not answer."""

    executions: int = 1000
    reserved: int = 0
    error: ClientError | None = None

    def get_account_settings(self) -> dict[str, Any]:
        """Return how many executions the account has at once."""
        if self.error:
            raise self.error
        free = self.executions - self.reserved
        return {"AccountLimit": {"ConcurrentExecutions": self.executions, "UnreservedConcurrentExecutions": free}}


@pytest.fixture
def invoice(tmp_path: Path) -> Path:
    """A document that every vendor reads."""
    path = tmp_path / "invoice.pdf"
    path.write_bytes((DOCUMENTS / "invoice.pdf").read_bytes())
    return path


@pytest.fixture
def local_aws(nowhere: None) -> LocalState:
    """The state file of ``dossier up``; this process replaces the local AWS."""
    process = Process.find(os.getpid())
    assert process is not None
    found = Outputs(
        connections=["invoices"],
        webhook_urls={"invoices": "http://127.0.0.1:4566/_aws/execute-api/a1/$default/webhooks/invoices"},
        api_url="http://127.0.0.1:4566/_aws/execute-api/a1/$default",
        bucket="local-bucket",
        table="local-table",
        state_machine_arn="arn:aws:states:us-east-1:000000000000:stateMachine:dossier-dev",
        event_bus="dossier",
        stage="dev",
        region="us-east-1",
        endpoint_url="http://127.0.0.1:4566",
    )
    state = LocalState(
        local_aws=process, endpoint_url=found.endpoint_url, sandbox_url="http://127.0.0.1:4780", outputs=found
    )
    Home.from_environment().save(state)
    return state


@pytest.fixture(scope="module")
def live() -> Iterator[LiveSandbox]:
    """A running sandbox."""
    with LiveSandbox() as live:
        yield live


@pytest.fixture
def sandbox(live: LiveSandbox) -> LiveSandbox:
    """The sandbox with default settings, but quick."""
    live.start_over()
    return live


@pytest.fixture
def asking(dossier: Dossier, sandbox: LiveSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dossier:
    """A deployment whose connections are the sandbox's accounts."""
    keys = {"invoices": ACCOUNTS.docustack, "claims": ACCOUNTS.docsumo, "disputes": ACCOUNTS.ombudsman}
    for name, account in keys.items():
        assert dossier("secrets", "set", name, "--api-key", account.api_key).exit_code == 0
    common = "allow_insecure = true\nlimits = { requests_per_second = 1000 }\n"
    file = tmp_path / "connections.toml"
    file.write_text(
        f"""
        [invoices]
        vendor = "docustack"
        base_url = "{sandbox.url}/docustack"
        mode = "test"
        schema_id = "sch_xyz789"
        organization_id = "org_abc123"
        {common}
        [claims]
        vendor = "docsumo"
        base_url = "{sandbox.url}/docsumo"
        casetype_id = "casetype__d1t5b"
        {common}
        [disputes]
        vendor = "ombudsman"
        base_url = "{sandbox.url}/ombudsman"
        tenant = "your_tenant_id"
        {common}
        """
    )
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(file))
    return dossier
