"""The tests behind the rules of ``docs/vendors.md`` and ``docs/security.md``: ``python -m checks.rules``.

A test names the rules that it shows: ``@pytest.mark.rule("docsumo 1.B limit")``; of a parametrized test one case does,
with ``case="<its id>"``. The command writes the tests into the last column of the pages' tables. With ``--check`` it
writes nothing, and reports every difference.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"\bmark\.rule\(")
_CELL = " | "


def _written(cells: list[str]) -> str:
    """Return the id that a row of the vendors' page has in its first column."""
    return cells[0].strip("`")


def _goal(cells: list[str]) -> str:
    """Return the id of a row of the threat model: the attacker's goal."""
    return f"security: {cells[0].replace('`', '')}"


PAGES: dict[str, tuple[str, Callable[[list[str]], str]]] = {
    "docs/vendors.md": ("| id | rule | tests |", _written),
    "docs/security.md": ("| they want to | what stops them | tests |", _goal),
}
"""The pages, each with the head of its tables and how a row names its rule."""


class Shown:
    """Collects the tests of each rule, as a plugin of pytest."""

    def __init__(self) -> None:
        self.rules: dict[str, list[str]] = {}
        self.problems: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the marks of everything that was collected."""
        sizes = Counter(_function(each) for each in session.items)
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        cases: dict[tuple[str, str], bool] = {}
        for item in session.items:
            own = item.nodeid.removeprefix(f"{_function(item)}[").removesuffix("]")
            for mark in item.iter_markers("rule"):
                case = mark.kwargs.get("case")
                if case is not None:
                    key = _function(item), case
                    cases[key] = cases.get(key, False) or case == own
                if case in (None, own):
                    for rule in mark.args:
                        found[rule][_function(item)].append(item.nodeid)
        self.problems += [f"{test} has no case {case}" for (test, case), there in cases.items() if not there]
        for rule, by_test in found.items():
            whole = ([test] if len(each) == sizes[test] else each for test, each in by_test.items())
            self.rules[rule] = sorted({node for nodes in whole for node in nodes})


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def shown() -> Shown:
    """Collect the tests that have a mark; return the tests by rule."""
    files = [each for each in sorted((ROOT / "tests").rglob("test_*.py")) if _MARK.search(each.read_text("utf-8"))]
    found, printed = Shown(), io.StringIO()
    options = ["--collect-only", "-p", "no:cacheprovider", "--numprocesses=0", f"--rootdir={ROOT}"]
    with contextlib.redirect_stdout(printed):
        code = pytest.main([*options, *map(str, files)], plugins=[found])
    if code is not pytest.ExitCode.OK:
        found.problems.append(f"pytest cannot collect the tests:\n{printed.getvalue()}")
    return found


def filled(page: str, text: str, rules: dict[str, list[str]], problems: list[str]) -> tuple[str, list[str]]:
    """Return a page with the tests of each of its rules, and the rules; add errors to ``problems``."""
    head, named = PAGES[page]
    lines, ids = [], []
    inside = False
    for line in text.splitlines():
        inside = line == head or (inside and line.startswith("|"))
        if not inside or line == head or line.startswith("| --- "):
            lines.append(line)
            continue
        *cells, _ = line.removeprefix("| ").removesuffix(" |").split(_CELL)
        rule = named(cells)
        ids.append(rule)
        if rule not in rules:
            problems.append(f'{page}: no test shows "{rule}" (@pytest.mark.rule)')
        tests = ", ".join(f"`{each}`" for each in rules.get(rule, ()))
        lines.append(f"| {_CELL.join([*cells, tests])} |")
    return "\n".join(lines) + "\n", ids


def differences(found: Shown, *, write: bool) -> Iterator[str]:
    """Fill every page; yield the errors and, unless the page is written, the changes."""
    problems, known = [*found.problems], list[str]()
    for page in PAGES:
        file = ROOT / page
        before = file.read_text(encoding="utf-8")
        after, ids = filled(page, before, found.rules, problems)
        known += ids
        if write:
            file.write_text(after, encoding="utf-8")
        else:
            yield from difflib.unified_diff(
                before.splitlines(), after.splitlines(), page, f"{page} (from the tests)", n=0
            )
    yield from problems
    yield from (f'"{rule}" has several rows' for rule, number in Counter(known).items() if number > 1)
    yield from (
        f'no page has the rule "{rule}" of {nodes[0]}' for rule, nodes in found.rules.items() if rule not in known
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    write = "--check" not in arguments
    found = list(differences(shown(), write=write))
    for each in found:
        print(each, file=sys.stderr)
    if found and not write:
        print("run: make rules", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
