"""What the pages call things."""

from __future__ import annotations

import pytest

from console.words import failure, subject


@pytest.mark.parametrize(
    ("what", "words"),
    [("open", "the opening of the case"), ("upload-0", "upload 1"), ("budget", "the budget"), ("upload-x", "upload-x")],
)
def test_a_question_is_about_something_that_people_know(what: str, words: str) -> None:
    """Not about the name of an intent."""
    assert subject(what) == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("VendorUnavailableError", "Vendor unavailable"),
        ("Lambda.ServiceException", "Lambda service exception"),
        ("States.Timeout", "States timeout"),
        ("Error", "Error"),
    ],
)
def test_an_error_is_named_in_words(name: str, words: str) -> None:
    """A class name breaks in the middle of a word where there is little room."""
    assert failure(name) == words
