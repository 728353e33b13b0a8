"""What the guides leave open, in each of its shapes: the result of a case is the same, or says what is not known."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from dossier import vendors
from dossier.errors import VendorRejectedError
from dossier.vendors.docsumo import flows
from dossier.vendors.docsumo.settings import Fields
from local.sandbox import shapes
from local.sandbox.shapes import ArrayShape, ConfidenceShape, MarkdownShape, WebhookShape
from tests.conftest import Cloud
from tests.machine import World, samples

FILES = {"invoices": "invoice.pdf", "claims": "receipt.png", "disputes": "complaint.docx"}


def _values(result: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in result["fields"]}


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


@pytest.mark.parametrize("shape", get_args(ConfidenceShape))
def test_each_form_of_a_confidence_is_read_or_wants_review(cloud: Cloud, shape: str) -> None:
    """Shares and percent are the same confidence; a word is none, and whoever set a threshold is to look."""
    world = World(cloud, confidence_shape=shape)
    settings = {"review_below": 0.1, "review_missing": True}
    world.connections["invoices"] = world.connections["invoices"].model_copy(update=settings)
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    given = [each["confidence"] for each in result["fields"]]
    if shape in {"words", "missing"}:
        assert set(given) == {None}
        assert result["review"]
    else:
        assert all(0.5 < each <= 1 for each in given)
        assert not result["review"]


@pytest.mark.parametrize("setting", get_args(ArrayShape))
@pytest.mark.parametrize("shape", get_args(ArrayShape))
def test_a_list_in_a_query_goes_as_the_setting_says(cloud: Cloud, setting: str, shape: str) -> None:
    """A vendor that takes lists in one way finds cases of both stages when the connection says so, and only then."""
    world = World(cloud, array_shape=shape)
    made = [world.submit("claims", f"R-{number}", samples("receipt.png"))["case_id"] for number in range(2)]
    connection: Any = world.connection("claims").model_copy(update={"array_parameters": setting})
    flow = flows.list_page(connection, stage_id=["stage__intake", "stage__review"])
    try:
        found = world.transport.run(flow, vendor=vendors.vendor("docsumo"), connection=connection).entries
    except VendorRejectedError:
        found = ()
    assert ([each.case_id for each in found] == made) is (setting == shape)


@pytest.mark.parametrize("connection", FILES)
@pytest.mark.parametrize("shape", get_args(WebhookShape))
def test_each_form_of_a_delivery_is_understood(connection: str, shape: str) -> None:
    """Whatever a delivery looks like, its vendor's folder finds the id in it; what names nothing is not understood."""
    vendor = vendors.vendor({"invoices": "docustack", "claims": "docsumo", "disputes": "ombudsman"}[connection])
    kind = "document" if connection == "invoices" else "case"
    body = shapes.delivery({"event": "it changed", f"{kind}_id": "x__1"}, shape)  # type: ignore[arg-type]
    hint = vendor.read_hint(body.encode())
    if shape == "unknown":
        assert hint is None
    else:
        assert hint is not None
        assert (*hint.case_ids, *hint.document_ids) == ("x__1",)
    assert shapes.content_type(body) == ("application/x-www-form-urlencoded" if shape == "form" else "application/json")


def test_values_in_a_workflows_file_are_fields(cloud: Cloud) -> None:
    """A connection says where they are; each keeps its text, has its type, and with a confidence may want review."""
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
