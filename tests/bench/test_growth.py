"""A few cases wait at once in the simulator, and everything that they use is counted."""

from __future__ import annotations

import pytest

from bench.growth import run, section


@pytest.mark.slow
def test_cases_that_wait_are_counted() -> None:
    """All of them wait at the same time, and each ends."""
    found = run((3,))["3"]
    assert found["waiting"] == 3
    assert found["transitions"] >= 7 + 7 + 12
    assert found["polls"] > 10
    assert found["CPU seconds"] > 0


def test_section_names_the_count_that_grows_most() -> None:
    """A count that grows faster than the cases misses the target."""
    few = {"waiting": 100, "invocations": 100, "polls": 10, "CPU seconds": 5.0}
    many = {"waiting": 1000, "invocations": 1000, "polls": 120, "CPU seconds": 40.0}
    text = "\n".join(section({"100": few, "1000": many}))
    assert "| 12.00 (polls) | **no** |" in text
    assert "| The same for CPU | 8.00 | yes |" in text
