"""The signed test delivery of ``dossier doctor``: accepted at the webhook, ignored by all that comes after it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from cli.deliveries import is_probe
from cli.probe import signed
from dossier.models import CaseId
from dossier.settings import Webhook as Settings
from dossier.steps.wake import serve
from dossier.steps.webhook import PROBE, Webhook, is_signed_probe
from tests.conftest import Cloud
from tests.machine import World

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCHEMES = [
    {"scheme": "hmac-sha256-hex", "header": "X-Signature", "prefix": "sha256="},
    {"scheme": "standard-webhooks"},
    {"scheme": "standard-webhooks", "header": "X-Signature"},
    {"scheme": "timestamped-hmac", "header": "X-Signature"},
    {"scheme": "shared-secret", "header": "X-Token"},
    {"scheme": "path-token"},
]


@pytest.mark.parametrize("given", SCHEMES, ids="-".join)
def test_each_scheme_accepts_its_probe(cloud: Cloud, given: dict[str, Any]) -> None:
    """Twice within a second too; the delivery is stored, and `dossier deliveries` does not show it."""
    settings, sent = Settings.model_validate(given), list[dict[str, str]]()
    webhook = Webhook(
        settings_of=lambda _: settings.model_dump(),
        secrets_of=lambda *_: [SECRET],
        evidence=lambda: cloud.app.evidence,
        enqueue=sent.append,
    )
    for number in (1, 2):
        url, body, headers = signed(settings, SECRET, "https://api.example.com/webhooks/invoices")
        token = url.partition("/webhooks/invoices/")[2]
        path = {"connection": "invoices", **({"token": unquote(token)} if token else {})}
        event = {"headers": headers, "pathParameters": path, "body": body.decode(), "isBase64Encoded": False}
        assert webhook.answer(event)[0] == 200
        assert len(sent) == number
    evidence = cloud.app.evidence.read(sent[0]["delivery"])
    assert is_probe(evidence)
    assert SECRET not in json.dumps({**evidence.headers, "body": evidence.content.decode()})


def test_a_secret_that_proves_nothing_is_reported() -> None:
    """An empty one, say."""
    with pytest.raises(ValueError, match="proves nothing with scheme standard-webhooks"):
        signed(Settings.model_validate({"scheme": "standard-webhooks"}), "!", "https://api.example.com")


def test_a_probe_moves_no_poll_and_counts_nothing(cloud: Cloud) -> None:
    """Any other delivery that names nothing moves the oldest waits; this one is not a delivery of the vendor."""
    world, counted = World(cloud), list[str]()
    context = world.context.replacing(count=lambda name, *_, **__: counted.append(name))
    app = cloud.app
    app.waits.start(CaseId("invoices", "R-1"), phase="documents", token="t", first=600, deadline=3600)
    for body, moved in ((b'{"dossier_probe": "0123456789abcdef"}', False), (b'{"dossier_probe": "x", "a": 1}', True)):
        key = app.evidence.keep("invoices", "accepted", body, {PROBE: "1"})
        serve({"connection": "invoices", "delivery": key}, context=context)
        assert bool(counted) == moved
    assert counted == ["DeliveryNotUnderstood"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'{"dossier_probe": "0123456789abcdef"}'),
        ({PROBE: "1"}, b'{"dossier_probe": "0123456789abcdef", "case_id": "c-1"}'),
        ({PROBE: "1"}, b'{"case_id": "c-1"}'),
        ({PROBE: "1"}, b'{"dossier_probe": "0123456789abcdeg"}'),
    ],
)
def test_a_mark_hides_nothing_else(headers: dict[str, str], body: bytes) -> None:
    """A delivery that says anything is not a probe, whatever marks it."""
    assert not is_signed_probe(headers, body)
