"""The sandbox sends webhooks at the right time, signed in each vendor's way, and repeats rejected ones."""

import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.sandbox.sandboxes import ACCOUNTS, LiveSandbox, Receiver, until

Make = Callable[..., Receiver]


def _register(sandbox: LiveSandbox, vendor: str, receiver: Receiver) -> None:
    answer = sandbox.plain.post("/_sandbox/webhooks", json={"vendor": vendor, "url": receiver.url})
    assert answer.status_code == 201


def _bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in receiver.deliveries]


def _quiet(sandbox: LiveSandbox) -> bool:
    return bool(sandbox.plain.get("/_sandbox/health").json()["webhooks_waiting"] == 0)


def test_docustack_signs_its_events(sandbox: LiveSandbox, receiver: Make) -> None:
    """A completed document brings document_completed and job_completed, each signed over its raw body."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    ids = sandbox.docustack_upload().json()
    until(lambda: len(hook.deliveries) == 2)
    for headers, body in hook.deliveries:
        secret = ACCOUNTS.docustack.webhook_secret.encode()
        assert headers["x-docustack-signature"] == hmac.new(secret, body, hashlib.sha256).hexdigest()
    events = {each["event"]: each for each in _bodies(hook)}
    completed = events["document_completed"]
    assert completed.pop("processed_at").endswith("Z")
    assert completed == {
        "event": "document_completed",
        **ids,
        "organization_id": "org_abc123",
        "schema_id": "sch_xyz789",
    }
    job = events["job_completed"]
    assert (job["job_id"], job["document_count"], job["failed_count"]) == (ids["job_id"], 1, 0)


def test_docustack_announces_a_failed_job(sandbox: LiveSandbox, receiver: Make) -> None:
    """A job with only failed documents brings job_failed, which names no document."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    sandbox.docustack_upload("unreadable.pdf")
    until(lambda: hook.deliveries)
    (event,) = _bodies(hook)
    assert (event["event"], event["document_count"], event["failed_count"]) == ("job_failed", 1, 1)
    assert "document_id" not in event


def test_a_batch_counts_its_failures(sandbox: LiveSandbox, receiver: Make) -> None:
    """job_completed counts the documents that failed, also those whose reference could not be read."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    refs = [{"ref": f"{hook.url}/{name}"} for name in ("invoice.pdf", "missing.pdf")]
    body = {"schema_id": "sch_xyz789", "organization_id": "org_abc123", "documents": refs}
    sandbox.docustack.post("/api/v1/documents/batch", json=body)
    until(lambda: len(hook.deliveries) == 2)
    job = next(each for each in _bodies(hook) if each["event"] == "job_completed")
    assert (job["document_count"], job["processed_count"], job["failed_count"]) == (2, 1, 1)


@pytest.mark.rule("docustack webhooks after a non-2xx DocuStack tries again")
def test_docustack_retries_until_it_gives_up(sandbox: LiveSandbox, receiver: Make) -> None:
    """A rejected delivery is repeated, unchanged, after each of the delays, and then given up."""
    assert sandbox.plain.get("/_sandbox/settings").json()["retry_seconds"] == [1, 5, 30, 300, 1800]
    hook = receiver(500, 404, 302, 500)
    _register(sandbox, "docustack", hook)
    sandbox.set(retry_seconds=[0.02, 0.02, 0.02])
    sandbox.docustack_upload("unreadable.pdf")
    until(lambda: len(hook.deliveries) == 4 and _quiet(sandbox))
    assert len({body for _, body in hook.deliveries}) == 1
    assert [each["attempt"] for each in sandbox.effects("webhook_refused")] == [1, 2, 3, 4]


def test_docsumo_sends_its_token(sandbox: LiveSandbox, receiver: Make) -> None:
    """The end of a Docsumo workflow brings the case with its documents, and the token, and is sent but once."""
    hook = receiver(500)
    _register(sandbox, "docsumo", hook)
    sandbox.set(seconds=0.1)
    case_id = sandbox.docsumo_upload("a.pdf", "unreadable.pdf").json()["data"]["case_id"]
    until(lambda: hook.deliveries and _quiet(sandbox))
    ((headers, _),), (event,) = hook.deliveries, _bodies(hook)
    assert headers["x-webhook-token"] == ACCOUNTS.docsumo.webhook_secret
    assert (event["case_id"], event["status"], event["stage_id"]) == (case_id, "processed", "stage__review")
    assert [each["status"] for each in event["documents"]] == ["processed", "erred"]


@pytest.mark.parametrize("form", ["packed", "packed_after_signing", "latin_1", "signed_twice", "capital_letters"])
def test_the_setting_selects_the_form_of_deliveries(sandbox: LiveSandbox, receiver: Make, form: str) -> None:
    """``webhook_form`` selects compression, charset or signature of a delivery."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    sandbox.set(webhook_form=form, webhook_shape="multipart" if form == "packed" else "plain")
    sandbox.docustack_upload("unreadable.pdf")
    until(lambda: hook.deliveries)
    headers, body = hook.deliveries[0]
    plain = gzip.decompress(body) if form.startswith("packed") else body
    signed = plain if form == "packed_after_signing" else body
    proof = hmac.new(ACCOUNTS.docustack.webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
    given = {"signed_twice": f"{proof},{proof}", "capital_letters": proof.upper()}.get(form, proof)
    assert headers["x-docustack-signature"] == given
    assert ("content-encoding" in headers) is form.startswith("packed")
    assert ("Zo\u00eb".encode("latin-1") in body) is (form == "latin_1")
    assert headers["content-type"].startswith("multipart/form-data") is (form == "packed")


@pytest.mark.rule("docsumo 3 a person's move and the end of the workflow each cause a delivery")
def test_an_operators_move_is_announced(sandbox: LiveSandbox, receiver: Make) -> None:
    """An operator's move fires the webhook and adds a fresh file; the API's own PATCH does neither."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    until(lambda: _quiet(sandbox))
    hook = receiver()
    _register(sandbox, "docsumo", hook)
    sandbox.docsumo.patch(f"/api/v1/external/agents/casetype__d1t5b/case/{case_id}", json={"case_name": "x"})
    sandbox.plain.post(f"/_sandbox/docsumo/cases/{case_id}/stage", json={"stage_id": "stage__approved"})
    until(lambda: hook.deliveries and _quiet(sandbox))
    assert [(each["event"], each["stage_id"]) for each in _bodies(hook)] == [("case_stage_changed", "stage__approved")]
    files = sandbox.docsumo.get(f"/api/v1/chatot/cases/{case_id}/files?q=approved").json()
    assert [each["filename"] for each in files] == ["stage__approved.pdf"]
    wrong = sandbox.plain.post(f"/_sandbox/docsumo/cases/{case_id}/stage", json={"stage_id": "nowhere"})
    assert wrong.status_code == 400


def test_webhooks_can_be_off(sandbox: LiveSandbox, receiver: Make) -> None:
    """With webhooks off, or without a URL, nothing is sent."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    sandbox.set(webhooks=False)
    sandbox.docustack_upload()
    until(lambda: _quiet(sandbox))
    sandbox.set(webhooks=True)
    assert sandbox.plain.delete("/_sandbox/webhooks?vendor=docustack").status_code == 204
    sandbox.docustack_upload()
    until(lambda: _quiet(sandbox))
    assert not hook.deliveries


@pytest.mark.parametrize(
    "body", [{"vendor": "ombudsman", "url": "http://127.0.0.1/"}, {"vendor": "docsumo", "url": "x"}]
)
def test_rejects_impossible_webhooks(sandbox: LiveSandbox, body: dict[str, str]) -> None:
    """The Ombudsman has no webhooks, and a webhook needs a URL."""
    assert sandbox.plain.post("/_sandbox/webhooks", json=body).status_code == 400


def test_lost_and_doubled_deliveries(sandbox: LiveSandbox, receiver: Make) -> None:
    """webhook_lost does not send an event, webhook_doubled sends it twice; the journal records it."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    sandbox.set(
        faults=[
            {"name": "webhook_lost", "rate": 1, "operation": "job_finished"},
            {"name": "webhook_doubled", "rate": 1, "operation": "document_completed"},
        ]
    )
    sandbox.docustack_upload()
    until(lambda: len(hook.deliveries) == 2 and _quiet(sandbox))
    assert [each["event"] for each in _bodies(hook)] == ["document_completed"] * 2
    assert [each["event"] for each in sandbox.effects("webhook_lost")] == ["job_finished"]


def test_reordered_deliveries(sandbox: LiveSandbox, receiver: Make) -> None:
    """webhook_reordered delivers an event after later ones."""
    hook = receiver()
    _register(sandbox, "docustack", hook)
    rule = {"rate": 1, "operation": "document_completed", "seconds": 0.2}
    sandbox.set(faults={"webhook_reordered": rule})
    sandbox.docustack_upload()
    until(lambda: len(hook.deliveries) == 2)
    assert [each["event"] for each in _bodies(hook)] == ["job_completed", "document_completed"]
    until(lambda: [each["held"] for each in sandbox.effects("webhook_delivered")] == [False, True])


@pytest.mark.parametrize("vendor", ["docustack", "docsumo"])
def test_forged_deliveries(sandbox: LiveSandbox, receiver: Make, vendor: str) -> None:
    """webhook_forged claims, validly proven, that something unfinished is finished."""
    hook = receiver()
    _register(sandbox, vendor, hook)
    sandbox.set(seconds=10, faults={"webhook_forged": 1})
    began = time.monotonic()
    upload = sandbox.docsumo_upload if vendor == "docsumo" else sandbox.docustack_upload
    assert upload().status_code == 200
    until(lambda: hook.deliveries)
    assert time.monotonic() - began < 9
    event = _bodies(hook)[0]
    assert event.get("status", "processed") == "processed"
    until(lambda: sandbox.effects("webhook_delivered"))
    assert sandbox.effects("webhook_delivered")[0]["forged"]
