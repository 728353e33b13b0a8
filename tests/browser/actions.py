"""The actions of the page, and how a test declares them.

A test is marked with the actions that it does (``pytest.mark.acts``); the fixture ``page`` fails it if its browser did
not send them. ``tests/console/test_browser_tests.py`` compares the marks with the routes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from console.app import ACTIONS
from console.bulk import KINDS

LISTED = [each for each in KINDS if each != "dismiss"]
"""The bulk actions on the list of cases; those of failures stand on their own page."""
CHOICES = {
    "/bulk": [*(f"action={each}" for each in LISTED), *(f"all={each}" for each in LISTED)],
    "/bulk/run": [f"action={each}" for each in KINDS],
    "/failures/plan": ["action=redrive", "action=dismiss"],
    "/failures/dead-letters": ["action=send", "action=dismiss"],
    "/cases/{connection}/{reference}/resolve": [
        "answer=use", "force=on", "answer=retry", "answer=send", "answer=give_up",
    ],
}  # fmt: skip
"""The buttons of a form with several, each as the field that it sends."""


def wanted() -> set[str]:
    """Return the names of all actions: a path, or a path with one of its choices."""
    return {f"{path} {choice}".strip() for path in ACTIONS for choice in CHOICES.get(path, [""])}


def sent(url: str, body: str) -> set[str]:
    """Return the names of the actions that a form has sent."""
    there, fields = urlsplit(url).path, {f"{name}={value}" for name, value in parse_qsl(body)}
    for path in ACTIONS:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), there):
            return {f"{path} {each}" for each in fields.intersection(CHOICES[path])} if path in CHOICES else {path}
    return set()


def marked(folder: Path) -> Iterator[str]:
    """Yield the actions with which the tests of a folder are marked."""
    for file in folder.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "acts":
                yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))
