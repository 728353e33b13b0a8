"""``docs/vendors.md`` has the rules of every vendor; their tests come from ``checks/rules.py``."""

from __future__ import annotations

from dossier import vendors
from tests.tables import ROOT, sections

TABLE = ROOT / "docs" / "vendors.md"


def test_no_vendor_is_missing() -> None:
    """Every vendor has a section with rows, and every section is a vendor."""
    found = sections(TABLE.read_text())
    assert sorted(found) == vendors.names()
    assert [name for name, listed in found.items() if not listed] == []


def test_table_is_read_row_by_row() -> None:
    """The checker sees the rows of every table of a section, and no head or text."""
    first = "| rule | test |\n| --- | --- |\n| 1 | `tests/a.py::b` |\n"
    text = f"# T\n| x | y |\n## A\ntext\n{first}### more\n| r | t |\n|---|---|\n| 2 | |\n"
    assert sections(text) == {"a": ["| 1 | `tests/a.py::b` |", "| 2 | |"]}
