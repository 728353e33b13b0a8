"""Both handlers answer the same deliveries, and their requests to AWS are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.moving import server
from bench.webhook import BARE, DOSSIER, Storm, in_process, section


def test_handlers_answer_the_same_deliveries() -> None:
    """A delivery takes Dossier four requests: the claim, the evidence, the message, the note that both are there."""
    found = in_process(5)
    assert {who: each["requests"] for who, each in found.items()} == {DOSSIER: 4, BARE: 1}
    assert all(each["cpu_ms"] > each["own_ms"] > 0 for each in found.values())


def test_senders_count_their_deliveries(tmp_path: Path) -> None:
    """As many as were answered, with the times of the answers; another answer than 200 fails the part."""
    with server(tmp_path, "receiver") as url:
        found = Storm(f"{url}/webhook").blow(2, 0.2)
        assert found["per_second"] > 1
        assert 0 < found["median"] <= found["most"]
    with pytest.raises(ConnectionError, match="refused"):
        Storm(f"{url}/webhook").blow(1, 0.1)


def test_section_says_what_is_missed() -> None:
    """CPU a delivery, and the same a request."""
    calls = {
        DOSSIER: {"cpu_ms": 2.4, "own_ms": 0.3, "requests": 4},
        BARE: {"cpu_ms": 0.5, "own_ms": 0.01, "requests": 1},
    }
    rates = {str(senders): {"per_second": 50, "median": 0.02, "most": 0.05} for senders in (1, 8, 32)}
    text = "\n".join(section({"in_process": calls, "api": {DOSSIER: rates, BARE: rates}}))
    assert "| 4.80 | **no** |" in text
    assert "| 1.20 | yes |" in text
    assert "| 8 senders | 50 | 50 | 1.00 | 20 | 50 | 20 | 50 |" in text
