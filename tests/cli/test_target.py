"""Which AWS a command works with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from local.home import Home, LocalState
from tests.cli.conftest import CONNECTIONS, Dossier


def run(*words: str) -> Result:
    """Run ``dossier`` in this process."""
    return CliRunner().invoke(app, list(words))


def test_the_outputs_of_the_stack(dossier: Dossier) -> None:
    """In the cloud, webhook URLs are those of the API, and there is no endpoint."""
    assert dossier.json("outputs") == {
        "connections": list(CONNECTIONS),
        "webhook_urls": {name: f"https://api.example.com/webhooks/{name}" for name in ("claims", "invoices")},
        "api_url": "https://api.example.com",
        "bucket": "artifacts",
        "inbox": "s3://artifacts/inbox/<connection>/",
        "state_machine_arn": "arn:aws:states:us-east-1:123456789012:stateMachine:dossier-dev",
        "event_bus": "dossier",
        "region": "us-east-1",
        "endpoint_url": None,
        "paused": {},
        "table": "cases",
        "stage": "dev",
    }
    shown = dossier("outputs").stdout
    assert "https://api.example.com/webhooks/claims" in shown
    assert "webhooks/disputes" not in shown
    assert "connections        claims, disputes, invoices\n" in shown


def test_stack_of_the_previous_version_names_all_webhook_urls(dossier: Dossier) -> None:
    """It does not say which connections take webhooks."""
    del dossier.stacks.stacks["dossier-dev"][0]["WebhookConnections"]
    assert set(dossier.json("outputs")["webhook_urls"]) == set(CONNECTIONS)


def test_a_stack_without_any_webhooks(dossier: Dossier) -> None:
    """Its connections are all there, and no URL is shown."""
    dossier.stacks.stacks["dossier-dev"][0]["WebhookConnections"] = "-"
    found = dossier.json("outputs")
    assert (found["connections"], found["webhook_urls"]) == (list(CONNECTIONS), {})


def test_the_stage_is_named_by_option_or_environment(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """--stage picks another stack, DOSSIER_STAGE where it is left out."""
    result = dossier("outputs", "--stage", "prod")
    assert result.exit_code == 1
    assert result.stderr.startswith("dossier: stack dossier-prod is not deployed in region us-east-1: run `cdk deploy`")
    assert len(result.stderr.splitlines()) == 1
    monkeypatch.setenv("DOSSIER_STAGE", "qa")
    assert "stack dossier-qa is not deployed" in dossier("list").stderr


def test_missing_output_is_named(dossier: Dossier) -> None:
    """The error for a stack without the output says to deploy it again."""
    del dossier.stacks.stacks["dossier-dev"][0]["SecretPrefix"]
    result = dossier("outputs")
    assert result.exit_code == 1
    assert "stack dossier-dev has no output 'SecretPrefix': deploy it again" in result.stderr


@pytest.mark.usefixtures("nowhere")
def test_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without region or credentials one line says what to set, or to start the local AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr == (
        "dossier: no AWS region is set: set AWS_REGION, or start the local AWS with `dossier up`\n"
    )
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("dossier: no valid AWS credentials (Unable to locate credentials): set AWS")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "The config profile (nobody) could not be found" in run("list").stderr


@pytest.mark.usefixtures("nowhere")
def test_the_local_aws_or_nothing() -> None:
    """With --local the account of the environment is not asked."""
    result = run("list", "--local", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == {
        "type": "CommandError",
        "message": "the local AWS is not up",
        "fix": "start it with `dossier up`",
    }
    assert run("list", "--local", "--stage", "dev").exit_code == 2


def test_the_local_aws_comes_first(local_aws: LocalState, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is up, the local AWS is used without being asked for, and nothing of the user's own set-up is."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    result = run("outputs", "--json")
    assert result.exit_code == 0, result.stderr
    assert local_aws.outputs is not None
    more = {"inbox": f"s3://{local_aws.outputs.bucket}/inbox/<connection>/", "paused": None}
    assert json.loads(result.stdout) == local_aws.outputs.model_dump() | more
    own = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    assert own["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(own)
    assert "127.0.0.1" in os.environ["NO_PROXY"]


def test_a_named_stage_is_never_the_local_one(dossier: Dossier, local_aws: LocalState) -> None:
    """A named stage means the account, even while the local AWS is up."""
    assert local_aws.endpoint_url == dossier.json("outputs")["endpoint_url"]
    assert dossier.json("outputs", "--stage", "dev")["endpoint_url"] is None


def test_a_local_aws_without_a_deployment(local_aws: LocalState) -> None:
    """A deployment that failed is not mistaken for another account."""
    Home.from_environment().save(local_aws.model_copy(update={"outputs": None}))
    result = run("list")
    assert result.exit_code == 1
    assert "has no deployment: run `dossier up` again" in result.stderr


def test_a_local_aws_that_has_ended(local_aws: LocalState, tmp_path: Path) -> None:
    """A state file of a process that is gone does not count."""
    gone = local_aws.local_aws.model_copy(update={"started": "0"})
    Home.from_environment().save(local_aws.model_copy(update={"local_aws": gone}))
    assert (tmp_path / "home" / "local.json").is_file()
    assert "the local AWS is not up" in run("list", "--local").stderr
