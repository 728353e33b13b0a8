"""Functions start in their own processes, as a cold start does."""

from __future__ import annotations

import pytest

from bench import starts
from bench.webhook import BARE, DOSSIER


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure one function."""
    monkeypatch.setattr(starts, "VERBS", ["webhook"])


@pytest.mark.usefixtures("few")
def test_a_cold_function_imports_more_than_a_bare_one_and_answers() -> None:
    """The first delivery takes Dossier one request more than each later one: the secret."""
    found = starts.run(1)
    modules = {name: each["modules"] for name, each in found["starts"].items()}
    assert found["interpreter"]["modules"] < modules[BARE] < modules["webhook"]
    assert {who: each["requests"] for who, each in found["first"].items()} == {DOSSIER: 5, BARE: 1}
    assert all(each["seconds"] > 0 for each in (*found["starts"].values(), *found["first"].values()))


def test_section_says_which_function_misses() -> None:
    """Ratios are without what the interpreter alone takes."""
    first = {who: {"seconds": 0.5, "requests": 1} for who in (DOSSIER, BARE)}
    each = {
        BARE: {"seconds": 0.6, "modules": 600},
        "webhook": {"seconds": 0.7, "modules": 650},
        "poll": {"seconds": 0.9, "modules": 900},
    }
    found = {
        "interpreter": {"seconds": 0.1, "modules": 100},
        "starts": each,
        "first": first,
        "layers": {"ours": 3 << 20},
    }
    text = "\n".join(starts.section(found))
    assert "| ours | 3.0 |" in text
    assert "| 1.60 (poll) | **no** |" in text
    assert "| webhook | 600 | 1.20 | 550 | 1.10 |" in text
