"""Schedules of polls are compared with the guides' loops; ``tests/unit/test_schedule.py`` tests the planner."""

from __future__ import annotations

import pytest

from bench.polling import run, section
from bench.schedules import PHASES, compare


@pytest.mark.slow
def test_section_compares_each_phase_with_its_guide() -> None:
    """A target for each phase, and a row for each schedule."""
    found = run(20)
    lines = section(found)
    assert len([line for line in lines if "at most 1/3 of the guide" in line]) == len(PHASES)
    assert len([line for line in lines if "| the guide's loop |" in line]) == 3 * len(PHASES)
    assert any("learned from eleven, six of them ten times faster" in line for line in lines)
    assert any("| then ten times slower | assessment |" in line for line in lines)


@pytest.mark.slow
def test_one_document_is_seen_in_a_third_of_the_guides_delay() -> None:
    """With no more requests than the guide's loop sends; ``dossier.schedule.PRICE`` decides between the two."""
    guide, _, learned, *_ = compare(PHASES[0])
    assert learned.median <= guide.median / 3
    assert learned.requests <= guide.requests


def test_section_says_what_is_missed() -> None:
    """Fewer seconds for more requests do not count."""
    rows = [
        {"phase": "p", "schedule": name, "requests": requests, "median": median, "mean": 1.0, "longest": 2.0}
        for name, requests, median in (("guide", 5.0, 3.0), ("growing", 4.0, 6.0), ("learned", 6.0, 0.9))
    ]
    slow = {"document": {"requests": 30.0, "guide": 20.0, "median": 9.0, "longest": 63.0}}
    found = {"typical": [rows], "few": [], "changed": [], "simulated": {"slower": slow}}
    text = "\n".join(section(found))
    assert "| 0.30, 1.20 times the requests | **no** |" in text
    assert "| 1.50 times | **no** |" in text
    assert "| 63.0 s | **no** |" in text
