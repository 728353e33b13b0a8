"""Tables in the documentation that name a test for every row: read here, checked where each table belongs.

A node id stands in backticks: ``tests/unit/test_names.py::test_safe_name``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NODE = re.compile(r"`(tests/[^`]+::[^`]+)`")


def sections(text: str) -> dict[str, list[str]]:
    """Return the rows of the tables in each second-level section, by its heading."""
    parts = re.split(r"^## (\S.*?)\s*$", text, flags=re.MULTILINE)
    return {name.lower(): rows(part) for name, part in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> list[str]:
    """Return the rows of a section's tables, without heads and rules."""
    lines = text.splitlines()
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"\|(\s*-+\s*\|)+", line)}
    heads = {number - 1 for number in rules}
    return [line for number, line in enumerate(lines) if line.startswith("|") and number not in rules | heads]


def without_test(listed: list[str]) -> list[str]:
    """Return the rows that name no test."""
    return [row for row in listed if not NODE.search(row)]


def missing_tests(text: str) -> list[str]:
    """Return the node ids in a text that pytest does not collect, to the letter."""
    named = set(NODE.findall(text))
    files = sorted({each.partition("::")[0] for each in named})
    nowhere = [each for each in files if not (ROOT / each).is_file()]
    if nowhere or not files:
        return nowhere
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]  # -q is in addopts
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    collected = set(run.stdout.splitlines())
    return sorted(named - collected - {each.partition("[")[0] for each in collected})
