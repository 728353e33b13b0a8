"""How an answer differs from its vendor's guide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dossier import vendors
from dossier.drift import Drift, documented_for, drift_of
from tests.flows import recorded

FIELDS = ("id", "note?", "data.cases[].id", "data.cases[].name?", "pages[].words[]")
SAME: dict[str, Any] = {"id": "a", "data": {"cases": [{"id": "b"}]}, "pages": [{"words": ["x"]}]}


def drift(value: Any) -> Drift:
    """Return a value's drift from ``FIELDS``."""
    return drift_of(json.dumps(value).encode(), FIELDS)


@pytest.mark.parametrize(
    ("change", "new", "missing"),
    [
        ({}, set(), set()),
        ({"note": "n"}, set(), set()),
        ({"id": None, "data": None, "pages": []}, set(), set()),
        ({"later": {"deep": {"x": 1}}}, {"later"}, set()),
        ({"data": {"cases": [{"id": "b"}, {"name": "c", "extra": 1}]}}, {"data.cases[].extra"}, {"data.cases[].id"}),
        ({"data": {}}, set(), {"data.cases"}),
        ({"data": []}, set(), {"data{}"}),
        ({"data": {"cases": {"id": "b"}}}, set(), {"data.cases[]"}),
        ({"data": {"cases": ["text"]}}, set(), {"data.cases[]{}"}),
    ],
)
def test_new_and_missing_fields_are_reported(change: dict[str, Any], new: set[str], missing: set[str]) -> None:
    """Fields are compared wherever their parents are; null and an empty list say nothing, a new object is one field."""
    assert drift({**SAME, **change}) == Drift(frozenset(new), frozenset(missing))


def test_a_missing_field_is_reported() -> None:
    """A missing documented field is reported."""
    assert drift({key: value for key, value in SAME.items() if key != "id"}).missing == {"id"}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff", b'{"status": "fail"}', b'{"status_code": 404}', b'{"statusCode": 400}']
)
def test_a_body_without_json_has_no_drift(body: bytes) -> None:
    """A body without JSON, and a rejection with status 200, have no drift."""
    assert drift_of(body, FIELDS) == Drift()


def test_an_undocumented_answer_has_no_drift() -> None:
    """A vendor's guide need not show every answer."""
    assert drift_of(b'{"x": 1}', ()) == Drift()


def test_fields_are_found_by_the_answers_name() -> None:
    """The longest beginning counts."""
    documented = {"case": ("a",), "case-list": ("b",), "upload-": ("c",)}
    names = ("case", "case-list", "upload-0", "batch-0")
    assert [documented_for(each, documented) for each in names] == [("a",), ("b",), ("c",), ()]


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "data", "cases", "pages"]), inner),
        max_leaves=12,
    )
)
def test_any_answer_is_compared(value: Any) -> None:
    """Whatever a vendor answers, comparing it ends."""
    assert isinstance(drift(value), Drift)


@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted",
    case="docsumo-upload-0-upload",
)
@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted",
    case="docsumo-case-case-entry",
)
@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted",
    case="docsumo-after-update",
)
@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted",
    case="docsumo-files-files",
)
@pytest.mark.rule(
    "docustack notes, the rest an answer with a new or missing field is stored and counted",
    case="docustack-document-c1-document",
)
@pytest.mark.rule(
    "ombudsman notes an answer with a new or missing field is stored and counted", case="ombudsman-case-case-processed"
)
@pytest.mark.rule(
    "ombudsman notes an answer with a new or missing field is stored and counted",
    case="ombudsman-evidence-1-evidence-complete",
)
@pytest.mark.parametrize(
    ("vendor", "what", "file"),
    [
        ("docsumo", "upload-0", "upload"),
        ("docsumo", "upload-1", "append"),
        ("docsumo", "case", "case-entry"),
        ("docsumo", "after", "update"),
        ("docsumo", "files", "files"),
        ("docustack", "document-c1", "document"),
        ("ombudsman", "case", "case-created"),
        ("ombudsman", "case", "case-processed"),
        ("ombudsman", "evidence-1", "evidence-pending"),
        ("ombudsman", "evidence-1", "evidence-complete"),
    ],
)
def test_the_guides_own_samples_have_no_drift(vendor: str, what: str, file: str) -> None:
    """Each vendor declares the fields that its guide shows."""
    fields = documented_for(what, vendors.adapter(vendor).documented)
    assert fields
    assert drift_of(recorded(vendor, file).body, fields) == Drift()
