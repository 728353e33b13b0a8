"""The part about a vendor that turns slower has a schedule of its own, and says when a target is missed."""

from __future__ import annotations

from pathlib import Path

from bench.slower import POLL, connections, section
from dossier.connections import load_toml


def test_its_connection_has_its_schedule(tmp_path: Path) -> None:
    """The others are as they ship."""
    (tmp_path / "connections.toml").write_text(connections().replace("SANDBOX", "http://127.0.0.1:1"))
    found = load_toml(tmp_path / "connections.toml")
    assert found["invoices"].poll == POLL
    assert found["claims"].poll != POLL


def test_a_storm_or_a_starved_case_is_a_missed_target() -> None:
    """Many times the polls of growing intervals, or a delay beyond the longest one."""
    learned = {"cases": 16, "polls": 2.0, "growing": 2.5, "delay": [0.5, 0.1, 1.0]}
    good = {"cases": 10, "polls": 12.0, "growing": 6.0, "delay": [3.0, 0.5, 9.0]}
    bad = {**good, "polls": 20.0, "delay": [3.0, 0.5, 30.0]}
    assert "\n".join(section({"learned": learned, "then": good})).count("| yes |") == 2
    assert "\n".join(section({"learned": learned, "then": bad})).count("| **no** |") == 2
