"""The tests' own rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tables import ROOT

MODULES = sorted((ROOT / "tests").rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports, as dotted names."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_no_module_imports_from_a_test_module() -> None:
    """Code that several test modules share is in its own module."""
    found = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        for name in imported(module)
        if (path := ROOT / f"{name.replace('.', '/')}.py").name.startswith("test_") and path.exists()
    }
    assert sorted(found) == []
