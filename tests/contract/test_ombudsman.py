"""What of the Ombudsman API the recorded exchanges cannot say: the AI's markdown, dates, settings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from dossier.errors import ConfigurationError, InvalidCaseError, NotReadyError, VendorRejectedError
from dossier.models import now
from dossier.ports import CaseView, Intent, Vendor
from dossier.settings import Connection
from dossier.vendors.ombudsman import CONNECTION, VENDOR
from dossier.vendors.ombudsman.answers import day, score
from dossier.vendors.ombudsman.markdown import read_bullets, read_fields
from tests.flows import EVENTS, document, drive, recorded, reply

CONFIGURED = CONNECTION(name="disputes", base_url="https://partner.example.com", tenant="t")
CASE = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(document(document_id="d-1"),))


def test_is_a_vendor() -> None:
    """The adapter has every part of the port, and both phases."""
    vendor: Vendor = VENDOR
    assert vendor.phases == ("documents", "results")
    assert (vendor.opens_case, vendor.accepts_references, vendor.bulk_poll) == (True, False, False)


def test_settings_by_default() -> None:
    """Nothing sends deliveries, failed documents do not stop a case, and an unknown outcome is asked about."""
    assert CONFIGURED.webhook is None
    assert (CONFIGURED.on_failed_document, CONFIGURED.on_unknown_outcome) == ("proceed", "ask")
    assert CONFIGURED.case_type_id is None


@pytest.mark.parametrize("wrong", [{"tenant": ""}, {"on_failed_document": "skip"}, {"on_unknown_outcome": "guess"}])
def test_settings_that_are_wrong(wrong: dict[str, str]) -> None:
    """A tenant is needed, and the choices are those that there are."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CONNECTION.model_validate(CONFIGURED.model_dump() | wrong)


def test_another_vendors_connection_is_refused() -> None:
    """The adapter works with its own settings only."""
    other = Connection(name="other", vendor="x", base_url="https://x.example.com")
    with pytest.raises(ConfigurationError, match="not an Ombudsman connection"):
        VENDOR.headers(other, "key")


def test_uploads_one_by_one() -> None:
    """Evidence has no names: only one upload at a time can be looked up."""
    assert VENDOR.uploads_at_once(CASE) == 1


def test_a_case_has_to_be_open_before_it_is_used() -> None:
    """Without the vendor's id there is nothing to upload to."""
    with pytest.raises(InvalidCaseError, match="no case_id yet"):
        drive(VENDOR.upload(CaseView(CONFIGURED, "R-1", documents=(document(),)), [0]))


# --- what the AI writes ----------------------------------------------------------------------------------------------


def test_creates_a_case_as_the_guide_does() -> None:
    """The guide's request, from its values as reference, settings and option."""
    wanted = recorded("ombudsman", "create-request").json()
    settings = {"tenant": wanted["ombudsman"], "case_type_id": wanted["case_type_id"]}
    case = CaseView(CONFIGURED.model_copy(update=settings), wanted["external_case_id"])
    case = replace(case, options={"case_title": wanted["case_title"]})
    assert drive(VENDOR.open(case), [recorded("ombudsman", "case-created")]).request.json == wanted


def test_reads_the_guides_chronology() -> None:
    """Four events in the guide's order, each with its day and its document."""
    entries = recorded("ombudsman", "chronology").json()["chronology"]
    result = VENDOR.read_result(CASE, {"case": recorded("ombudsman", "chronology").body})
    assert [each.title for each in result.timeline] == [each["title"] for each in entries]
    assert [each.date for each in result.timeline] == ["2024-04-03", "2025-04-07", "2025-05-09", "2025-05-18"]
    assert [each.documents for each in result.timeline] == [[each["documents"][0]["document_id"]] for each in entries]


def test_reads_the_guides_scores() -> None:
    """Three documents with their scores, insights and descriptions, whether or not Dossier sent them."""
    own = recorded("ombudsman", "evidence-scores")
    result = VENDOR.read_result(replace(CASE, documents=()), {"case": own.body})
    assert [(each.scores.claimant, each.scores.defendant) for each in result.documents] == [(2, 9), (7, 2), (4, 7)]
    assert [len(each.insights) for each in result.documents] == [5, 3, 3]
    assert [each.description for each in result.documents] == [
        each["short_description"] for each in own.json()["evidence"]
    ]


def test_reads_the_guides_fields() -> None:
    """The guide's list gives seven fields, three of them not found, and no value is changed."""
    text = json.loads((EVENTS / "ombudsman" / "case-specific-fields.json").read_bytes())["case_specific_fields"]
    fields = read_fields(text)
    assert {each.name: each.value for each in fields} == {
        "Claimant": "Jack Grainger",
        "Respondent": "Sonicwave Broadband Ltd",
        "ABTA Case Reference": None,
        "Internal Case Reference": "CW-2025-038",
        "Total Holiday Cost": None,
        "Amount Claimed": "£142.00",
        "Pre-Arbitration Offer": None,
    }
    assert fields[-1].key == "pre_arbitration_offer"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("- Time: 10:30: sharp", [("time", "Time", "10:30: sharp")]),
        ("- URL:http://x", []),
        ("- Offer: NOT FOUND\n", [("offer", "Offer", None)]),
        ("- Offer: Not found in time", [("offer", "Offer", "Not found in time")]),
        ("- Offer:", [("offer", "Offer", None)]),
        (
            "- Losses:\n  - Flight: £10\n  - Hotel: £20\n- Total: £30",
            [("losses", "Losses", "- Flight: £10\n- Hotel: £20"), ("total", "Total", "£30")],
        ),
        (
            "- Address: 1 High Street\n  London\n\n- Total: 3",
            [("address", "Address", "1 High Street\nLondon"), ("total", "Total", "3")],
        ),
        (
            "# Fields\n\n* **Claimant**: Ann\n• **Amount:** £5",
            [("claimant", "Claimant", "Ann"), ("amount", "Amount", "£5")],
        ),
        ("- no label here\n  more of it\n- Total: 3", [("total", "Total", "3")]),
        ("- Total: 1\n- Total: 2", [("total", "Total", "1"), ("total_2", "Total", "2")]),
        ("- Größe №7: 3\r\n- Ort: Köln", [("größe_7", "Größe №7", "3"), ("ort", "Ort", "Köln")]),
        ("- !!!: 1", [("field", "!!!", "1")]),
        ("- : 1", []),
        ("no list at all", []),
        ("  - Ort: Köln\n  - Tag: 3", [("ort", "Ort", "Köln"), ("tag", "Tag", "3")]),
        ("- Note: **bold**: yes", [("note", "Note", "**bold**: yes")]),
        ("", []),
    ],
)
def test_reads_fields_of_many_forms(text: str, fields: list[tuple[str, str, str | None]]) -> None:
    """A line is split at its first ``: ``; odd lines neither break the list nor lose its other fields."""
    assert [(each.key, each.name, each.value) for each in read_fields(text)] == fields


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("- one\n- two: 2", ["one", "two: 2"]),
        ("lead\n* one\n  more", ["lead", "one\nmore"]),
        ("a sentence", ["a sentence"]),
        ("- a\n  - b", ["a\n- b"]),
        ("\n \n", []),
    ],
)
def test_reads_insights(text: str, points: list[str]) -> None:
    """Each bullet is a point; what is below it belongs to it; text without bullets is one point."""
    assert read_bullets(text) == points


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2025-07-15T00:00:00.000Z", "2025-07-15"),
        ("2025-07-15T00:00:00Z", "2025-07-15"),
        ("2025-07-15T00:00:00+00:00", "2025-07-15"),
        ("2025-07-15T00:00:00+02:00", "2025-07-15T00:00:00+02:00"),
        ("2025-07-15T09:30:00.000Z", "2025-07-15T09:30:00.000Z"),
        ("2025-07-15", "2025-07-15"),
        ("July 2025", "July 2025"),
        (None, None),
        ("", None),
        (20250715, None),
    ],
)
def test_midnight_in_utc_is_a_date(said: Any, read: str | None) -> None:
    """The vendor writes dates as midnight UTC; anything else stays as it is."""
    assert day(said) == read


@pytest.mark.parametrize(("given", "read"), [(0, 0.0), (10, 10.0), (7.5, 7.5), (None, None), (11, None), (True, None)])
def test_scores_are_between_0_and_10(given: Any, read: float | None) -> None:
    """A score is a number from 0 to 10, or there is none; 0 is a score."""
    assert score(given) == read


def test_insights_may_be_a_list() -> None:
    """Insights that come as a list are taken as they are."""
    body = {"document_id": "d-1", "case_insights": ["one", None, "two"]}
    result = VENDOR.read_result(CASE, {"evidence-d-1": json.dumps(body).encode()})
    assert result.documents[0].insights == ["one", "two"]


def test_a_document_that_the_vendor_never_took_is_in_the_result() -> None:
    """A document without an id has its stored error in the result, after those that have one."""
    lost = document("b.pdf", index=1, failed=True, error="refused")
    case = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(lost, *CASE.documents))
    result = VENDOR.read_result(case, {"case": b'{"status": "processed"}'})
    assert [(each.name, each.error) for each in result.documents] == [("invoice.pdf", None), ("b.pdf", "refused")]
    assert result.status == "completed_with_failures"


# --- process ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"statusCode": 400, "message": ["Cannot process case: documents are still being processed"]},
        {
            "statusCode": 400,
            "message": "cannot process case: Documents Are Still Being Processed",
            "error": "Bad Request",
        },
    ],
)
def test_not_ready_is_told_by_the_message(body: Any) -> None:
    """The 400 that is worth retrying is told from others by its text, be it a string or a list."""
    with pytest.raises(NotReadyError):
        drive(VENDOR.process(CASE), [recorded("ombudsman", "case-created"), reply(body, status=400)])


def test_other_refusals_are_not_retried() -> None:
    """A 400 about anything else fails the case."""
    look = recorded("ombudsman", "case-created")
    refused = reply({"statusCode": 400, "message": "Cannot process case: no documents"}, status=400)
    with pytest.raises(VendorRejectedError, match="no documents"):
        drive(VENDOR.process(CASE), [look, refused, look])


def test_a_trigger_that_came_late_is_no_refusal() -> None:
    """A trigger whose answer was lost may be performed after the look, and just before the next trigger."""
    refused = reply({"statusCode": 400, "message": "Cannot process case: case is processing"}, status=400)
    begun = reply({"case_id": "c-1", "status": "processing"})
    assert drive(VENDOR.process(CASE), [recorded("ombudsman", "case-created"), refused, begun]).value is None


def test_evidence_of_null_is_none() -> None:
    """A case whose evidence is null has none, so a lost upload took no effect."""
    empty = reply({"case_id": "c-1", "status": "created", "evidence": None})
    intent = Intent(at=now())
    case = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(document(),))
    assert drive(VENDOR.find_uploaded(case, [0], intent), [empty]).value is None
