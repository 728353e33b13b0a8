"""The Ombudsman API beyond the recorded exchanges: the AI's markdown, dates, settings."""

from __future__ import annotations

import cProfile
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from dossier.errors import (
    InvalidCaseError,
    NeedsAttentionError,
    NotReadyError,
    VendorRejectedError,
)
from dossier.models import now
from dossier.ports import CaseView, Intent, Vendor
from dossier.vendors.ombudsman import CONNECTION
from dossier.vendors.ombudsman.adapter import Ombudsman
from dossier.vendors.ombudsman.answers import day, score
from dossier.vendors.ombudsman.markdown import LONGEST, read, read_bullets, read_fields
from tests.flows import EVENTS, document, drive, recorded, reply

CONFIGURED = CONNECTION(name="disputes", base_url="https://partner.example.com", tenant="t")
VENDOR = Ombudsman(CONFIGURED)
CASE = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(document(document_id="d-1"),))
CREATED = reply({**recorded("ombudsman", "case-created").json(), "case_id": "c-1"})
"""The recorded case, as it answers for ``CASE``."""


@pytest.mark.rule("ombudsman notes both phases")
def test_is_a_vendor() -> None:
    """The adapter has every part of the port, and both phases."""
    vendor: Vendor[Any] = VENDOR
    assert vendor.phases == ("documents", "results")
    assert (vendor.opens_case, vendor.accepts_references, vendor.bulk_poll) == (True, False, False)


@pytest.mark.rule("ombudsman step 1 case_type_id is optional", "ombudsman notes no webhooks")
def test_settings_by_default() -> None:
    """Nothing sends deliveries, failed documents do not stop a case, and an unknown outcome is asked about."""
    assert CONFIGURED.webhook is None
    assert (CONFIGURED.on_failed_document, CONFIGURED.on_unknown_outcome) == ("proceed", "ask")
    assert CONFIGURED.case_type_id is None


@pytest.mark.rule("ombudsman step 1 the tenant is a setting")
@pytest.mark.parametrize("wrong", [{"tenant": ""}, {"on_failed_document": "skip"}, {"on_unknown_outcome": "guess"}])
def test_settings_that_are_wrong(wrong: dict[str, str]) -> None:
    """A tenant is needed, and the choices are those that there are."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CONNECTION.model_validate(CONFIGURED.model_dump() | wrong)


@pytest.mark.rule("ombudsman step 2 one document a request")
def test_uploads_one_by_one() -> None:
    """Evidence has no names: only one upload at a time can be looked up."""
    assert VENDOR.uploads_at_once(CASE) == 1


@pytest.mark.rule("ombudsman step 2 no upload before the case is open")
def test_a_case_has_to_be_open_before_it_is_used() -> None:
    """Without the vendor's id there is nothing to upload to."""
    with pytest.raises(InvalidCaseError, match="no case_id yet"):
        drive(VENDOR.upload(CaseView(CONFIGURED, "R-1", documents=(document(),)), [0]))


# --- the AI's texts --------------------------------------------------------------------------------------------------


@pytest.mark.rule("ombudsman step 1 the guide's request")
def test_creates_a_case_as_the_guide_does() -> None:
    """The guide's request, from its values as reference, settings and option."""
    wanted = recorded("ombudsman", "create-request").json()
    settings = {"tenant": wanted["ombudsman"], "case_type_id": wanted["case_type_id"]}
    case = CaseView(CONFIGURED.model_copy(update=settings), wanted["external_case_id"])
    case = replace(case, options={"case_title": wanted["case_title"]})
    assert drive(VENDOR.open(case), [recorded("ombudsman", "case-created")]).request.json == wanted


@pytest.mark.rule("ombudsman step 1 external_case_id")
@pytest.mark.parametrize("given", ["CW/2025/038", "Fall №7", 42])
def test_a_caller_may_set_any_external_case_id(given: Any) -> None:
    """``external_case_id`` is any string at the vendor (guide, "Request Fields"); the reference stays a safe name."""
    case = replace(CASE, case_id=None, options={"external_case_id": given, "case_initiated_date": "2025-W03-3"})
    VENDOR.validate(case)
    driven = drive(VENDOR.open(case), [recorded("ombudsman", "case-created")])
    assert driven.request.json["external_case_id"] == str(given)
    assert driven.request.json["case_initiated_date"] == "2025-W03-3"
    with pytest.raises(NeedsAttentionError, match=f"external_case_id {given} exists"):
        drive(VENDOR.find_opened(case, Intent(at=now())), [])


@pytest.mark.rule("ombudsman step 1 a case selects one of the connection's case types")
def test_a_case_may_select_its_type() -> None:
    """One of the connection's types by option, else the connection's own."""
    settings = CONFIGURED.model_copy(update={"case_type_id": "t-1", "case_type_ids": ("t-2",)})
    case = CaseView(settings, "R-1", options={"case_type_id": "t-2"}, documents=(document(),))
    vendor = Ombudsman(settings)
    vendor.validate(case)
    assert drive(vendor.open(case), [recorded("ombudsman", "case-created")]).request.json["case_type_id"] == "t-2"


@pytest.mark.rule("ombudsman response fields the guide's chronology with timeline_id and is_ai_generated")
def test_reads_the_guides_chronology() -> None:
    """Four events in the guide's order, each with its day and its document."""
    entries = recorded("ombudsman", "chronology").json()["chronology"]
    result = VENDOR.read_result(CASE, {"case": recorded("ombudsman", "chronology").body})
    assert [each.title for each in result.timeline] == [each["title"] for each in entries]
    assert [each.date for each in result.timeline] == ["2024-04-03", "2025-04-07", "2025-05-09", "2025-05-18"]
    assert [each.documents for each in result.timeline] == [[each["documents"][0]["document_id"]] for each in entries]
    assert [each.timeline_id for each in result.timeline] == [each["timeline_id"] for each in entries]
    assert [each.is_ai_generated for each in result.timeline] == [True] * 4
    assert [each.external_document_ids for each in result.timeline] == [[None]] * 4


@pytest.mark.rule("ombudsman response fields the guide's chronology with timeline_id and is_ai_generated")
def test_external_ids_are_in_the_result() -> None:
    """The result has the caller's own id of a document beside the vendor's, in the document and in the chronology."""
    entry = {"documents": [{"external_document_id": "x"}, {"document_id": "d-1", "external_document_id": "E-1"}]}
    body = {"chronology": [entry], "evidence": [{"document_id": "d-1", "external_document_id": "E-1"}]}
    result = VENDOR.read_result(CASE, {"case": json.dumps(body).encode()})
    assert (result.timeline[0].documents, result.timeline[0].external_document_ids) == (["d-1"], ["E-1"])
    assert result.timeline[0].is_ai_generated is None
    assert result.documents[0].external_document_id == "E-1"


@pytest.mark.rule("ombudsman response fields the guide's evidence with scores")
def test_reads_the_guides_scores() -> None:
    """Three documents with their scores, insights and descriptions, whether or not Dossier sent them."""
    own = recorded("ombudsman", "evidence-scores")
    result = VENDOR.read_result(replace(CASE, documents=()), {"case": own.body})
    assert [(each.scores.claimant, each.scores.defendant) for each in result.documents] == [(2, 9), (7, 2), (4, 7)]
    assert [len(each.insights) for each in result.documents] == [5, 3, 3]
    assert [each.description for each in result.documents] == [
        each["short_description"] for each in own.json()["evidence"]
    ]


@pytest.mark.rule("ombudsman response fields case_specific_fields")
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


@pytest.mark.rule("ombudsman response fields case_specific_fields")
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("- Time: 10:30: sharp", [("time", "Time", "10:30: sharp")]),
        ("- URL:http://x", [("url", "URL", "http://x")]),
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
        ("- A: 1\n - B: 2\n  - C: 3", [("a", "A", "1"), ("b", "B", "2"), ("c", "C", "3")]),
        ("- A:b", [("a", "A", "b")]),
        ("- Time:10:30", [("time", "Time", "10:30")]),
        ("1. A: b\n2. C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("1) A: b", [("a", "A", "b")]),
        ("+ A: b", [("a", "A", "b")]),
        ("\u2013 A: b\n\u2013 C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("\u2022A: b", [("a", "A", "b")]),
        ("| Field | Value |\n|---|---|\n| A | b |\n| C | **\u00a35** |", [("a", "A", "b"), ("c", "C", "\u00a35")]),
        ("| A | C |\n|---|---|\n| b | d |", [("a", "A", "b"), ("c", "C", "d")]),
        ("- \u7533\u8bf7\u4eba\uff1a\u5f20\u4e09", [("\u7533\u8bf7\u4eba", "\u7533\u8bf7\u4eba", "\u5f20\u4e09")]),
        ("- A: Not found.\n- B: N/A\n- C: *Not found*\n- D: (not found)", [(x, x.upper(), None) for x in "abcd"]),
        ("- A: **Jack**\n- B: **Jack** Grainger", [("a", "A", "Jack"), ("b", "B", "Jack Grainger")]),
        ("- A: 5*3*2\n- B: CW_2025_038", [("a", "A", "5*3*2"), ("b", "B", "CW_2025_038")]),
        ("- A: [site](http://b)", [("a", "A", "[site](http://b)")]),
        ("- A: 1\n## Amounts\n- B: 2", [("a", "A", "1"), ("b", "B", "2")]),
        ("- **Parties**\n  - A: b\n- C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("> - A: b\n> - C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("```markdown\n- A: b\n```", [("a", "A", "b")]),
        ("- A: x\n\n  more of it\n- B: y", [("a", "A", "x\nmore of it"), ("b", "B", "y")]),
        ("- Total: 1\n- Total: 2", [("total", "Total", "1"), ("total_2", "Total", "2")]),
        ("- Größe №7: 3\r\n- Ort: Köln", [("größe_7", "Größe №7", "3"), ("ort", "Ort", "Köln")]),
        ("- !!!: 1", [("field", "!!!", "1")]),
        ("- : 1", []),
        ("no list at all", []),
        ("  - Ort: Köln\n  - Tag: 3", [("ort", "Ort", "Köln"), ("tag", "Tag", "3")]),
        ("- Note: **bold**: yes", [("note", "Note", "bold: yes")]),
        ("", []),
        ("**A:** b\n**C**: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("**A:** b\n\n__C:__ d  ", [("a", "A", "b"), ("c", "C", "d")]),
        ("A: b\nC: d\nE: f", [("a", "A", "b"), ("c", "C", "d"), ("e", "E", "f")]),
        ("A: b", []),
        ("- [ ] A: b\n- [x] C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("- A: b<br>c<br/>d", [("a", "A", "b\nc\nd")]),
        ("| Field | Value |\n|---|---|\n| A | b<br>c |", [("a", "A", "b\nc")]),
        ("- A: &pound;5 &amp; more", [("a", "A", "\u00a35 & more")]),
        ("- **A:**\nb\nc\n- D: e", [("a", "A", "b\nc"), ("d", "D", "e")]),
        ("a) A: b\n(b) C: d\n(1) E: f\nii. G: h", [("a", "A", "b"), ("c", "C", "d"), ("e", "E", "f"), ("g", "G", "h")]),
        ("\u2705 A: b\n\u27a4 C: d\n\uf0b7 E: f", [("a", "A", "b"), ("c", "C", "d"), ("e", "E", "f")]),
        ("\u2022 A: b \u2022 C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("-A: b\n\u2013C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("-\u00a0A: b\n\ufeff- C: d\n1.\u00a0E: f", [("a", "A", "b"), ("c", "C", "d"), ("e", "E", "f")]),
        ("- A: b\\n- C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("- A: b\u2028- C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("- A: b\\\n  c", [("a", "A", "b\nc")]),
        ("Here they are:\n\n```markdown\n- A: b\n```", [("a", "A", "b")]),
        ("Here they are:\n\n> - A: b\n> - C: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("- A\ufe55 b\n- C\u2236 d", [("a", "A", "b"), ("c", "C", "d")]),
        ("- A : b\n- C\u00a0: d", [("a", "A", "b"), ("c", "C", "d")]),
        ("|Field|Value|Confidence|\n|---|---|---|\n|A|b|high|", [("a", "A", "b")]),
        ("|#|Field|Value|\n|---|---|---|\n|1|A|b|\n|2|C|d|", [("a", "A", "b"), ("c", "C", "d")]),
        (
            "- A: Not  found\n- B: \u201cNot found\u201d\n- C: Not found!\n- D: Not found in the documents",
            [(x, x.upper(), None) for x in "abcd"],
        ),
        ("- A: None\n- B: Unknown", [("a", "A", "None"), ("b", "B", "Unknown")]),
        ("- A:\n  \u2192 one\n  (a) two", [("a", "A", "\u2192 one\n(a) two")]),
    ],
)
def test_reads_fields_of_many_forms(text: str, fields: list[tuple[str, str, str | None]]) -> None:
    """A line is split at its first ``: ``; odd lines neither break the list nor lose its other fields."""
    assert [(each.key, each.name, each.value) for each in read_fields(text)] == fields


@pytest.mark.rule("ombudsman response fields case_specific_fields")
@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("- A: 1\n\nNote: extracted by AI", ["Note: extracted by AI"]),
        ("- A: 1\nNote: extracted by AI", ["Note: extracted by AI"]),
        ("- A: 1\nextracted by AI\n- B: 2", ["extracted by AI"]),
        ("- Hearing at 10:30\n- A: 1", ["Hearing at 10:30"]),
        ("- http://x.example/y\n- A: 1", ["http://x.example/y"]),
        ("## Total: 5\n- A: 1", ["Total: 5"]),
        ("Total: 5\n---\n- A: 1", ["Total: 5"]),
        ("**A:** 1\nextracted by AI", ["extracted by AI"]),
        ("|Field|Value|Source|\n|-|-|-|\n|A|1|p. 3|", ["the columns Source"]),
        ("|a|b|c|\n|-|-|-|\n|1|2|3|\n|4|5|6|\n\n- A: 1", ["a | b | c 1 | 2 | 3 4 | 5 | 6"]),
        ("- \x1b[31mred\u202e\n- A: 1", ["[31mred"]),
        ("- " + "x" * 500 + "\n- A: 1", ["x" * 199 + "\u2026"]),
    ],
)
def test_text_that_is_not_a_field_is_reported(text: str, unread: list[str]) -> None:
    """A note, a heading's text or a bullet without a label never becomes part of a value, and never vanishes."""
    found = read(text)
    assert {each.name: each.value for each in found.fields} | {"A": "1"} == {
        "A": "1",
        **({"B": "2"} if "- B" in text else {}),
    }
    assert found.warnings == [f'not read as a field: "{each}"' for each in unread]


def test_reports_of_one_text_are_few() -> None:
    """A text of a thousand notes has twenty reports, and one that counts the others."""
    warnings = read("- note\n" * 1000).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "not read as fields: 980 more parts of the text"


def test_a_text_over_the_limit_is_unchanged() -> None:
    """Nobody reads a mebibyte of bullets: it is in the raw answer, and that is reported."""
    found = read("- A: b\n" * (LONGEST // 7 + 1))
    assert (found.fields, len(found.warnings)) == ([], 1)
    assert read_bullets("- a\n" * (LONGEST // 4 + 1))


@pytest.mark.rule(
    "ombudsman response fields case_specific_fields",
    "security: occupy a function with crafted markdown, names or numbers",
)
@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "- a: b\n", "- a\n", "1. a: b\n", "x\n- ", "- a: *_`[\n", "  - a: b\n", "|a|b|\n", "> - a: b\n", "# h\n",
        "```\n", "- - - a\n",
    ],
)  # fmt: skip
def test_reading_is_linear(line: str) -> None:
    """Ten times the text costs about ten times the work, counted in calls: a quadratic reader costs a hundred."""
    few, many = (_calls(lambda count=count: read(line * count)) for count in (400, 4000))
    assert many < 15 * few


@pytest.mark.rule("security: occupy a function with crafted markdown, names or numbers")
def test_a_table_whose_rows_lack_most_cells_is_text() -> None:
    """A head of 256 columns above rows of one is not a table: it is reported, and no cell is made for it."""
    text = "|" + "a|" * 256 + "\n|" + "-|" * 256 + "\n" + "|a\n" * 250
    assert (read(text).fields, len(read(text).warnings)) == ([], 1)
    whole = "|Field|Value|\n|-|-|\n|a|b|\n|c|\n"
    assert [(each.name, each.value) for each in read(whole).fields] == [("a", "b"), ("c", None)]
    below = read(whole + "".join(f"- x{number}: y\n" for number in range(50)))
    assert len(below.fields) == 52


@pytest.mark.parametrize("fence", ["```", "~~~~", "```md", "```Markdown  ", " ``` text"])
def test_a_fence_around_the_whole_text_is_removed(fence: str) -> None:
    """Blanks around it, and its language, do not matter; a fence with another end is text."""
    end = fence.strip().rstrip("abcdefghijklmnopqrstuvwxyzM ")
    assert [each.name for each in read(f"\n{fence}\n- a: b\n\n  {end} \n \n").fields] == ["a"]
    assert read(f"{fence}\n- a: b\n{end}`").fields == []


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
def test_titles_insights_and_names_are_clean() -> None:
    """A name from the vendor's AI is one short line; a point in a list is as harmless as one in a text."""
    hostile = "\x1b[2Jowned\u202e\n" + "x" * 100_000
    body = {"case_title": hostile, "case_specific_fields": {hostile: hostile}, "evidence": [
        {"document_id": "d-1", "case_insights": [hostile, None, "two"]}
    ]}  # fmt: skip
    result = VENDOR.read_result(CASE, {"case": json.dumps(body).encode()})
    for name in (str(result.title), result.fields[0].name, result.fields[0].key):
        assert name.isprintable()
        assert len(name) <= 500
    assert result.fields[0].value == hostile
    first, second = result.documents[0].insights
    assert not {"\x1b", "\u202e"} & {*first}
    assert second == "two"


def _calls(work: Callable[[], object]) -> int:
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(each.callcount for each in profile.getstats())


@pytest.mark.rule("ombudsman response fields case_insights")
@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("- one\n- two: 2", ["one", "two: 2"]),
        ("lead\n* one\n  more", ["lead", "one\nmore"]),
        ("a sentence", ["a sentence"]),
        ("- a\n  - b", ["a\n- b"]),
        ("- a\n - b", ["a", "b"]),
        ("- a\n## Head\n1. b", ["a", "Head", "b"]),
        ("- a\n\nA note.", ["a", "A note."]),
        ("\n \n", []),
    ],
)
def test_reads_insights(text: str, points: list[str]) -> None:
    """Each bullet is a point, with the lines under it; text without bullets is one point."""
    assert read_bullets(text) == points


@pytest.mark.rule("ombudsman response fields event_date")
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
        (1752537600, "2025-07-15"),
        (1752537600000, "2025-07-15"),
        ("1752571800", "2025-07-15T09:30:00.000Z"),
        (True, None),
    ],
)
def test_midnight_in_utc_is_a_date(said: Any, read: str | None) -> None:
    """The vendor writes dates as midnight UTC; anything else stays as it is."""
    assert day(said) == read


@pytest.mark.rule("ombudsman response fields claimant_support_score")
@pytest.mark.parametrize(
    ("given", "read"),
    [(0, 0), (10, 10), (7, 7), ("7", 7), (7.0, 7), (7.5, 7.5), (None, None), (11, None), (True, None), ("7/10", None)],
)
def test_scores_are_between_0_and_10(given: Any, read: float | None) -> None:
    """A score is a number from 0 to 10, or there is none; 0 is a score, and a whole one stays whole."""
    assert (score(given), type(score(given))) == (read, type(read))


@pytest.mark.rule("ombudsman response fields claimant_support_score")
def test_an_unreadable_score_is_reported() -> None:
    """An invalid score (not a number from 0 to 10) is None, and the result says so."""
    body = {"document_id": "d-1", "claimant_support_score": "7/10", "defendant_support_score": "7"}
    result = VENDOR.read_result(CASE, {"evidence-d-1": json.dumps(body).encode()})
    scores = result.documents[0].scores
    assert json.loads(scores.model_dump_json()) == {"claimant": None, "defendant": 7}
    assert [each for each in result.warnings if "claimant_support_score" in each and "invoice.pdf" in each]
    assert not [each for each in result.warnings if "defendant" in each]


@pytest.mark.rule("ombudsman response fields event_date")
def test_an_unreadable_date_is_reported() -> None:
    """An invalid date, of a document or of the chronology, is None, and the result says so."""
    body = {"document_id": "d-1", "event_date": 20250715, "event_date_start": "July 2025", "event_date_end": None}
    chronology = {"chronology": [{"timeline_date": {}}, {"timeline_date": 1752537600}, {"timeline_date": ""}]}
    raw = {"evidence-d-1": json.dumps(body).encode(), "case": json.dumps(chronology).encode()}
    result = VENDOR.read_result(CASE, raw)
    dates = result.documents[0].dates
    assert (dates.event, dates.start, dates.end) == (None, "July 2025", None)
    assert [each.date for each in result.timeline] == [None, "2025-07-15", None]
    assert [each.partition(" is no date")[0] for each in result.warnings] == [
        "invoice.pdf: event_date",
        "chronology: timeline_date",
    ]


def test_fields_that_are_not_text_are_read_or_reported() -> None:
    """An object of values gives its fields; anything else is in the vendor's answer alone, and that is reported."""
    body = {"case_specific_fields": {"Claimant": "Jack", "Amount": 142.50, "Offer": None}}
    result = VENDOR.read_result(CASE, {"case": b'{"case_specific_fields": {"Claimant": "Jack", "Amount": 142.50}}'})
    assert [(each.key, each.value, each.typed) for each in result.fields] == [
        ("claimant", "Jack", None),
        ("amount", "142.50", "142.50"),
    ]
    for text in ('{"Claimant": "Jack", "Amount": 142.50}', '```json\n{"Claimant": "Jack", "Amount": 142.50}\n```'):
        inside = VENDOR.read_result(CASE, {"case": json.dumps({"case_specific_fields": text}).encode()})
        assert inside.fields == result.fields
    mixed = {"Claimant": "Not found.", "Parties": {"a": 1}, "Sums": [1]}
    result = VENDOR.read_result(CASE, {"case": json.dumps({"case_specific_fields": mixed}).encode()})
    assert [(each.key, each.value) for each in result.fields] == [("claimant", None)]
    assert result.warnings == [f'case_specific_fields: not read as a field: "{each}"' for each in ("Parties", "Sums")]
    result = VENDOR.read_result(CASE, {"case": json.dumps({**body, "case_specific_fields": [1]}).encode()})
    assert result.fields == []
    assert "case_specific_fields" in result.warnings[0]


def test_a_number_is_a_text_where_a_text_belongs() -> None:
    """A title that looks like a number may come as one: it has the digits that it came with."""
    result = VENDOR.read_result(CASE, {"case": b'{"case_title": 2024, "case_summary": 4200.00}'})
    assert (result.title, result.summary) == ("2024", "4200.00")


@pytest.mark.parametrize("finished", [True, False])
def test_one_odd_status_does_not_undo_what_a_poll_found(finished: bool) -> None:
    """The answer that is read for the result has a status that nobody knows: only at the deadline it is unfinished."""
    result = VENDOR.read_result(replace(CASE, finished=finished), {"case": b'{"status": "all is fine [y/N]"}'})
    assert ("not finished by the deadline" in str(result.reason)) is not finished
    assert (result.status == "completed") is finished


@pytest.mark.rule("ombudsman response fields case_insights")
def test_insights_may_be_a_list() -> None:
    """Insights that come as a list are taken as they are."""
    body = {"document_id": "d-1", "case_insights": ["one", None, "two"]}
    result = VENDOR.read_result(CASE, {"evidence-d-1": json.dumps(body).encode()})
    assert result.documents[0].insights == ["one", "two"]


@pytest.mark.rule("ombudsman response fields names come from the submission")
def test_a_rejected_document_is_in_the_result() -> None:
    """A document without an id has its stored error in the result, after those that have one."""
    lost = document("b.pdf", index=1, failed=True, error="refused")
    case = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(lost, *CASE.documents))
    result = VENDOR.read_result(case, {"case": b'{"status": "processed"}'})
    assert [(each.name, each.error) for each in result.documents] == [("invoice.pdf", None), ("b.pdf", "refused")]
    assert result.status == "completed_with_failures"


# --- process ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule('ombudsman step 3 400 "documents are still being processed"')
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
def test_the_message_identifies_not_ready(body: Any) -> None:
    """The text of a 400, a string or a list, decides whether it is worth retrying."""
    with pytest.raises(NotReadyError):
        drive(VENDOR.process(CASE), [CREATED, reply(body, status=400)])


@pytest.mark.rule("ombudsman step 3 any other 400")
def test_other_rejections_are_not_retried() -> None:
    """A 400 about anything else fails the case."""
    refused = reply({"statusCode": 400, "message": "Cannot process case: no documents"}, status=400)
    with pytest.raises(VendorRejectedError, match="no documents"):
        drive(VENDOR.process(CASE), [CREATED, refused, CREATED])


@pytest.mark.rule("ombudsman step 3 any 400 for a case that is being assessed by then")
def test_a_late_trigger_is_not_a_rejection() -> None:
    """A trigger whose answer was lost may be performed after the look, and just before the next trigger."""
    refused = reply({"statusCode": 400, "message": "Cannot process case: case is processing"}, status=400)
    begun = reply({"case_id": "c-1", "status": "processing"})
    assert drive(VENDOR.process(CASE), [CREATED, refused, begun]).value is None


@pytest.mark.rule("ombudsman step 2 no new entry")
def test_evidence_of_null_is_none() -> None:
    """A case whose evidence is null has none, so a lost upload had no effect."""
    empty = reply({"case_id": "c-1", "status": "created", "evidence": None})
    intent = Intent(at=now())
    case = CaseView(CONFIGURED, "R-1", case_id="c-1", documents=(document(),))
    assert drive(VENDOR.find_uploaded(case, [0], intent), [empty]).value is None
