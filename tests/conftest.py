"""Fixtures for every test: AWS in memory (moto), with Dossier's resources in it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlparse

import boto3
import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import events_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from xdist.scheduler import LoadScopeScheduling

from dossier.environment import Environment
from dossier.steps.context import Context
from dossier.stores.clients import Clients
from tests import dynamodb, objects, pooled, sent, shortcuts
from tests.once import read_once

settings.register_profile("dossier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dossier")  # how fast a machine is says nothing about what runs on it
shortcuts.register(dynamodb.answer)
shortcuts.register(objects.answer)
shortcuts.register(sent.answer)

gc.set_threshold(50_000, 20, 20)  # botocore makes many objects that live as long as a call: cycles are few

REGION = "us-east-1"
BUCKET = "artifacts"
SHARED = {"infra", "local"}
"""Folders of tests: a synthesized stack, a local AWS."""
QUEUES = ("wake", "drop", "poll-invoices", "poll-claims", "poll-disputes")


@dataclass
class Cloud:
    """An account with Dossier's bucket, table, queues and bus, and the app on top of it."""

    session: boto3.Session
    app: Context

    @cached_property
    def _s3(self) -> Any:
        return self.session.client("s3")

    def put(self, key: str, body: bytes) -> str:
        """Put an object into the artifact bucket and return its URI."""
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def empty_table(self) -> None:
        """Forget all cases: in memory, a query looks at every item that there is."""
        dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].delete_table("cases")
        _make_table()

    def messages(self, queue: str) -> list[str]:
        """Take all visible messages of a queue (``wake``, ``poll-<connection>``)."""
        sqs = self.session.client("sqs")
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}")["QueueUrl"]
        bodies = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


class ByFile(LoadScopeScheduling):
    """Runs the tests of a file in one process; so too those of a folder that share what takes seconds to make.

    Marks (``xdist_group``) have no effect with pytest 9.2: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return next((str(each) for each in file.parents if each.name in SHARED), str(file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Return what divides the tests among the processes."""
    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="session")
def always_the_same() -> Iterator[None]:
    """Data that every boto3 session would read anew is read once."""
    with read_once():
        yield


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Yield an empty account, made anew for each test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with in_memory() as cloud:
        yield cloud


@contextmanager
def in_memory() -> Iterator[Cloud]:
    """Yield an empty account; the environment has its credentials already. ``dynamodb`` keeps the table's items."""
    with mock_aws(), pooled.session(REGION) as session:
        # Moto's own calls: as requests, these are half of what a quick test costs.
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, REGION).versioning_status = "Enabled"
        _make_table()
        sqs = sqs_backends[DEFAULT_ACCOUNT_ID][REGION]
        endpoint = urlparse(f"https://sqs.{REGION}.amazonaws.com")
        urls = {name: sqs.create_queue(f"dossier-dev-{name}").url(endpoint) for name in QUEUES}
        events_backends[DEFAULT_ACCOUNT_ID][REGION].create_event_bus("dossier")
        environment = Environment(
            stage="dev",
            prefix="dossier",
            table="cases",
            bucket=BUCKET,
            event_bus="dossier",
            wake_queue_url=urls["wake"],
        )
        yield Cloud(session, Context(environment, Clients(session)))


def _make_table() -> None:
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].create_table(
        "cases",
        schema=_keys("pk", "sk"),
        throughput=None,
        attr=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsi_pk", "gsi_sk")],
        global_indexes=[
            {
                "IndexName": "by-connection",
                "KeySchema": _keys("gsi_pk", "gsi_sk"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        indexes=[],
        streams=None,
        billing_mode="PAY_PER_REQUEST",
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
