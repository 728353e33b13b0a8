"""``dossier cost``: its arguments and output. ``tests/infra/test_spent.py`` compares its counts with AWS's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dossier.models import now
from tests.cli.conftest import Dossier


@pytest.mark.parametrize("words", [(), ("INV-1", "--month", "2026-01")])
def test_a_case_or_a_month_is_named(dossier: Dossier, words: tuple[str, ...]) -> None:
    """Neither, or both, is bad usage."""
    result = dossier("cost", *words)
    assert result.exit_code == 2
    assert "name either a case's reference or a month" in result.stderr


@pytest.mark.parametrize("command", [("cost",), ("invoice", "invoices")])
@pytest.mark.parametrize(
    ("month", "says"),
    [("2026-13", "is not a month"), ("2999-01", "2999-01 has not begun"), ("9999-12", "9999-12 has not begun")],
)
def test_a_month_has_begun(dossier: Dossier, command: tuple[str, ...], month: str, says: str) -> None:
    """Anything else is bad usage, and so is a month in the future, for the bill too."""
    result = dossier(*command, "--month", month)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_case_without_lines_and_histories_costs_nothing_that_is_known(dossier: Dossier, invoice: Path) -> None:
    """People get a table, the date of the prices, and what the vendor's price is unknown for."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    dossier.change("invoices", "INV-1", submitted_at="2020-01-31T12:00:00.000Z")
    found = dossier("cost", "INV-1")
    assert found.exit_code == 0, found.stderr
    assert "transitions" in found.stdout
    assert "vendor unknown (no price_per_page)" in found.stderr
    assert "without free tiers and storage" in found.stderr
    assert "not counted: usage before" in found.stderr
    assert dossier("cost", "nothing").exit_code == 1


def test_a_month_lists_every_connection(dossier: Dossier) -> None:
    """A connection without a case used nothing."""
    month = f"{now():%Y-%m}"
    found = dossier.json("cost", "--month", month)
    assert sorted(found["connections"]) == ["claims", "disputes", "invoices"]
    assert {each["aws_usd"] for each in found["connections"].values()} == {0}
    assert list(dossier.json("cost", "--month", month, "--connection", "claims")["connections"]) == ["claims"]
