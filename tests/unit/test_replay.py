"""Stored deliveries, verified and applied again."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from functools import partial
from typing import Any

import pytest

from dossier.settings import Webhook as WebhookSettings
from dossier.signatures import KEPT_TOKEN, proof
from dossier.steps.replay import provable, replay
from dossier.steps.webhook import Webhook
from dossier.stores.queues import WAKE
from tests.conftest import Cloud

BODY = b'{"document_id": "doc_1"}'
SECRET = "s3cret-enough"
LONG_AGO = 1_700_000_000


def digest(message: bytes, secret: bytes = SECRET.encode()) -> bytes:
    """Return an HMAC-SHA256."""
    return hmac.new(secret, message, hashlib.sha256).digest()


SCHEMES: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "hmac-sha256-hex": ({"header": "X-Sign", "prefix": "sha256="}, {"x-sign": f"sha256={digest(BODY).hex()}"}, ""),
    "timestamped-hmac": (
        {},
        {"stripe-signature": f"t={LONG_AGO},v1={digest(f'{LONG_AGO}.'.encode() + BODY).hex()}"},
        "",
    ),
    "standard-webhooks": (
        {},
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(LONG_AGO),
            "webhook-signature": "v1,"
            + base64.b64encode(digest(f"msg_1.{LONG_AGO}.".encode() + BODY, base64.b64decode("c2VjcmV0"))).decode(),
        },
        "",
    ),
    "shared-secret": ({"header": "X-Token", "prefix": "Bearer "}, {"x-token": f"Bearer {SECRET}"}, ""),
    "path-token": ({}, {}, SECRET),
}


def active(scheme: str) -> str:
    """Return the scheme's secret."""
    return "whsec_c2VjcmV0" if scheme == "standard-webhooks" else SECRET


def kept(cloud: Cloud, scheme: str, *, body: bytes = BODY, secrets: list[str] | None = None) -> str:
    """Let a delivery come to the webhook, long ago, and return its key."""
    settings, headers, token = SCHEMES[scheme]
    table = WebhookSettings(scheme=scheme, **settings).model_dump()  # type: ignore[arg-type]
    door = Webhook(
        settings_of=lambda _: table,
        secrets_of=lambda _, __: [active(scheme)] if secrets is None else secrets,
        evidence=lambda: cloud.app.evidence,
        enqueue=lambda _: None,
        clock=lambda: LONG_AGO,
    )
    door.answer(
        {"pathParameters": {"connection": "invoices", "token": token}, "headers": headers, "body": body.decode()}
    )
    [key] = cloud.app.evidence.list("invoices")
    return key


def replayed(cloud: Cloud, key: str, scheme: str, *secrets: str) -> bool:
    """Replay a delivery."""
    evidence = cloud.app.evidence.find(key)
    assert evidence is not None
    webhook = WebhookSettings(scheme=scheme, **SCHEMES[scheme][0])  # type: ignore[arg-type]
    enqueue = partial(cloud.app.queues.send, WAKE)
    adopt = cloud.app.evidence.adopt
    return replay(key, evidence, webhook=webhook, secrets=secrets, enqueue=enqueue, adopt=adopt)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_is_proven_again_however_old(cloud: Cloud, scheme: str) -> None:
    """Any active secret proves the stored delivery; it is queued like a new one."""
    key = kept(cloud, scheme)
    assert replayed(cloud, key, scheme, "another", active(scheme))
    assert [json.loads(each) for each in cloud.messages("wake")] == [{"connection": "invoices", "delivery": key}]


@pytest.mark.rule("security: have rejected deliveries applied later")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_that_no_active_secret_proves_is_not_applied(cloud: Cloud, scheme: str) -> None:
    """A retired, missing or empty secret proves nothing."""
    key = kept(cloud, scheme)
    assert not replayed(cloud, key, scheme, "another", "")
    assert not replayed(cloud, key, scheme)
    assert cloud.messages("wake") == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rejected_delivery_is_applied_once_its_secret_is_set(cloud: Cloud, scheme: str) -> None:
    """A delivery that came before its secret was known here is proven later."""
    key = kept(cloud, scheme, secrets=[])
    evidence = cloud.app.evidence.find(key)
    assert evidence is not None
    assert (evidence.verdict, evidence.cause, evidence.whole) == ("refused", "no secret", True)
    for _ in range(2):
        assert replayed(cloud, key, scheme, active(scheme))
    messages = [json.loads(each) for each in cloud.messages("wake")]
    assert len({each["delivery"] for each in messages}) == 1
    adopted = cloud.app.evidence.read(messages[0]["delivery"])
    assert messages[0]["delivery"].startswith("webhooks/invoices/")
    assert (adopted.verdict, adopted.body, adopted.received_at) == ("accepted", BODY, evidence.received_at)
    assert replayed(cloud, messages[0]["delivery"], scheme, active(scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_changed_bytes_are_not_proven(cloud: Cloud, scheme: str) -> None:
    """Evidence that was changed in the bucket proves nothing, under any scheme."""
    key = kept(cloud, scheme)
    data = json.loads(cloud.app.objects.read(key) or b"")  # an accepted one; refused ones are no better
    cloud.put(key, json.dumps({**data, "body_base64": base64.b64encode(b"other").decode()}).encode())
    assert not replayed(cloud, key, scheme, active(scheme))


@pytest.mark.parametrize(("scheme", "header"), [("shared-secret", "x-token"), ("path-token", KEPT_TOKEN)])
def test_a_plain_text_secret_is_stored_as_an_hmac(cloud: Cloud, scheme: str, header: str) -> None:
    """The evidence has no secret, and something that only the secret fits."""
    key = kept(cloud, scheme)
    evidence = cloud.app.evidence.find(key)
    assert evidence is not None
    assert SECRET not in (cloud.app.objects.read(key) or b"").decode()
    text = f"Bearer {SECRET}" if scheme == "shared-secret" else SECRET
    assert evidence.headers[header] == proof(text, BODY)
    assert evidence.headers[header] == f"hidden; hmac-sha256={digest(BODY, text.encode()).hex()}"


@pytest.mark.rule("security: have rejected deliveries applied later")
def test_a_cut_delivery_is_not_proven(cloud: Cloud) -> None:
    """Too little of a large rejected delivery is stored to verify it."""
    body = b"x" * 100_000
    key = cloud.app.evidence.refuse("invoices", "no secret", body, {"x-sign": f"sha256={digest(body).hex()}"})
    assert key
    assert not replayed(cloud, key, "hmac-sha256-hex", SECRET)


def test_deliveries_that_a_new_secret_proves_are_found_once(cloud: Cloud) -> None:
    """The vendor's five tries of one delivery are one; forged ones, and those that came through since, are none."""
    store, headers = cloud.app.evidence, {"x-sign": f"sha256={digest(BODY).hex()}"}
    for _ in range(5):
        store.refuse("invoices", "no secret", BODY, headers)
    store.refuse("invoices", "wrong secret", b"forged", headers)
    webhook = WebhookSettings(scheme="hmac-sha256-hex", **SCHEMES["hmac-sha256-hex"][0])
    found = list(provable("invoices", store=store, webhook=webhook, secrets=["another", SECRET]))
    assert [each.evidence.body for each in found] == [BODY]
    assert list(provable("invoices", store=store, webhook=webhook, secrets=["another"])) == []
    claim = store.claim("invoices", found[0].digest)
    store.finish(claim)
    assert list(provable("invoices", store=store, webhook=webhook, secrets=[SECRET])) == []


@pytest.mark.rule("security: have rejected deliveries applied later")
def test_a_delivery_in_another_charset_is_proven_later(cloud: Cloud) -> None:
    """The gateway passed it on as text, which was stored as UTF-8: the signed bytes are found again."""
    text = '{"document_id": "M\u00fcller"}'
    signed = text.encode("latin-1")
    headers = {"x-sign": f"sha256={digest(signed).hex()}", "content-type": "application/json; charset=ISO-8859-1"}
    key = cloud.app.evidence.refuse("invoices", "no secret", text.encode(), headers)
    assert key
    assert not replayed(cloud, key, "hmac-sha256-hex", "another")
    assert replayed(cloud, key, "hmac-sha256-hex", SECRET)
    [message] = [json.loads(each) for each in cloud.messages("wake")]
    assert cloud.app.evidence.read(message["delivery"]).body == text.encode()
    assert replayed(cloud, message["delivery"], "hmac-sha256-hex", SECRET)


def test_a_compressed_delivery_is_proven_from_its_stored_form(cloud: Cloud) -> None:
    """It was signed before its compression, is stored compressed, and is read uncompressed."""
    headers = {"x-sign": f"sha256={digest(BODY).hex()}", "content-encoding": "gzip"}
    key = cloud.app.evidence.keep("invoices", "accepted", gzip.compress(BODY), headers)
    assert cloud.app.evidence.read(key).content == BODY
    assert replayed(cloud, key, "hmac-sha256-hex", SECRET)
