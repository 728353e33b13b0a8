"""A part of an answer is stored byte for byte, and nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.slices import item_of

OWN = '{ "case_id" : "c-2",\n\t"case_name":"\\u00dcber, {[\\"x\\"]}", "n": 1e400, "big": ' + "9" * 5000 + " }"
PAGE = (
    f'\ufeff {{"status": "success", "data": {{"total": 3, "cases": [{{"case_id": "c-1"}} , {OWN},{{"case_id": 3}}]}}}}'
)


def fits(name: str) -> Any:
    """Return a predicate that recognizes a case by its id."""
    return lambda each: isinstance(each, dict) and str(each.get("case_id")) == name


@pytest.mark.rule("docsumo notes, the list of the list only the case's own entry is stored")
def test_an_item_is_cut_out_byte_for_byte() -> None:
    """Blanks, escapes, numbers of any length: not a byte is changed, and no other case is with it."""
    assert item_of(PAGE.encode(), ("data", "cases"), fits("c-2")) == OWN.encode()
    assert item_of(PAGE.encode(), ("data", "cases"), fits("3")) == b'{"case_id": 3}'
    assert item_of(PAGE.encode(), ("data", "cases"), fits("c-9")) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'{"data": 1}', b'{"data": {"cases": {}}}', b'{"data"', b"\xff", b"<html>",
        b'{"data": {"cases": [', b'{"a": ' * 9999,
    ],
)  # fmt: skip
def test_an_absent_item_is_not_found(body: bytes) -> None:
    """A body that is not a page raises nothing, and nothing of it is kept."""
    assert item_of(body, ("data", "cases"), lambda _: True) is None


def test_the_last_of_two_keys_counts() -> None:
    """The result is the same as for a reader of the whole text."""
    body = b'{"data": {"cases": [1]}, "data": {"cases": [2]}}'
    assert item_of(body, ("data", "cases"), lambda _: True) == b"2"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_item_is_found_again(value: Any) -> None:
    """Whatever an item is, its slice is the text that it was written as."""
    text = json.dumps(value, ensure_ascii=True, indent=2)
    body = f'{{"x": {text}, "cases": [0, {text} ]}}'.encode()
    seen: list[Any] = []
    assert item_of(body, ("cases",), lambda each: seen.append(each) or len(seen) == 2) == text.encode()
