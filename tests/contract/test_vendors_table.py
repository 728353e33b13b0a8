"""``docs/vendors.md`` names a test for every rule of every vendor, and the tests that it names are there."""

from __future__ import annotations

import pytest

from dossier import vendors
from tests.tables import NODE, ROOT, missing_tests, sections, without_test

TABLE = ROOT / "docs" / "vendors.md"


def test_no_vendor_is_missing() -> None:
    """Every vendor has a section with rows, and every section is a vendor."""
    found = sections(TABLE.read_text())
    assert sorted(found) == vendors.names()
    assert [name for name, listed in found.items() if not listed] == []


def test_every_row_names_a_test() -> None:
    """Every row names a test."""
    listed = [row for section in sections(TABLE.read_text()).values() for row in section]
    assert listed
    assert without_test(listed) == []


@pytest.mark.slow
def test_every_named_test_exists() -> None:
    """Each node id is one that pytest collects, to the letter."""
    assert missing_tests(TABLE.read_text()) == []


def test_table_is_read_row_by_row() -> None:
    """The checker sees the rows of every table of a section, and no head or text."""
    first = "| rule | test |\n| --- | --- |\n| 1 | `tests/a.py::b` |\n"
    text = f"# T\n| x | y |\n## A\ntext\n{first}### more\n| r | t |\n|---|---|\n| 2 | |\n"
    assert sections(text) == {"a": ["| 1 | `tests/a.py::b` |", "| 2 | |"]}


@pytest.mark.parametrize("row", ["| rule | |", "| rule | tests/a.py::b |", "| rule | `tests/a.py` |"])
def test_row_without_a_node_id_is_detected(row: str) -> None:
    """A row counts only with a node id in backticks."""
    assert not NODE.search(row)
