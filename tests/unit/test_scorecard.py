"""The scorecard of the fault suite is one page, for any suites in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.scorecard import Section, record

CASES = Section(1, "Cases", "Whole cases.", {"statuses": {"completed": 2, "failed": 1}, "reasons": []})
DELIVERIES = Section(2, "Deliveries at the webhook", "Ten.", {"lost": 0, "kinds": ["a|b", "c"]})


def test_each_suite_writes_its_own_section(tmp_path: Path) -> None:
    """Sections are sorted by place, whichever came first; mappings, lists and empty values are readable."""
    page = tmp_path / "page.md"
    for section in (DELIVERIES, CASES):
        record(section, page=str(page), fragments=tmp_path / "fragments")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Reliability, measured\n")
    assert text.index("## Cases\n") < text.index("## Deliveries at the webhook\n")
    assert "| statuses | completed: 2, failed: 1 |\n| reasons | none |\n" in text
    assert "| lost | 0 |\n| kinds | a\\|b, c |\n" in text


def test_a_suite_that_runs_again_replaces_its_section(tmp_path: Path) -> None:
    """The page shows only a suite's latest figures, and the other suites' unchanged."""
    page = tmp_path / "page.md"
    for section in (CASES, DELIVERIES, Section(1, "Cases", "Whole cases.", {"statuses": "all well"})):
        record(section, page=str(page), fragments=tmp_path / "fragments")
    text = page.read_text(encoding="utf-8")
    assert "completed: 2" not in text
    assert (text.count("## Cases"), text.count("all well"), text.count("## Deliveries")) == (1, 1, 1)


def test_nothing_is_written_unless_a_page_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary run of the tests changes no page."""
    monkeypatch.delenv("DOSSIER_SCORECARD", raising=False)
    record(CASES, fragments=tmp_path / "fragments")
    assert not list(tmp_path.iterdir())
