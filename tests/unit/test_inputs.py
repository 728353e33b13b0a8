"""Execution inputs: an error names the key, and suggests the intended one."""

from __future__ import annotations

from typing import Any

import pytest

from dossier.errors import InvalidCaseError
from dossier.models import CaseInput

GOOD: dict[str, Any] = {
    "connection": "invoices",
    "reference": "INV-1",
    "documents": [{"uri": "s3://scans/a.pdf", "name": "a.pdf"}],
}


def wrong(**changes: Any) -> str:
    """Return the error about the valid input with changes; None removes a key."""
    data = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(InvalidCaseError) as error:
        CaseInput.parse(data)
    return str(error.value).removeprefix("the execution input is wrong: ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("refrence", "reference"),
        ("Reference", "reference"),
        ("conection", "connection"),
        ("documnets", "documents"),
        ("document", "documents"),
        ("option", "options"),
        ("caseId", "case_id"),
        ("case-id", "case_id"),
        ("documentIds", "document_ids"),
        ("Deadline", "deadline"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(typed: str, meant: str) -> None:
    """The key that is then missing is not a second problem."""
    value = GOOD.get(meant, "x")
    assert wrong(**{meant: None, typed: value}) == f'{typed}: unknown key; did you mean "{meant}"?'


def test_a_key_of_a_document_is_suggested_too() -> None:
    """A document names its place as ``uri``."""
    text = wrong(documents=[{"url": "s3://scans/a.pdf"}, {"uri": "s3://scans/b.pdf", "filename": "b.pdf"}])
    assert text == (
        'documents.0.url: unknown key; did you mean "uri"?; documents.1.filename: unknown key; did you mean "name"?'
    )


def test_an_unknown_key_without_a_similar_one_lists_all_keys() -> None:
    """An option of the vendor in the wrong place is the likeliest mistake."""
    text = wrong(colour="red")
    assert text.startswith("colour: unknown key; known are connection, reference, documents, options, case_id,")
    assert text.endswith("; the vendor's options go into options")


@pytest.mark.parametrize("own", ["resumed", "drops", "refreshes"])
def test_keys_that_only_dossier_sets_are_not_suggested(own: str) -> None:
    """Nobody is led to a key that is not for them."""
    assert not {'"resume"', '"drop"', '"refresh"'} & set(wrong(**{own: 1}).replace("?", " ").split())


def test_all_problems_are_reported_at_once() -> None:
    """An input is fixed once; of a great many problems the first five are named."""
    assert wrong(reference="-r", deadline=0, docs=1) == (
        "reference: use 1 to 100 letters, digits, '.', '_', '-', beginning with a letter or digit; "
        'deadline: Input should be greater than or equal to 1; docs: unknown key; did you mean "documents"?'
    )
    assert wrong(documents=[{"name": "x"}] * 9).endswith("documents.4.uri: Field required; and 4 more")


def test_connection_and_reference_survive_a_wrong_input() -> None:
    """The case is reported under its name, whatever else is wrong; invalid names are dropped."""
    named = CaseInput.named({**GOOD, "documnets": [], "options": 7})
    assert named is not None
    assert (named.connection, named.reference) == ("invoices", "INV-1")
    dropped = CaseInput.named({**GOOD, "drop": {"key": "inbox/invoices/a.pdf"}, "x": 1})
    assert dropped is not None
    assert dropped.drop is not None
    for bad in ({**GOOD, "reference": "../x"}, {"connection": "invoices"}, [], None, "x"):
        assert CaseInput.named(bad) is None


def test_half_a_character_in_an_option_is_wrong() -> None:
    """JSON can write it, and neither a fingerprint nor a request to the vendor can hold it."""
    assert wrong(options={"case_title": "a\ud800"}) == (
        'options: option "case_title" has half a character: write it as UTF-8'
    )
    assert "has half a character" in wrong(options={"\ud800": "a"})
