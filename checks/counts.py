"""Counts what a reader of the core has to hold in mind: ``python -m checks.counts [ROOT …]``.

For each checkout (this one by default) it counts in ``layers/shared/python/dossier``, and prints a Markdown table.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CORE = Path("layers/shared/python/dossier")


def count(root: Path) -> dict[str, str]:
    """Return the counts of a checkout, by what they are of."""
    files = sorted((root / CORE).rglob("*.py"))
    sources = {file: file.read_text(encoding="utf-8") for file in files}
    trees = {file: ast.parse(text) for file, text in sources.items()}
    functions = [(file, each) for file, tree in trees.items() for each in ast.walk(tree) if _is_function(each)]
    lengths = sorted((_length(each), f"{each.name} in {file.relative_to(root / CORE)}") for file, each in functions)
    once = [each.name for file, each in functions if _is_private(each.name) and _uses(trees[file])[each.name] == 1]
    glossary = root / "docs" / "glossary.md"
    terms = re.findall(r"^\| (?!term |---)", glossary.read_text(encoding="utf-8"), re.MULTILINE) if glossary.exists() else []
    return {
        "files": str(len(files)),
        "lines": str(sum(text.count("\n") for text in sources.values())),
        "functions": str(len(functions)),
        "lines of a function, on average": f"{sum(length for length, _ in lengths) / len(lengths):.1f}",
        "longest function": f"{lengths[-1][0]} lines ({lengths[-1][1]})",
        "private functions used once": str(len(once)),
        "public classes": str(sum(isinstance(each, ast.ClassDef) and not _is_private(each.name) for each in _top(trees))),
        "module constants": str(sum(bool(_constants(each)) for each in _top(trees))),
        "terms of the glossary": str(len(terms)),
    }


def _top(trees: dict[Path, ast.Module]) -> Iterator[ast.stmt]:
    return (each for tree in trees.values() for each in tree.body)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _uses(tree: ast.Module) -> Counter[str]:
    """Return how often each name is read in a module, as a name or as an attribute."""
    names = (each.id for each in ast.walk(tree) if isinstance(each, ast.Name))
    attributes = (each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute))
    return Counter(names) + Counter(attributes)


def _constants(statement: ast.stmt) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return [each.id for each in targets if isinstance(each, ast.Name) and each.id.isupper()]


if __name__ == "__main__":
    roots = [Path(each) for each in sys.argv[1:]] or [Path()]
    columns = [count(root) for root in roots]
    print("| what |" + " ".join(f" {root} |" for root in roots))
    print("| --- |" + " ---: |" * len(roots))
    for what in columns[0]:
        print(f"| {what} |" + "".join(f" {column[what]} |" for column in columns))
