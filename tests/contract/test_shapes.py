"""What the guides leave open, in each shape that the sandbox has: every vendor's folder reads it.

The result of a case is the same in each, or names the unknown values; a delivery is understood in each, and its bytes
are proven by each vendor's own scheme.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from dossier import vendors
from dossier.bodies import content
from dossier.errors import VendorRejectedError
from dossier.models import CaseId
from dossier.settings import Webhook as Settings
from dossier.steps.webhook import Webhook
from dossier.stores.evidence import Claim
from dossier.vendors.docsumo import flows
from dossier.vendors.docsumo.settings import Fields
from local.sandbox import shapes
from local.sandbox.shapes import ArrayShape, ConfidenceShape, MarkdownShape, WebhookForm, WebhookShape
from tests.conftest import Cloud
from tests.contract.connections import adapter
from tests.contract.suite import load
from tests.machine import World, samples

FILES = {"invoices": "invoice.pdf", "claims": "receipt.png"}


def _values(result: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in result["fields"]}


@pytest.mark.rule("ombudsman response fields case_specific_fields", case="bullets")
@pytest.mark.rule("ombudsman response fields case_specific_fields", case="table")
@pytest.mark.rule("ombudsman response fields case_specific_fields", case="bold_lines")
@pytest.mark.rule("ombudsman response fields case_specific_fields", case="plain_lines")
@pytest.mark.rule("ombudsman response fields case_specific_fields", case="fenced")
@pytest.mark.rule("ombudsman response fields case_specific_fields", case="json")
@pytest.mark.parametrize("shape", get_args(MarkdownShape))
def test_each_way_to_write_fields_gives_the_same(cloud: Cloud, shape: str) -> None:
    """Lists of every kind, tables, emphasis, headings: the guide's seven fields, three of them not found."""
    result = World(cloud, markdown_shape=shape).submit("disputes", "R-1", samples("complaint.docx"))
    values = _values(result)
    assert len(values) == 7
    assert [name for name, value in values.items() if value is None] == [
        "ABTA Case Reference",
        "Total Holiday Cost",
        "Pre-Arbitration Offer",
    ]
    assert not any("*" in (value or "") for value in values.values())
    amount = next(each for each in result["fields"] if each["name"] == "Amount Claimed")
    assert (amount["type"], amount["typed"]["symbol"]) == ("currency", "£")
    assert result["warnings"] == []


@pytest.mark.rule("docustack document and field values confidence", case="percent_text")
@pytest.mark.rule("docustack document and field values confidence", case="comma")
@pytest.mark.rule("docustack document and field values confidence", case="words")
@pytest.mark.rule("docustack document and field values confidence", case="negative")
@pytest.mark.rule("docustack document and field values confidence", case="missing")
@pytest.mark.parametrize("shape", get_args(ConfidenceShape))
def test_each_form_of_a_confidence_is_read_or_needs_review(cloud: Cloud, shape: str) -> None:
    """Shares and percentages are the same confidence; a word is none, and with a threshold it needs review."""
    world = World(cloud, confidence_shape=shape)
    settings = {"review_below": 0.1, "review_missing": True}
    world.connections["invoices"] = world.connections["invoices"].model_copy(update=settings)
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    given = [each["confidence"] for each in result["fields"]]
    if shape in {"words", "negative", "beyond", "missing"}:
        assert set(given) == {None}
        assert result["review"]
    else:
        assert all(0.5 < each <= 1 for each in given)
        assert not result["review"]


@pytest.mark.rule("docsumo 1.B stage_id", case="comma-comma")
@pytest.mark.rule("docsumo 1.B stage_id", case="brackets-repeat")
@pytest.mark.parametrize("setting", get_args(ArrayShape))
@pytest.mark.parametrize("shape", get_args(ArrayShape))
def test_the_setting_decides_the_form_of_a_list_in_a_query(cloud: Cloud, setting: str, shape: str) -> None:
    """A vendor that accepts one form of lists finds cases of both stages only with the right setting."""
    world = World(cloud, array_shape=shape)
    made = [world.submit("claims", f"R-{number}", samples("receipt.png"))["case_id"] for number in range(2)]
    connection: Any = world.connection("claims").model_copy(update={"array_parameters": setting})
    flow = flows.list_page(connection, stage_id=["stage__intake", "stage__review"])
    try:
        found = world.transport.run(flow, vendor=vendors.vendor(connection)).entries
    except VendorRejectedError:
        found = ()
    assert ([each.case_id for each in found] == made) is (setting == shape)


SECRET = "whs-0123456789abcdef"
RELAYED = Settings(scheme="hmac-sha256-hex", header="X-Signature")
"""How a relay signs for a vendor that sends no deliveries."""


def _delivered(vendor: str, shape: str, *, id_: str) -> str:
    """Return a delivery about a case, or a document where the vendor has no cases, in a shape of the sandbox."""
    kind = "case" if "results" in vendors.adapter(vendor).phases else "document"
    body: dict[str, Any] = {"event": f"{kind}_changed", f"{kind}_id": id_}
    if kind == "case":
        body["documents"] = [{"doc_id": "doc__1"}]
    return shapes.delivery(body, shape)  # type: ignore[arg-type]


@pytest.mark.rule("docsumo notes, deliveries every usual form of an id", case="number-docsumo")
@pytest.mark.rule("docsumo notes, deliveries every usual form of an id", case="documents-docsumo")
@pytest.mark.rule("docsumo notes, deliveries every usual form of an id", case="multipart-docsumo")
@pytest.mark.rule("docustack webhooks every usual form of an id", case="number-docustack")
@pytest.mark.rule("docustack webhooks every usual form of an id", case="documents-docustack")
@pytest.mark.rule("docustack webhooks every usual form of an id", case="multipart-docustack")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="number-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="documents-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="multipart-ombudsman")
@pytest.mark.parametrize("vendor", vendors.names())
@pytest.mark.parametrize("shape", get_args(WebhookShape))
def test_each_form_of_a_payload_is_understood(vendor: str, shape: str) -> None:
    """Whatever a delivery looks like, its vendor's folder finds the id in it; what names nothing is not understood."""
    id_ = "42" if shape == "number" else "x__1"
    hint = adapter(vendor).read_hint(_delivered(vendor, shape, id_=id_).encode())
    if shape == "unknown":
        assert hint is None
        return
    assert hint is not None
    found = hint.case_ids or hint.document_ids
    assert found == (("doc__1",) if shape == "documents" and vendor != "docustack" else (id_,))


class _Door:
    """Stores and queues proven deliveries, in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, Mapping[str, str]]] = []

    def claim(self, connection: str, digest: str, **_: Any) -> Claim:
        """Take a delivery."""
        return Claim(connection, digest, "key", known=False)

    def keep(self, _connection: str, _verdict: str, body: bytes, headers: Mapping[str, str], **_: Any) -> str:
        """Keep it."""
        self.kept.append((body, headers))
        return "key"

    def finish(self, _claim: Claim, **_: Any) -> None:
        """Note that it is queued."""

    def refuse(self, *_: Any, **__: Any) -> None:
        """Keep nothing of a refused one."""


def _arrived(sent: bytes, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the event that API Gateway makes of a request: headers joined, text as text, all else in base64."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined and key != "content-type" else value
    packed = "content-encoding" in joined or joined["content-type"].startswith("multipart/")
    charset = "latin-1" if "ISO-8859-1" in joined["content-type"] else "utf-8"
    text = base64.b64encode(sent).decode() if packed else sent.decode(charset)
    return {"pathParameters": {"connection": "c"}, "headers": joined, "body": text, "isBase64Encoded": packed}


@pytest.mark.rule("docsumo notes, deliveries compressed", case="plain-packed-docsumo")
@pytest.mark.rule("docsumo notes, deliveries compressed", case="plain-packed_after_signing-docsumo")
@pytest.mark.rule("docsumo notes, deliveries compressed", case="plain-latin_1-docsumo")
@pytest.mark.rule("docsumo notes, deliveries compressed", case="plain-signed_twice-docsumo")
@pytest.mark.rule("docsumo notes, deliveries compressed", case="plain-capital_letters-docsumo")
@pytest.mark.rule("docustack webhooks the raw bytes that were signed", case="plain-packed-docustack")
@pytest.mark.rule("docustack webhooks the raw bytes that were signed", case="plain-packed_after_signing-docustack")
@pytest.mark.rule("docustack webhooks the raw bytes that were signed", case="plain-latin_1-docustack")
@pytest.mark.rule("docustack webhooks the raw bytes that were signed", case="plain-signed_twice-docustack")
@pytest.mark.rule("docustack webhooks the raw bytes that were signed", case="plain-capital_letters-docustack")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="plain-packed-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="plain-packed_after_signing-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="plain-latin_1-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="plain-signed_twice-ombudsman")
@pytest.mark.rule("ombudsman notes a relay's delivery in every usual form", case="plain-capital_letters-ombudsman")
@pytest.mark.parametrize("vendor", vendors.names())
@pytest.mark.parametrize("form", get_args(WebhookForm))
@pytest.mark.parametrize("shape", ["plain", "form", "multipart"])
def test_each_form_of_a_delivery_is_proven_stored_and_understood(vendor: str, form: WebhookForm, shape: str) -> None:
    """Packed, in another charset, signed twice or in capital letters: a vendor's own scheme proves it."""
    rule = load(vendor).connection().webhook or RELAYED

    def proof(signed: bytes) -> dict[str, str]:
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return {str(rule.header): digest if rule.scheme == "hmac-sha256-hex" else SECRET}

    door = _Door()
    webhook = Webhook(
        settings_of=lambda _: rule.model_dump(),
        secrets_of=lambda *_: [SECRET],
        evidence=lambda: door,
        enqueue=lambda _: None,
        names=lambda: ["c"],
    )
    sent, headers = shapes.posted(_delivered(vendor, shape, id_="x__1"), form, proof)
    assert webhook.answer(_arrived(sent, headers)) == (200, "accepted")
    ((body, kept),) = door.kept
    hint = adapter(vendor).read_hint(content(body, kept))
    assert hint is not None
    assert "x__1" in (*hint.case_ids, *hint.document_ids)
    if rule.scheme == "hmac-sha256-hex":
        wrong = [(name, "0" * 64 if name == rule.header else value) for name, value in headers]
        assert webhook.answer(_arrived(sent, wrong))[0] == 401


@pytest.mark.parametrize("connection", ["invoices", "claims"])
def test_ids_of_digits_are_ids(cloud: Cloud, connection: str) -> None:
    """With numeric ids a case completes, and a delivery with a number as id is about it."""
    world = World(cloud, id_shape="number")
    result = world.submit(connection, "R-1", samples(FILES[connection]))
    assert result["status"] == "completed"
    id_ = result["case_id"] or result["documents"][0]["document_id"]
    assert id_.isdigit()
    vendor = {"invoices": "docustack", "claims": "docsumo"}[connection]
    hint = adapter(vendor).read_hint(_delivered(vendor, "number", id_=id_).encode())
    assert hint is not None
    assert (*hint.case_ids, *hint.document_ids)[0] == id_
    assert cloud.app.intents.references(connection, id_) == ("R-1",)


@pytest.mark.rule("docsumo notes, done, and results the API returns no values")
def test_values_in_a_workflows_file_are_fields(cloud: Cloud) -> None:
    """A connection says where they are; each keeps its text, has its type, and with a confidence may need review."""
    world = World(cloud)
    claims: Any = world.connections["claims"]
    given = {"fields": Fields(path="documents[].fields"), "review_below": 0.5}
    world.connections["claims"] = claims.model_copy(update=given)
    result = world.submit("claims", "R-1", samples("receipt.png"))
    values = {each["key"]: each for each in result["fields"]}
    assert set(values) == {"invoice_number", "vendor_name", "total_amount", "due_date"}
    assert values["due_date"]["type"] == "date"
    stored = json.loads(_artifact(cloud, result))
    assert values["total_amount"]["value"] == stored["documents"][0]["fields"]["total_amount"]
    other = claims.model_copy(update={"fields": Fields(path="nowhere", artifact="x*.json")})
    world.connections["claims"] = other
    missing = world.submit("claims", "R-2", samples("invoice.pdf"))
    assert (missing["fields"], missing["warnings"]) == ([], ["fields: no file is called x*.json"])


def _artifact(cloud: Cloud, result: dict[str, Any]) -> bytes:
    key = next(each["key"] for each in result["artifacts"] if each["name"] == "extraction.json")
    return cloud.app.objects.read(key) or b""


NAMES = (
    "claim__001.pdf",
    "claim_001.pdf",
    "Claim_001.pdf",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
    "\u0915\u094d\u200d\u0937.pdf",
    "\U000323b0\U0002ebf0.pdf",
    "\u062a\u0642\u0631\u064a\u0631 (1): a?b.pdf",
    "Ma\u0308rz.pdf",
)
"""Names that a cleaned key has none of, or has twice: blanks of a kind, joiners, rare ideographs, signs."""


@pytest.mark.rule("docsumo notes, uploads result and vendor have the caller's names", case="claims")
@pytest.mark.rule("docustack upload result and vendor have the caller's names", case="invoices")
@pytest.mark.rule("ombudsman step 2 the result has the caller's names", case="disputes")
@pytest.mark.parametrize("connection", ["invoices", "claims", "disputes"])
def test_vendor_and_result_have_the_callers_names(cloud: Cloud, connection: str) -> None:
    """Each document has its caller's own name at the vendor and in the result; only its key is cleaned, and unique."""
    world, body = World(cloud), samples("invoice.pdf")["invoice.pdf"]
    files = {name: body + b"\n%" + str(number).encode() for number, name in enumerate(NAMES)}
    result = world.submit(connection, "R-1", files)
    assert result["status"] == "completed"
    sent = {each["name"]: each["sha256"] for each in world.effects("document_uploaded")}
    assert sent == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert [each["name"] for each in result["documents"]] == [*NAMES]
    keys = [each.key for each in cloud.app.cases.get(CaseId(connection, "R-1")).documents]
    assert len({key.casefold() for key in keys}) == len(NAMES)
