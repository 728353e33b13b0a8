"""Values in Docsumo's own files: objects and lists of fields, in every file of the name, bounded and reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from dossier.vendors.docsumo import fields
from dossier.vendors.docsumo.settings import DocsumoConnection, Fields


def read(path: str, value: Any, **settings: Any) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Return keys and values that are read of one file, and the warnings."""
    warnings: list[str] = []
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = fields.read(Fields(path=path, **settings), {"artifact/a.json": body, "case": b"{}"}, warnings)
    return [(each.key, each.value) for each in found], warnings


@pytest.mark.rule("docsumo notes, done, and results the API returns no values")
@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("data", {"data": {"Total": 1, "Name": "x"}}, [("total", "1"), ("name", "x")]),
        ("data", {"data": {"Total": {"value": "7", "confidence": 0.5}}}, [("total", "7")]),
        ("[]", [{"key": "t", "name": "Total", "value": None}, {"name": "N", "value": "y"}], [("t", None), ("n", "y")]),
        ("docs[].fields", {"docs": [{"fields": {"A": 1}}, {"fields": {"A": 2}}]}, [("a", "1"), ("a_2", "2")]),
    ],
)
def test_objects_and_lists_are_read(path: str, value: Any, found: list[tuple[str, str | None]]) -> None:
    """What a path finds is an object of values, a list of them, or a list of fields."""
    assert read(path, value) == (found, [])


def test_numbers_keep_their_text() -> None:
    """A path without a projection does not change the values that it finds."""
    assert read("a.b", b'{"a": {"b": {"x": 4200.00, "y": 12345678901234567.89}}}')[0] == [
        ("x", "4200.00"),
        ("y", "12345678901234567.89"),
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 9999])
def test_a_file_without_json_is_reported(body: bytes) -> None:
    """It stays an artifact, and gives no fields."""
    found, warnings = read("a", body)
    assert found == []
    assert warnings[0].startswith("fields: a.json cannot be read")


@pytest.mark.rule("docsumo notes, done, and results the API returns no values")
def test_a_path_that_finds_nothing_is_reported() -> None:
    """A workflow that names its values differently is reported."""
    assert read("a", {"b": 1}) == ([], ["fields: a.json has no fields at a"])


def test_settings_are_checked_at_synth() -> None:
    """A path that is none fails the deployment; with fields, there may be confidences to compare."""
    table = {"name": "x", "vendor": "docsumo", "base_url": "https://x.example.com", "casetype_id": "c"}
    with pytest.raises(ValidationError, match="is not a JMESPath expression"):
        DocsumoConnection.model_validate({**table, "fields": {"path": "a["}})
    assert DocsumoConnection.model_validate({**table, "fields": {"path": "a"}, "review_below": 0.5}).gives_confidences()
