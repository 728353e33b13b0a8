"""mypy follows the types of those modules of the CDK that are used: 300 services would be most of its work."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TYPED = ("app.py", "infra/*.py", "checks/*.py", "cli/*.py", "local/**/*.py", "bench/**/*.py", "functions/**/*.py")


def test_mypy_follows_each_module_of_the_cdk_that_is_imported() -> None:
    """A module that is left out would have no types, and one that is too much takes time."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    followed = {name for each in settings if each.get("follow_imports") == "normal" for name in each["module"]}
    imported = {name for pattern in TYPED for file in ROOT.glob(pattern) for name in _of_the_cdk(file)}
    assert imported >= {"aws_cdk", "aws_cdk.aws_lambda"}
    assert followed - {"aws_cdk.interfaces", "aws_cdk.interfaces.*"} == imported


def _of_the_cdk(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.partition(".")[0] == "aws_cdk")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "aws_cdk":
            yield str(node.module)
            yield from (f"{node.module}.{each.name}" for each in node.names if each.name.startswith("aws_"))
