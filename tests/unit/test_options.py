"""A case's options: declared once by each vendor, checked and worded in one way, listed in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dossier import vendors
from dossier.errors import InvalidCaseError
from dossier.options import Option, check, is_date, parse, text_of
from dossier.settings import Connection

PAGE = Path(__file__).parents[2] / "docs" / "connections.md"
SETTINGS: dict[str, dict[str, Any]] = {
    "docsumo": {"casetype_id": "c", "casetype_ids": ["d"]},
    "docustack": {"schema_id": "c", "schema_ids": ["d"], "organization_id": "o"},
    "ombudsman": {"tenant": "t", "case_type_ids": ["c", "d"]},
}
DECLARED = (
    Option("title", "…"),
    Option("run", "…", "boolean"),
    Option("day", "…", "date"),
    Option("kind", "…", choices=("a", "b")),
)


def _connection(vendor: str, **changes: Any) -> Connection:
    table = {"name": "x", "vendor": vendor, "base_url": "https://x.example.com", **SETTINGS[vendor], **changes}
    return vendors.connection_model(vendor).model_validate(table)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "2024"),
        ("title", 10045),
        ("title", None),
        ("run", True),
        ("run", "false"),
        ("day", "2025-01-15"),
        ("kind", "b"),
    ],
)
def test_valid_options_are_accepted(name: str, value: Any) -> None:
    """A text may look like a number, a whole number counts as its digits, and None as left out."""
    check("The vendor", DECLARED, {name: value})


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("other", "x", 'unknown option "other": The vendor takes day, kind, run, title'),
        ("title", " ", 'option "title" must be a text'),
        ("title", True, 'option "title" must be a text'),
        ("title", 1.5, 'option "title" must be a text'),
        ("title", "x" * 1025, 'option "title" must be a text'),
        ("run", "yes", 'option "run" must be true or false'),
        ("day", "15/01/2025", 'option "day" must be an ISO 8601 date'),
        ("kind", "c", 'option "kind" must be "a" or "b"'),
    ],
)
def test_invalid_options_are_rejected(name: str, value: Any, line: str) -> None:
    """All vendors use one wording: the option and its allowed values."""
    with pytest.raises(InvalidCaseError) as refused:
        check("The vendor", DECLARED, {name: value})
    assert str(refused.value) == line


@pytest.mark.rule("ombudsman step 1 case_initiated_date")
@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2025-01-15", True),
        ("20250115", True),
        ("2025-W03-3", True),
        ("2025-015", True),
        ("2025-366", False),
        ("2024-366", True),
        ("2025-01", True),
        ("2025", True),
        ("2025-01-15T10:30:00Z", True),
        ("2025-01-15T10:30:00.123+02:00", True),
        ("20250115T103000Z", True),
        ("2025-13-01", False),
        ("2025-02-30", False),
        ("0000-001", False),
        ("15.01.2025", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_every_iso_8601_date_is_accepted(text: str, date: bool) -> None:
    """Calendar, week and ordinal dates, extended and basic, to the year or to the second."""
    assert is_date(text) is date


def test_text_stays_text_on_the_command_line() -> None:
    """Only declared booleans are read as such; "007", "1e5" and "null" stay texts."""
    typed = {"title": "2024", "run": "false", "kind": "true", "new": "null"}
    assert {name: parse(DECLARED, name, text) for name, text in typed.items()} == {**typed, "run": False}
    assert (text_of({"a": 7}, "a"), text_of({"a": True}, "a"), text_of({}, "a")) == ("7", None, None)


@pytest.mark.rule("docsumo 1.B several case types in one account", case="docsumo-casetype_id-d")
@pytest.mark.rule("docustack upload a case selects one of the connection's schemas", case="docustack-schema_id-d")
@pytest.mark.rule("ombudsman step 1 a case selects one of the connection's case types", case="ombudsman-case_type_id-d")
@pytest.mark.parametrize(
    ("vendor", "name", "setting"),
    [("docsumo", "casetype_id", "d"), ("docustack", "schema_id", "d"), ("ombudsman", "case_type_id", "d")],
)
def test_a_case_selects_one_of_the_connections_types(vendor: str, name: str, setting: str) -> None:
    """The type or schema of a case is one that the connection allows."""
    option = next(each for each in vendors.vendor(_connection(vendor)).options() if each.name == name)
    assert option.choices == ("c", setting)
    check("x", [option], {name: setting})
    with pytest.raises(InvalidCaseError, match='must be "c" or "d"'):
        check("x", [option], {name: "e"})


@pytest.mark.parametrize("vendor", sorted(SETTINGS))
def test_each_option_is_in_the_documentation(vendor: str) -> None:
    """The page lists each declared option with its text."""
    rows = {f"| `{each.name}` | {each.says} |" for each in vendors.vendor(_connection(vendor)).options()}
    missing = [row for row in rows if row not in PAGE.read_text(encoding="utf-8")]
    assert missing == []
    assert all(re.fullmatch(r"[a-z][a-z_]*", each.name) for each in vendors.vendor(_connection(vendor)).options())
