import os
from pathlib import Path

import pytest

from local.deploy import aws_environment, read_outputs
from local.home import LocalError

FOUND = {
    "ApiUrl": "https://a1.execute-api.us-east-1.amazonaws.com/",
    "ApiId": "a1",
    "BucketName": "bucket",
    "TableName": "table",
    "StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:case",
    "EventBusName": "dossier",
    "ConnectionNames": "invoices, claims",
    "SecretPrefix": "dossier/",
}


def test_printed_addresses_work_for_any_client() -> None:
    """The API's address is the local AWS's own, and each connection has its webhook under it."""
    outputs = read_outputs(FOUND, endpoint_url="http://127.0.0.1:4566", stage="dev")

    assert outputs.api_url == "http://127.0.0.1:4566/_aws/execute-api/a1/$default"
    assert outputs.webhook_urls == {
        "invoices": "http://127.0.0.1:4566/_aws/execute-api/a1/$default/webhooks/invoices",
        "claims": "http://127.0.0.1:4566/_aws/execute-api/a1/$default/webhooks/claims",
    }


def test_a_connection_without_webhooks_has_no_url() -> None:
    """The connection is deployed all the same."""
    found = {**FOUND, "WebhookConnections": "claims"}
    outputs = read_outputs(found, endpoint_url="http://x", stage="dev")
    assert outputs.connections == ["invoices", "claims"]
    assert list(outputs.webhook_urls) == ["claims"]


def test_a_stack_without_an_output_is_named() -> None:
    """A missing output is one line that names it."""
    found = {name: value for name, value in FOUND.items() if name != "BucketName"}

    with pytest.raises(LocalError, match="BucketName"):
        read_outputs(found, endpoint_url="http://x", stage="dev")


def test_the_users_aws_settings_are_not_used() -> None:
    """Profiles and credentials files are out of the way, and the endpoint is local."""
    variables = aws_environment("http://127.0.0.1:4566")

    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert Path(variables["AWS_CONFIG_FILE"]) == Path(variables["AWS_SHARED_CREDENTIALS_FILE"]) == Path(os.devnull)
