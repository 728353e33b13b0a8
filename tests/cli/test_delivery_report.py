"""``dossier deliveries --report``."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus, now
from dossier.stores.evidence import id_of
from tests.cli.conftest import DOCUMENTS, Dossier


def body_of(document_id: str) -> bytes:
    """Return a delivery of DocuStack's about a document."""
    return json.dumps({"event": "document_completed", "document_id": document_id}).encode()


def signed(body: bytes) -> dict[str, str]:
    """Return the headers of a delivery that is signed with the secret of the tests."""
    return {"x-docustack-signature": hmac.new(b"s1", body, hashlib.sha256).hexdigest()}


def finished(dossier: Dossier, reference: str, document_id: str, **changes: Any) -> datetime:
    """Store a case that was completed an hour ago; return when."""
    at = now() - timedelta(hours=1)
    submitted = dossier("submit", "invoices", DOCUMENTS / "invoice.pdf", "--reference", reference)
    assert submitted.exit_code == 0, submitted.stderr
    [document] = dossier.case("invoices", reference).documents
    sent = document.model_copy(update={"document_id": document_id})
    dossier.cloud.app.cases.put_documents(CaseId("invoices", reference), [sent], fresh=False)
    state = {"status": CaseStatus.COMPLETED, "revision": 1, "completed_at": at, "woken": None}
    dossier.change("invoices", reference, **(state | changes))
    return at


@pytest.fixture
def dossier_with_secret(dossier: Dossier) -> Dossier:
    """A deployment whose DocuStack connection has a webhook secret."""
    dossier.whole = False
    dossier("secrets", "set", "invoices", "--api-key", "k", "--webhook-secret", "s1")
    return dossier


def test_lost_late_repeated_and_rejected_deliveries_are_named(dossier_with_secret: Dossier) -> None:
    """Each with its time and the SHA-256 of its body; no secret, no signature and no body."""
    dossier = dossier_with_secret
    store = dossier.cloud.app.evidence
    finished(dossier, "LOST-1", "doc_lost")
    at = finished(dossier, "LATE-1", "doc_late", woken=now())
    finished(dossier, "CHANGED-1", "doc_changed", woken=now(), revision=2)
    late, changed, early = body_of("doc_late"), body_of("doc_changed"), body_of("doc_other")
    store.keep("invoices", "accepted", late, signed(late), at=at + timedelta(seconds=90))
    store.keep("invoices", "accepted", changed, signed(changed), at=at + timedelta(seconds=95))
    claim = store.claim("invoices", "5d" * 32)
    store.keep("invoices", "accepted", early, signed(early), key=claim.key, digest=claim.digest)
    store.finish(claim)
    store.repeated(claim)
    store.repeated(claim)
    large = b'{"document_id": "doc_forged"}' + b" " * 20_000
    refused = str(store.refuse("invoices", "signature refused", large, {"x-docustack-signature": "00"}))

    shown = dossier.json("deliveries", "--report", "invoices")
    assert {name: shown[name] for name in ("received", "accepted", "refused", "repeated", "late")} == {
        "received": 6, "accepted": 3, "refused": 1, "repeated": 1, "late": 1,
    }  # fmt: skip
    assert [(each["reference"], each["document_ids"]) for each in shown["lost"]] == [("LOST-1", ["doc_lost"])]
    rows = {tuple(each["document_ids"]): each for each in shown["deliveries"]}
    assert rows["doc_late",]["sha256"] == hashlib.sha256(late).hexdigest()
    assert (rows["doc_late",]["late_seconds"], rows["doc_changed",]["late_seconds"]) == (90, None)
    assert rows["doc_other",]["repeats"] == 2
    [rejected] = [each for each in shown["deliveries"] if each["verdict"] == "refused"]
    assert (rejected["id"], rejected["cause"]) == (id_of(refused), "signature refused")
    assert (rejected["sha256"], rejected["size"]) == (hashlib.sha256(large).hexdigest(), len(large))

    text = dossier("deliveries", "--report", "invoices").stdout
    assert "1 completed case without any delivery" in text
    assert " late" in text
    for secret in (signed(late)["x-docustack-signature"], "s1\n"):
        assert secret not in text
        assert secret not in json.dumps(shown)


def test_the_period_begins_where_the_operator_says(dossier_with_secret: Dossier) -> None:
    """Deliveries and cases from before are left out."""
    dossier = dossier_with_secret
    body, old = body_of("doc_1"), body_of("doc_0")
    dossier.cloud.app.evidence.keep("invoices", "accepted", old, signed(old), at=datetime.now(UTC) - timedelta(days=2))
    dossier.cloud.app.evidence.keep("invoices", "accepted", body, signed(body))
    finished(dossier, "OLD-1", "doc_x", completed_at=now() - timedelta(days=2))
    text = dossier.json("deliveries", "--report", "invoices", "--since", "1d")
    assert [each["document_ids"] for each in text["deliveries"]] == [["doc_1"]]
    assert text["lost"] == []
    assert len(dossier.json("deliveries", "--report", "invoices")["deliveries"]) == 2
    assert [each["reference"] for each in dossier.json("deliveries", "--report", "invoices")["lost"]] == ["OLD-1"]


def test_a_delivery_that_may_be_on_its_way_is_not_lost(dossier_with_secret: Dossier) -> None:
    """A case that was completed just now is not counted."""
    finished(dossier_with_secret, "NEW-1", "doc_1", completed_at=now())
    assert dossier_with_secret.json("deliveries", "--report", "invoices")["lost"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--report", "disputes"], "no webhook"),
        (["--report", "nobody"], 'unknown connection "nobody"'),
        (["--report", "invoices", "--connection", "claims"], "leave out --connection"),
    ],
)
def test_unavailable_report_is_one_line(dossier: Dossier, words: list[str], said: str) -> None:
    """Exit code 2, and what to do."""
    result = dossier("deliveries", *words)
    assert (result.exit_code, said in result.stderr) == (2, True)
