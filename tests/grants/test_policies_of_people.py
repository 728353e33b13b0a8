"""People with the policies of ``policies/`` can do what their role does, nothing else, and need each grant of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.main import get_command

from cli.batch import ACTIONS
from cli.main import app
from infra.existing_secrets import secrets_outside
from local.deploy import Deployment
from local.home import LocalError
from tests import commands
from tests.chaos.deployment import deployed
from tests.grants.bench import Bench
from tests.grants.people import People, as_in_the_cloud
from tests.grants.roles import Grant, Person
from tests.machine import ROOT


@dataclass(frozen=True)
class Cdk(Deployment):
    """The CDK's command line with somebody's keys."""

    keys: Mapping[str, str] = field(kw_only=True)

    def deploy_again(self, stack: str) -> None:
        """Deploy what ``deploy`` has synthesized."""
        self._cdk(
            "deploy", stack, "--require-approval", "never", *self._synthesized(), folder=self.app, doing="cdk deploy"
        )

    def destroy(self, stack: str) -> None:
        """Remove a stack that ``deploy`` has synthesized."""
        self._cdk("destroy", stack, "--force", *self._synthesized(), folder=self.app, doing="cdk destroy")

    def _synthesized(self) -> tuple[str, str]:
        """Return the option that uses the assembly of ``deploy``: to synthesize takes longest."""
        return "--app", str(self.folder / "cdk.out")

    def log(self, verb: str) -> str:
        """Return the CDK's output."""
        return (self.folder / f"{verb}.log").read_text(encoding="utf-8")

    def _environment(self, tools: Path) -> dict[str, str]:
        theirs = {"AWS_ACCESS_KEY_ID": self.keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": self.keys["SecretAccessKey"]}
        return {**super()._environment(tools), **theirs}


pytestmark = pytest.mark.timeout(1500)  # the first test of a role waits until everything was played
LOCAL = {"up", "down"}
"""Commands of the local AWS alone: every deployed test begins and ends with them, and tests/e2e with ``--json``."""
SANDBOX = {
    "sandbox fault list": (),
    "sandbox fault set": ("throttle", "--vendor", "docsumo", "--rate", "0"),
    "sandbox fault clear": (),
}
"""Commands of the sandbox, which need no permission."""
BATCH = {"batch", *(f"batch {each}" for each in ACTIONS)}
USERS = {"outputs", "policy", "example", "submit", *BATCH, "status", "list", "export", "fetch"}
UNASKED = {
    *("s3:PutObjectTagging", "s3:GetObjectRetention", "lambda:GetAccountSettings"),
    *("cloudwatch:GetMetricStatistics", "sns:ListSubscriptionsByTopic"),
}
"""What no command can miss here: the local AWS asks for no permission of its own to write an object with tags, to see
an object's lock, or an account's quotas; and `dossier doctor` skips what it may not look at."""
OPERATORS = (
    ("collect", "claims", "unknown"),
    ("refresh", "REFERENCE"),
    ("cancel", "REFERENCE"),
    ("forget", "REFERENCE"),
    ("redrive",),
    ("deliveries",),
    ("replay", "webhooks/claims/2026/01/31/unknown.json"),
    ("vendor", "claims", "cases"),
    ("invoice", "claims", "--month", "2026-01"),
    ("cost", "--month", "2026-01"),
    ("secrets", "set", "claims", "--api-key", "stolen"),
    ("drain",),
    ("doctor",),
)
"""Commands that a user's policy does not have; ``resolve`` needs a question, and is tried by itself."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield a bench on its own deployment."""
    home = tmp_path_factory.mktemp("people") / "home"
    with deployed(home) as deployment:
        yield Bench(deployment, home)


@pytest.fixture(scope="module")
def people(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], People]:
    """Return a maker of a user of a role, with the policy that ``dossier policy`` prints."""
    made: dict[str, People] = {}

    def of(role: str) -> People:
        if role not in made:
            document = bench.deployment.dossier("policy", role)
            person = Person(bench.client("iam"), f"the-{role}", document)
            made[role] = People(bench, person, tmp_path_factory.mktemp(role), unasked=_unasked)
        return made[role]

    return of


def _commands(group: Any, before: str = "") -> Iterator[str]:
    """Yield the commands that the parser knows, with those of groups."""
    for name, each in group.commands.items():
        words = f"{before}{name}"
        yield from _commands(each, f"{words} ") if hasattr(each, "commands") else [words]


def _unasked(grant: Grant) -> bool:
    return grant.action in UNASKED


@pytest.mark.rule("security: use more of a person's permissions than their work needs")
def test_a_user_needs_every_grant(people: Callable[[str], People]) -> None:
    """Each command of a user succeeds with the policy, and each grant of it is missed by one of them."""
    user = people("user")
    user.submits()
    assert user.played == USERS
    assert sorted(map(str, user.person.grants - user.missed)) == []


@pytest.mark.rule("security: use more of a person's permissions than their work needs")
def test_an_operator_needs_every_grant(people: Callable[[str], People]) -> None:
    """Each command of a stage succeeds with an operator's policy, and each grant of it is missed by one of them."""
    operator = people("operator")
    operator.operates()
    operator.submits()
    assert operator.played == {*_commands(get_command(app))} - {*LOCAL, *SANDBOX} | BATCH


@pytest.mark.parametrize("command", SANDBOX)
def test_the_sandbox_is_reported(bench: Bench, command: str) -> None:
    """Its commands print JSON too."""
    found = bench.deployment.dossier(*command.split(), *SANDBOX[command])
    assert found is not None


@pytest.mark.rule("security: use more of a person's permissions than their work needs")
@pytest.mark.parametrize("words", OPERATORS, ids=lambda words: words[0])
def test_a_user_cannot_operate(people: Callable[[str], People], words: tuple[str, ...]) -> None:
    """A command of an operator fails for a user, in one line that names the missing permission."""
    user = people("user")
    user.delivered()
    line = user.refused(*(user.finished if each == "REFERENCE" else each for each in words))
    assert " is missing: " in line, line


def test_a_user_cannot_answer(people: Callable[[str], People]) -> None:
    """Nor can a user answer an operator's question."""
    user = people("user")
    assert " is missing: dynamodb:" in user.refused("resolve", user.in_doubt(), "--retry")


def test_without_any_policy_a_command_says_what_is_missing(bench: Bench, tmp_path: Path) -> None:
    """Somebody with keys and no permission reads which one comes first."""
    nothing = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "none:None", "Resource": "arn:aws:none:::none"},
    ]}  # fmt: skip
    stranger = People(bench, Person(bench.client("iam"), "a-stranger", nothing), tmp_path, unasked=_unasked)
    line = stranger.refused("list")
    assert "user/a-stranger is missing: cloudformation:DescribeStacks on arn:aws:cloudformation:" in line


@pytest.fixture(scope="module")
def deployer(bench: Bench) -> Person:
    """Return somebody with the policy."""
    return Person(bench.client("iam"), "the-deployer", bench.deployment.dossier("policy", "deployer"))


@pytest.fixture(scope="module")
def cdk(bench: Bench, deployer: Person, tmp_path_factory: pytest.TempPathFactory) -> Cdk:
    """Return the CDK with the deployer's keys, for the app that is deployed."""
    layer = ROOT / "build" / "layers" / "local"
    assert layer.is_dir(), "`dossier up` made it"
    context = {
        "settings": str(ROOT / "local" / "settings.toml"),
        "connections": str(bench.home / "connections.toml"),
        "stage": "dev",
        "dependency_layer": str(layer),
    }
    folder = tmp_path_factory.mktemp("cdk")
    return Cdk(bench.deployment.outputs["endpoint_url"], folder, context, keys=deployer.keys)


class TestADeployer:
    """Somebody with the deployer's policy, and the CDK's own command line."""

    def test_deploys(self, cdk: Cdk) -> None:
        """``cdk deploy`` succeeds, and has looked for secrets that exist."""
        assert cdk.deploy("dossier-dev")["ConnectionNames"]
        assert "cannot look up existing secrets" not in cdk.log("deploy")

    @pytest.mark.parametrize("role", ["deploy", "file-publishing"])
    def test_deploys_as_the_cdks_roles(self, cdk: Cdk, deployer: Person, role: str) -> None:
        """Without the right to act as one of the CDK's roles nothing is deployed."""
        [grant] = [each for each in deployer.grants if f"-{role}-role-" in each.resource]
        deployer.take({grant})
        try:
            with pytest.raises(
                LocalError, match=f"could not be used to assume .*-{role}-role-|access to it|not authorized"
            ):
                cdk.deploy_again("dossier-dev")
        finally:
            deployer.restore()
        assert f"could not be used to assume '{grant.resource}'" in cdk.log("deploy")

    @pytest.mark.parametrize("action", ["secretsmanager:ListSecrets", "cloudformation:ListStackResources"])
    def test_looks_for_secrets(self, bench: Bench, deployer: Person, action: str) -> None:
        """The app cannot look for secrets that exist without either of the permissions."""
        session = boto3.Session(deployer.keys["AccessKeyId"], deployer.keys["SecretAccessKey"], region_name="us-east-1")
        here = bench.deployment.outputs["endpoint_url"]
        theirs: Any = SimpleNamespace(client=lambda service: session.client(service, endpoint_url=here))
        look = partial(secrets_outside, theirs, stack="dossier-dev", prefix="dossier", connections=bench.connections)
        assert "claims" not in look()  # it is the stack's own
        deployer.take({each for each in deployer.grants if each.action == action})
        try:
            with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
                look()
        finally:
            deployer.restore()

    def test_reads_the_outputs(self, bench: Bench, deployer: Person) -> None:
        """What was deployed can be read, which takes its own permission."""
        environment = as_in_the_cloud(bench, deployer.keys)
        words = ["outputs", "--stage", "dev", "--json"]
        assert commands.run(words, environment=environment, folder=ROOT).code == 0
        deployer.take({each for each in deployer.grants if each.action == "cloudformation:DescribeStacks"})
        try:
            refused = commands.run(words, environment=environment, folder=ROOT)
        finally:
            deployer.restore()
        assert "is missing: cloudformation:DescribeStacks on arn:" in refused.stderr

    def test_every_grant_was_tried(self, deployer: Person) -> None:
        """The tests above are about all that the policy has."""
        assert sorted(each.action for each in deployer.grants) == [
            "cloudformation:DescribeStacks", "cloudformation:ListStackResources", "secretsmanager:ListSecrets",
            "sts:AssumeRole", "sts:AssumeRole",
        ]  # fmt: skip

    def test_destroys(self, bench: Bench, cdk: Cdk) -> None:
        """``cdk destroy`` succeeds; this is the last test, because nothing is there afterwards."""
        cdk.destroy("dossier-dev")
        stacks = bench.client("cloudformation").list_stacks()["StackSummaries"]
        [status] = {each["StackStatus"] for each in stacks if each["StackName"] == "dossier-dev"}
        assert status == "DELETE_COMPLETE"
