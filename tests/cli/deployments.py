"""A local deployment that the CLI finds."""

from __future__ import annotations

import os

import pytest

from local.home import Home, LocalState, Outputs
from local.processes import Process


@pytest.fixture
def local_aws(nowhere: None) -> LocalState:
    """What ``dossier up`` leaves behind; this process stands in for the local AWS."""
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
