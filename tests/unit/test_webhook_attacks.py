"""Attacks on the webhook function as it is deployed: its handler and clones of it, with S3, SQS and Secrets Manager.

Nothing here knows how the function is made: each test is one that got somewhere once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.signatures import Delivery, Rule, verify
from tests.conftest import BUCKET, Cloud
from tests.unit.samples import SECRET, Function, instance, sample


def objects(cloud: Cloud, prefix: str = "") -> list[dict[str, Any]]:
    """Return the bucket's keys."""
    pages = cloud.session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [dict(each) for page in pages for each in page.get("Contents", [])]


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
def test_the_same_delivery_five_times_is_one(function: Function, cloud: Cloud) -> None:
    """One or several instances store one delivery, queue one message, and answer each with 200."""
    event = sample("api-gateway-signed")
    answers = [each(event)["statusCode"] for each in (function, function, instance(), instance(), function)]
    assert answers == [200] * 5
    assert len(objects(cloud, "webhooks/")) == 1
    assert len(cloud.messages("wake")) == 1


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_a_flood_is_small_however_many_instances_it_reaches(function: Function, cloud: Cloud) -> None:
    """Five instances store little of two hundred unsigned megabytes, and valid deliveries separately."""
    event = sample("api-gateway-signed")
    event["headers"]["x-docustack-signature"] = "0" * 64
    event["body"] = "x" * 1_000_000
    before = len(objects(cloud))
    for each in (function, *(instance() for _ in range(4))):
        for _ in range(40):
            assert each(event)["statusCode"] == 401
    kept = objects(cloud)[before:]
    assert 0 < len(kept) <= 2 * 30  # a minute may end in between
    assert sum(each["Size"] for each in kept) < 2_000_000
    assert not [each["Key"] for each in kept if each["Key"].startswith("webhooks/")]


@pytest.mark.rule("security: find out which connections exist")
def test_no_body_size_distinguishes_connections(function: Function) -> None:
    """A connection with its own limit answers a stranger like any other connection, and like an unknown one."""
    for size in (5, 11, 1_048_577):
        answers = []
        for name in ("small", "invoices", "nobody"):
            event = sample("api-gateway-signed")
            event["pathParameters"]["connection"] = name
            event["body"] = "x" * size
            answers.append(function(event))
        assert answers == [answers[0]] * 3


@pytest.mark.rule("security: find out which connections exist")
def test_a_connection_whose_secret_is_broken_costs_no_more(
    function: Function, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is not the JSON of the contract is not read again for each stranger."""
    reads: list[str] = []
    cloud.session.client("secretsmanager")
    import botocore.client  # noqa: PLC0415 -- counted where each call goes out

    real = botocore.client.BaseClient._make_api_call

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "GetSecretValue":
            reads.append(arguments["SecretId"])
        return real(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counted)
    event = sample("api-gateway-shared-secret")  # its connection's secret is "not JSON"
    for _ in range(50):
        assert function(event)["statusCode"] == 401
    assert len(reads) < 20


def test_a_valid_delivery_of_each_kind_is_accepted(function: Function) -> None:
    """Valid deliveries pass: another charset, a signature that is sent twice, header names in capitals."""
    body = json.dumps({"document_id": "Müller"}, ensure_ascii=False)
    signature = hmac.new(SECRET.encode(), body.encode("latin-1"), hashlib.sha256).hexdigest()
    event = sample("api-gateway-signed")
    event["body"] = body
    event["headers"]["content-type"] = "application/json; charset=ISO-8859-1"
    event["headers"]["x-docustack-signature"] = f"{signature.upper()}, {signature.upper()}"
    assert function(event)["statusCode"] == 200


@pytest.mark.rule("security: send a forged delivery that is accepted")
@given(
    header=st.text(alphabet="tv1=, abcdef0123456789", max_size=300),
    scheme=st.sampled_from(["timestamped-hmac", "standard-webhooks", "hmac-sha256-hex"]),
)
def test_no_form_of_a_header_proves_another_body(header: str, scheme: str) -> None:
    """Values, times and signatures in any order and number prove nothing without the key."""
    names = ("x-sign", "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-signature")
    delivery = Delivery(b"{}", dict.fromkeys(names, header))
    secret = f"whsec_{base64.b64encode(b'key-of-nobody').decode()}"
    assert not verify(Rule(scheme, "x-sign"), delivery, [secret], now=1_700_000_000)
