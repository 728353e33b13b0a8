"""``docs/security.md`` names a test for everything that stops somebody, and the tests that it names are there."""

from __future__ import annotations

import re

import pytest

from tests.tables import ROOT, missing_tests, sections, without_test

PAGE = ROOT / "docs" / "security.md"
NOT_CHECKED = {"what is left open"}


def test_every_threat_names_a_test() -> None:
    """Who, what they want, what stops them, and the test that shows it: four cells, none of them empty."""
    found = sections(PAGE.read_text())
    listed = [row for name, section in found.items() if name not in NOT_CHECKED for row in section]
    assert len(listed) > 30
    assert without_test(listed) == []
    assert [row for row in listed if not re.fullmatch(r"\|( [^|]*\S [|]){3}", row)] == []


@pytest.mark.slow
def test_every_test_that_is_named_exists() -> None:
    """Each node id is one that pytest collects, to the letter."""
    assert missing_tests(PAGE.read_text()) == []


def test_every_attacker_has_a_section_with_rows() -> None:
    """No section of the threat model is only words."""
    found = sections(PAGE.read_text())
    assert set(found) >= NOT_CHECKED
    assert [name for name, listed in found.items() if not listed and name not in NOT_CHECKED] == []
