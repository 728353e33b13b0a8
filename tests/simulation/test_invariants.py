"""What the simulation itself relies on: a violation is heard of wherever it happens, and a history fits on a page."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from dossier.connections import load_toml
from tests.simulation.invariants import ViolatedError
from tests.simulation.run import settings_of
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import PAGE, Trace
from tests.simulation.world import toml


def test_violation_inside_of_a_function_stops_the_history() -> None:
    """Whatever catches errors there: a failed function is invoked again, an event loop keeps its task's error."""
    scheduler, ran = Scheduler(), []

    def work() -> None:
        with suppress(Exception):
            scheduler.fail(ViolatedError("no document is at the vendor twice", "C-0000"))
        scheduler.sleep(1)

    scheduler.spawn("upload", work, lambda *_: None)
    scheduler.later(0.5, lambda: ran.append("later"))
    with pytest.raises(ViolatedError, match="at the vendor twice: C-0000"):
        scheduler.run()
    assert not ran
    scheduler.end()


def test_long_history_fits_on_a_page() -> None:
    """Repeated lines are written once; other cases' are left out, and the first and the last lines stay."""
    trace = Trace(keep=True)
    trace("submit", reference="C-0001")
    for number in range(500):
        trace("retry", state="Upload", after=number, reference="C-0001")
        trace("state", state="Poll", reference="C-0002")
    for number in range(100):
        trace("event", kind="abcdefghij"[number % 10] * (1 + number // 10), reference="C-0001")
    page = trace.page("C-0001")
    assert len(page) <= PAGE
    assert "submit" in page[0]
    assert page[1].endswith("… 500 times")
    assert "jjjjjjjjjj" in page[-1]
    assert not any("C-0002" in each for each in page)


def test_operator_has_the_deployed_connections(tmp_path: Path) -> None:
    """Another rate than the functions', say, would not keep the account's."""
    deployed = settings_of(4)
    (tmp_path / "connections.toml").write_text(toml(deployed))
    known = load_toml(tmp_path / "connections.toml")
    assert {name: each.model_dump() for name, each in known.items()} == {
        name: each.model_dump() for name, each in deployed.items()
    }
