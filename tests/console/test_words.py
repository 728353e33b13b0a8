"""What the pages call things."""

from __future__ import annotations

import time

import pytest

from console.words import failure, filename, subject, zone


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


def test_a_time_zone_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of the operator's machine, and each page says in which zone."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        assert zone() == "CET"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("path", "name"),
    [("/home/ada/May.jsonl", "May.jsonl"), ("C:\\Users\\ada\\May.csv", "May.csv"), ("-", "-"), (None, "")],
)
def test_a_batch_has_the_name_of_its_file(path: str | None, name: str) -> None:
    """Only the file's name is shown, without the folders."""
    assert filename(path) == name
