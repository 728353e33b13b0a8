"""Counts the size of the core: ``python -m checks.counts [ROOT …]``.

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
    functions = [(file, each) for file, tree in trees.items() for each in _functions(tree)]
    lengths = sorted((_length(each), f"{each.name} in {file.relative_to(root / CORE)}") for file, each in functions)
    uses = {file: _uses(tree) for file, tree in trees.items()}
    classes = [each for each in _top(trees) if isinstance(each, ast.ClassDef)]
    glossary = root / "docs" / "glossary.md"
    rows = glossary.read_text(encoding="utf-8") if glossary.exists() else ""
    return {
        "files": str(len(files)),
        "lines": str(sum(text.count("\n") for text in sources.values())),
        "functions": str(len(functions)),
        "lines of a function, on average": f"{sum(length for length, _ in lengths) / len(lengths):.1f}",
        "longest function": f"{lengths[-1][0]} lines ({lengths[-1][1]})",
        "private functions used once": str(
            sum(_is_private(each.name) and uses[file][each.name] == 1 for file, each in functions)
        ),
        "public classes": str(sum(not _is_private(each.name) for each in classes)),
        "module constants": str(sum(bool(_constants(each)) for each in _top(trees))),
        "terms of the glossary": str(len(re.findall(r"^\| (?!term |---)", rows, re.MULTILINE))),
    }


def _top(trees: dict[Path, ast.Module]) -> Iterator[ast.stmt]:
    return (each for tree in trees.values() for each in tree.body)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))


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
