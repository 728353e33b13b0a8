"""A disguise keeps the form of an answer and nothing that it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.disguise import LONGEST, Disguise

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """Return the keys and types of a value."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value).__name__


@given(VALUES)
def test_keys_and_types_stay(value: Any) -> None:
    """Whatever the answer is, its disguise has the same shape, and can be written."""
    shown = Disguise(b"key").value(value)
    assert shape(shown) == shape(value)
    json.dumps(shown)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Jack Grainger", r"[A-Z][a-z]{3} [A-Z][a-z]{7}"),
        ("INV-2024-0042", r"[A-Z]{3}-\d{4}-\d{4}"),
        ("scan of March.pdf", r"[a-z]{4} [a-z]{2} [A-Z][a-z]{4}\.pdf"),
        ("case__06c93accde6d445286518079268d45a3", r"case__[0-9a-f]{32}"),
        ("80058c5f-100e-428d-b547-79da822b736b", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("2025-11-05T09:08:07.123Z", r"2026-01-31T12:00:00Z"),
        ("2025-11-05", r"2026-01-31"),
        ("£1,234.50", r"£\d,\d{3}\.\d{2}"),
        ("Müller", r"[A-Z]x[a-z]{4}"),
        ("", r""),
    ],
)
def test_a_text_keeps_its_form(text: str, form: str) -> None:
    """Names, ids, files, dates and amounts are other ones of the same form."""
    shown = Disguise(b"key").text(text)
    assert re.fullmatch(form, shown), shown
    assert shown != text or not text


def test_equal_texts_stay_equal_only_within_one_disguise() -> None:
    """Ids still fit each other; another disguise of the same text says nothing about it."""
    one, other = Disguise(), Disguise()
    assert one.text("doc__71a76c8c5d") == one.text("doc__71a76c8c5d") != one.text("doc__71a76c8c5e")
    assert one.text("doc__71a76c8c5d") != other.text("doc__71a76c8c5d")
    assert len(one.text("x" * 5000)) == LONGEST


def test_words_of_the_vendor_and_shares_stay() -> None:
    """A recording keeps a status and a confidence, but not a name under another key."""
    answer = {"status": "processed", "doc_status": "in review", "stage_id": "stage__a", "confidence": 0.93, "n": 4200}
    shown = Disguise(b"key").value({**answer, "name": "processed", "type": "2024-0042"})
    assert {name: shown[name] for name in ("status", "doc_status", "stage_id", "confidence")} == {
        name: answer[name] for name in ("status", "doc_status", "stage_id", "confidence")
    }
    assert shown["name"] != "processed"
    assert shown["type"] != "2024-0042"
    assert isinstance(shown["n"], int)
    assert shown["n"] != 4200
