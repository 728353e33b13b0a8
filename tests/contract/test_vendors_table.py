"""``docs/vendors.md`` names a test for every rule of every vendor, and the tests that it names are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dossier import vendors

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "vendors.md"
NODE = re.compile(r"`(tests/[^`]+::[^`]+)`")


def sections(text: str) -> dict[str, list[str]]:
    """Return the rows of the tables in each vendor's section, by the vendor's name."""
    parts = re.split(r"^## (\S+)\s*$", text, flags=re.MULTILINE)
    return {name.lower(): rows(part) for name, part in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> list[str]:
    """Return the rows of a section's tables, without heads and rules."""
    lines = text.splitlines()
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"\|(\s*-+\s*\|)+", line)}
    heads = {number - 1 for number in rules}
    return [line for number, line in enumerate(lines) if line.startswith("|") and number not in rules | heads]


def test_no_vendor_is_missing() -> None:
    """Every vendor has a section with rows, and every section is a vendor."""
    found = sections(TABLE.read_text())
    assert sorted(found) == vendors.names()
    assert [name for name, listed in found.items() if not listed] == []


def test_every_row_names_a_test() -> None:
    """A rule without a test is a promise."""
    listed = [row for section in sections(TABLE.read_text()).values() for row in section]
    assert listed
    assert [row for row in listed if not NODE.search(row)] == []


def test_every_test_that_is_named_exists() -> None:
    """Each node id is one that pytest collects, to the letter."""
    named = set(NODE.findall(TABLE.read_text()))
    files = sorted({each.partition("::")[0] for each in named})
    assert [each for each in files if not (ROOT / each).is_file()] == []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]  # -q is in addopts
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    collected = set(run.stdout.splitlines())
    tests = collected | {each.partition("[")[0] for each in collected}
    assert sorted(named - tests) == []


def test_table_is_read_row_by_row() -> None:
    """The checker sees the rows of every table of a section, and no head or text."""
    first = "| rule | test |\n| --- | --- |\n| 1 | `tests/a.py::b` |\n"
    text = f"# T\n| x | y |\n## A\ntext\n{first}### more\n| r | t |\n|---|---|\n| 2 | |\n"
    assert sections(text) == {"a": ["| 1 | `tests/a.py::b` |", "| 2 | |"]}


@pytest.mark.parametrize("row", ["| rule | |", "| rule | tests/a.py::b |", "| rule | `tests/a.py` |"])
def test_row_without_a_node_id_is_seen(row: str) -> None:
    """A row counts only with a node id in backticks."""
    assert not NODE.search(row)
