"""The policies of people, filled in for a stage; and what a command says without a permission."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.main import get_command

from cli.errors import explain
from cli.main import app
from cli.policy import FOLDER, ROLES, filled
from tests.cli.conftest import _CLIENTS, Dossier, Stacks
from tests.machine import ROOT

PAGE = ROOT / "docs" / "permissions.md"
LONGEST = 6144
"""Characters of a managed policy, white space not counted
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
KEY = "arn:aws:kms:us-east-1:123456789012:key/0f3c8f4e-0000-4000-8000-000000000000"


def test_the_files_are_the_roles_policies() -> None:
    """There is a file for each role, and each statement of it has its own name."""
    assert sorted(each.stem for each in FOLDER.glob("*.json")) == sorted(ROLES)
    for path in FOLDER.glob("*.json"):
        names = [each["Sid"] for each in json.loads(path.read_text(encoding="utf-8"))["Statement"]]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch("[A-Za-z0-9]+", each) for each in names)


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_is_filled_in_for_its_stage(dossier: Dossier, role: str) -> None:
    """It names the stage's own resources, has nothing left to fill in, and is the same JSON with and without --json."""
    printed = dossier("policy", role)
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == dossier("policy", role, "--json").stdout
    assert not re.search(r"<\w+>", printed.stdout)
    document = json.loads(printed.stdout)
    assert document["Version"] == "2012-10-17"
    resources = [each for statement in document["Statement"] for each in statement["Resource"]]
    if role == "deployer":
        assert "arn:aws:iam::123456789012:role/cdk-hnb659fds-deploy-role-123456789012-us-east-1" in resources
        return
    assert "arn:aws:s3:::artifacts" in resources
    assert "arn:aws:dynamodb:us-east-1:123456789012:table/cases" in resources
    assert "arn:aws:states:us-east-1:123456789012:stateMachine:dossier-dev" in resources


def test_statements_for_what_a_stage_has_not_are_left_out(dossier: Dossier) -> None:
    """Without a key and other buckets for documents there is no permission for any."""
    document = json.loads(dossier("policy", "user").stdout)
    assert not {"UseKey", "DecryptDocuments"} & {each["Sid"] for each in document["Statement"]}
    assert "kms" not in json.dumps(document)


def test_a_key_and_other_buckets_are_in_it(dossier: Dossier) -> None:
    """A resource with a placeholder of several values is there for each of them."""
    dossier.stacks.stacks["dossier-dev"][0].update({
        "KmsKeyArn": KEY, "DocumentBuckets": "scans,mail-room", "DocumentKmsKeys": KEY,
    })  # fmt: skip
    statements = {each["Sid"]: each for each in json.loads(dossier("policy", "user").stdout)["Statement"]}
    assert statements["UseKey"]["Resource"] == statements["DecryptDocuments"]["Resource"] == [KEY]
    assert statements["ReadSubmissions"]["Resource"] == [
        "arn:aws:s3:::artifacts/uploads/*", "arn:aws:s3:::scans/*", "arn:aws:s3:::mail-room/*",
    ]  # fmt: skip


def test_the_deployers_policy_needs_no_stage(dossier: Dossier) -> None:
    """Who deploys a stage for the first time gets its policy; everybody else reads that it is not deployed."""
    document = json.loads(dossier("policy", "deployer", "--stage", "blue").stdout)
    assert "arn:aws:cloudformation:us-east-1:123456789012:stack/dossier-blue/*" in json.dumps(document)
    refused = dossier("policy", "user", "--stage", "blue")
    assert (refused.exit_code, "is not deployed" in refused.stderr) == (1, True)


def test_an_unknown_role_is_bad_usage(dossier: Dossier) -> None:
    """The roles that there are, are named."""
    refused = dossier("policy", "admin")
    assert refused.exit_code == 2
    assert refused.stderr == 'dossier: there is no role "admin": use one of user, operator, deployer\n'


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_fits(role: str) -> None:
    """The longest names that a stage can have fit into one managed policy."""
    longest = {
        "partition": ["aws-us-gov"], "region": ["ap-southeast-1"], "account": ["123456789012"],
        "stack": ["dossier-" + 16 * "s"], "bucket": [63 * "b"], "table": [255 * "t"],
        "event_bus": ["dossier-" + 16 * "s"], "secrets": ["dossier-" + 16 * "s"],
        "key": [KEY], "document_bucket": [], "document_key": [],
    }  # fmt: skip
    text = json.dumps(filled(role, longest), separators=(",", ":"))
    assert len(text) < LONGEST


def test_every_command_is_in_the_table() -> None:
    """The page names the roles whose policy allows each command."""
    rows = re.findall(r"^\| `dossier ([a-z]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    commands: Any = get_command(app)
    assert sorted(rows) == sorted(commands.commands)


def _denied(message: str, operation: str = "Query", code: str = "AccessDeniedException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


WHO = "arn:aws:iam::123456789012:user/ada"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/cases"
NO_POLICY = f"User: {WHO} is not authorized to perform: dynamodb:Query on resource: {TABLE} because no identity-based"


@pytest.mark.rule("security: use more of a person's permissions than their work needs")
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            _denied(f"{NO_POLICY} policy allows the dynamodb:Query action"),
            f"AWS refused Query: the permission of {WHO} is missing: dynamodb:Query on {TABLE}: `dossier policy`",
        ),
        (
            _denied(f'User: {WHO} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::b/k" because '
                    "no identity-based policy allows the s3:PutObject action", "PutObject", "AccessDenied"),
            f"the permission of {WHO} is missing: s3:PutObject on arn:aws:s3:::b/k: `dossier policy`",
        ),
        (
            _denied(f"User: {WHO} is not authorized to perform: cloudformation:DescribeStacks on resource: "
                    "arn:aws:cloudformation:us-east-1:123456789012:stack/dossier-dev/* with an explicit deny in a "
                    "service control policy", "DescribeStacks", "AccessDenied"),
            "stack/dossier-dev/* is denied with an explicit deny in a service control policy: ask the administrator",
        ),
        (_denied("Forbidden", "HeadBucket", "403"), "the permission is missing: s3:ListBucket: `dossier policy`"),
        (_denied("Forbidden", "HeadObject", "403"), "the permission is missing: s3:GetObject, s3:GetObjectVersion or"),
        (_denied("Access Denied", "PutBucketTagging", "AccessDenied"), "a permission is missing (Acc"),
    ],
)  # fmt: skip
def test_a_missing_permission_is_named(error: ClientError, says: str) -> None:
    """The error names the missing permission and its resource, and how to get it, in one line."""
    line = explain(error).line
    assert says in line
    assert "\n" not in line
    assert "docs/permissions.md" in line or "administrator" in line


def test_a_secret_that_may_not_be_read_is_a_missing_permission(
    dossier: Dossier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Powertools reads secrets, and wraps AWS's errors."""
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(ROOT / "connections.toml"))
    dossier.cloud.session.client("secretsmanager")  # there is one from here on

    def denied(**_given: object) -> None:
        raise _denied(NO_POLICY.replace("dynamodb:Query", "secretsmanager:GetSecretValue"), "GetSecretValue")

    monkeypatch.setattr(_CLIENTS["secretsmanager"], "get_secret_value", denied)
    refused = dossier("vendor", "claims", "cases")
    assert refused.exit_code == 1
    assert "is missing: secretsmanager:GetSecretValue" in refused.stderr


def test_an_object_that_the_caller_may_not_read(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the caller may not read the object, the error names the permission, without advice about the deployment."""
    dossier.json("list")  # makes the clients
    text = NO_POLICY.replace("dynamodb:Query", "s3:GetObject").replace(TABLE, '"arn:aws:s3:::scans/a.pdf"')

    def denied(**_given: object) -> None:
        raise _denied(text, "GetObject", "AccessDenied")

    monkeypatch.setattr(_CLIENTS.setdefault("s3", dossier.cloud.session.client("s3")), "get_object", denied)
    refused = dossier("submit", "claims", "s3://scans/a.pdf")
    assert refused.exit_code == 2
    assert f"the permission of {WHO} is missing: s3:GetObject on arn:aws:s3:::scans/a.pdf" in refused.stderr
    assert "document_buckets" not in refused.stderr


def test_the_region_of_the_environment_is_used(
    dossier: Dossier, stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``AWS_REGION``, which other programs of AWS read, goes before ``AWS_DEFAULT_REGION``, which boto3 reads alone."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert dossier.json("outputs")["region"] == "eu-central-1"
