"""The tables of ``docs/vendors.md`` and ``docs/security.md`` name the tests that carry ``@pytest.mark.rule``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from checks.rules import Shown, filled
from tests.tables import ROOT

PAGE = "docs/vendors.md"
HEAD = "| id | rule | tests |\n| --- | --- | --- |\n"


@dataclass
class Item:
    """A collected test, or one case of it."""

    nodeid: str
    marks: tuple[Any, ...] = ()

    def iter_markers(self, name: str) -> Iterator[Any]:
        """Yield the marks."""
        assert name == "rule"
        yield from (each.mark for each in self.marks)


def shown(*items: Item) -> Shown:
    """Return the tests of each rule."""
    found = Shown()
    found.pytest_collection_finish(SimpleNamespace(items=items))  # type: ignore[arg-type]
    return found


@pytest.mark.slow
def test_pages_are_made_from_the_tests() -> None:
    """`make rules` would change nothing, every rule has a test, and every mark a rule."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "checks.rules", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_row_gets_the_tests_of_its_rule() -> None:
    """In place of those that it had; text and other tables stay."""
    text = f"# T\n{HEAD}| `v 1 a` | `x` or \\| y | `tests/old.py::t` |\n\n| key | value |\n| --- | --- |\n| a | b |\n"
    problems: list[str] = []
    after, ids = filled(PAGE, text, {"v 1 a": ["tests/a.py::t", "tests/b.py::t[1]"]}, problems)
    assert after == text.replace("`tests/old.py::t`", "`tests/a.py::t`, `tests/b.py::t[1]`")
    assert (ids, problems) == (["v 1 a"], [])


def test_a_rule_that_no_test_shows_is_a_problem() -> None:
    """The page would claim something that nothing shows."""
    problems: list[str] = []
    filled(PAGE, f"{HEAD}| `v 1 a` | x | `tests/old.py::t` |\n", {}, problems)
    assert problems == [f'{PAGE}: no test shows "v 1 a" (@pytest.mark.rule)']


def test_a_mark_is_about_a_whole_test_or_one_case() -> None:
    """All cases together are the test."""
    both, one = pytest.mark.rule("v 1 a"), pytest.mark.rule("v 1 b", case="2-x")
    found = shown(*(Item(f"tests/a.py::t[{each}]", (both, one)) for each in ("1-x", "2-x")), Item("tests/a.py::u"))
    assert found.rules == {"v 1 a": ["tests/a.py::t"], "v 1 b": ["tests/a.py::t[2-x]"]}
    assert found.problems == []


def test_a_mark_with_a_case_that_does_not_exist_is_a_problem() -> None:
    """A misspelt or renamed case shows nothing."""
    found = shown(Item("tests/a.py::t[1]", (pytest.mark.rule("v 1 a", case="2"),)))
    assert (found.rules, found.problems) == ({}, ["tests/a.py::t has no case 2"])
