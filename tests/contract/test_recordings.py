"""The recordings under ``events/vendors`` are used, and what the guides' own samples show is in ``docs/vendors.md``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dossier import vendors
from tests.flows import EVENTS
from tests.tables import ROOT, sections

DOCSUMOS_OWN = {"upload", "append", "list", "update", "files", "url"}
"""Docsumo's guide shows these; of the other vendors a file that begins with ``assumed-`` is made up, no other is;
``seen-`` is what `dossier drift` has recorded."""
FILES = [
    pytest.param(name, file, id=f"{name}-{file.name}")
    for name in vendors.names()
    for file in sorted((EVENTS / name).iterdir())
    if file.name != "suite.json"
]
KEYS = {"body", "file"}
LISTS = {"replies", "raw"}


def in_suite(value: Any, key: str = "") -> Iterator[str]:
    """Yield the files that a ``suite.json`` names."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from in_suite(each, key if key in LISTS else name)
    elif isinstance(value, list):
        for each in value:
            yield from in_suite(each, key)
    elif isinstance(value, str) and key in KEYS | LISTS:
        yield value


def in_tests(vendor: str) -> Iterator[str]:
    """Yield the texts of the contract's own tests that name the vendor: ``recorded(vendor, "name")`` and the like."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call | ast.BinOp | ast.Tuple):
                texts = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
                if vendor in texts:
                    yield from (each for each in texts if isinstance(each, str))


def keys_of(value: Any) -> set[str]:
    """Return all keys in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {*(value if isinstance(value, dict) else ()), *(key for each in inner for key in keys_of(each))}


@pytest.mark.parametrize(("vendor", "file"), FILES)
def test_every_recording_is_used(vendor: str, file: Path) -> None:
    """Every sample is used by an exchange or a test."""
    suite = set(in_suite(json.loads((EVENTS / vendor / "suite.json").read_bytes())))
    assert file.name in suite or {file.name, file.stem} & set(in_tests(vendor))


@pytest.mark.parametrize("vendor", vendors.names())
def test_every_field_of_the_guide_is_in_the_table(vendor: str) -> None:
    """Each key of each sample that the guide itself shows has its place in a row of ``docs/vendors.md``."""
    files = [
        file
        for file in (EVENTS / vendor).glob("*.json")
        if file.name != "suite.json" and not file.name.startswith(("assumed-", "seen-"))
    ]
    own = [file for file in files if vendor != "docsumo" or file.stem in DOCSUMOS_OWN]
    assert own
    rows = " ".join(sections((ROOT / "docs" / "vendors.md").read_text())[vendor])
    words = {word for part in re.findall(r"`([^`]*)`", rows) if "::" not in part for word in re.findall(r"\w+", part)}
    assert sorted({key for file in own for key in keys_of(json.loads(file.read_bytes()))} - words) == []
