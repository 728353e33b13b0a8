"""What exists before a deployment: secrets that outlived their connection, or their stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from app import existing_secrets
from dossier.settings import Connection
from infra.existing_secrets import secrets_outside
from infra.settings import Settings
from tests.conftest import REGION, Cloud

ACCOUNT = "123456789012"


class Account:
    """A session for an account whose stack has certain secrets, as ListStackResources lists them."""

    def __init__(self, cloud: Cloud, resources: Mapping[str, str] | None) -> None:
        self._cloud = cloud
        self._resources = resources

    def client(self, service: str) -> Any:
        """Return a client; for CloudFormation, whose call moto lacks, a stand-in."""
        return self if service == "cloudformation" else self._cloud.session.client(service)  # type: ignore[call-overload]

    def get_paginator(self, operation: str) -> Account:
        """Return the only operation."""
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803  # AWS's name
        """Yield the pages: a queue first, then the secrets."""
        assert StackName == "dossier-dev"
        if self._resources is None:
            message = "Stack with id dossier-dev does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "ListStackResources")
        kinds = {"AWS::SQS::Queue": {"queue": "CREATE_COMPLETE"}, "AWS::SecretsManager::Secret": self._resources}
        for kind, resources in kinds.items():
            yield {
                "StackResourceSummaries": [
                    {"PhysicalResourceId": name, "ResourceType": kind, "ResourceStatus": status}
                    for name, status in resources.items()
                ]
            }


def _create(cloud: Cloud, name: str) -> str:
    """Create a secret and return its ARN."""
    return cloud.session.client("secretsmanager").create_secret(Name=name, SecretString="{}")["ARN"]


def _found(account: Account) -> frozenset[str]:
    return secrets_outside(account, stack="dossier-dev", prefix="dossier", connections=("invoices", "claims"))


def test_a_secret_that_outlived_its_stack_is_found(cloud: Cloud) -> None:
    """Without a stack, an existing secret is used; secrets with other names are ignored."""
    for name in ("dossier/invoices", "dossier/other", "dossier-blue/claims", "other/dossier/claims"):
        _create(cloud, name)
    assert _found(Account(cloud, None)) == {"invoices"}


def test_a_secret_of_the_stack_stays_the_stacks(cloud: Cloud) -> None:
    """A secret that the stack created stays in its template, and a new connection's secret is created."""
    assert _found(Account(cloud, {_create(cloud, "dossier/invoices"): "CREATE_COMPLETE"})) == frozenset()


@pytest.mark.parametrize("status", ["DELETE_SKIPPED", "DELETE_COMPLETE", None])
def test_a_connection_that_comes_back_finds_its_secret(cloud: Cloud, status: str | None) -> None:
    """A secret that was removed from the stack, but retained, is found when its connection returns."""
    arn = _create(cloud, "dossier/invoices")
    assert _found(Account(cloud, {arn: status} if status else {})) == {"invoices"}


def _settings(cloud: Cloud) -> Settings:
    del cloud
    connection = Connection(name="invoices", vendor="docustack", base_url="https://x.example")
    return Settings(root=None, connections={"invoices": connection}, existing_secrets=("named",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {"named"}),  # nobody deploys
        ({"CDK_DEFAULT_ACCOUNT": "210987654321", "CDK_DEFAULT_REGION": REGION}, {"named"}),  # another account
        ({"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}, {"named", "invoices"}),
    ],
)
def test_secrets_are_looked_up_only_in_the_deployed_account(
    cloud: Cloud, environment: dict[str, str], found: set[str]
) -> None:
    """The CDK's command line names account and Region; secrets that the settings name always count as existing."""
    cloud.session.client("secretsmanager").create_secret(Name="dossier/invoices", SecretString="{}")
    account = Account(cloud, None)
    assert existing_secrets(_settings(cloud), environment, session_in=lambda _region: account) == found


def test_a_missing_permission_names_the_setting(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without permission the deployment continues, and one line names the setting that helps if a secret exists."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    environment = {"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
    assert existing_secrets(_settings(cloud), environment) == {"named"}
    assert "existing_secrets" in capsys.readouterr().err
