"""A case with fields of low confidence wants review: the result, the event and the case itself say so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Cloud
from tests.machine import World, samples


class Bus:
    """Remembers what was put on it."""

    def __init__(self) -> None:
        self.details: list[tuple[str, dict[str, Any]]] = []

    def put(self, kind: str, detail: dict[str, Any]) -> None:
        """Take an event."""
        self.details.append((kind, detail))


@pytest.mark.parametrize(("below", "wanted"), [(None, False), (0.0, False), (1.0, True)])
def test_low_confidences_want_review(cloud: Cloud, below: float | None, wanted: bool) -> None:
    """Fields below the connection's ``review_below`` are marked, and only then the case wants review."""
    world, bus = World(cloud), Bus()
    vars(cloud.app)["events"] = bus
    world.connections["invoices"] = world.connections["invoices"].model_copy(update={"review_below": below})
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    marked = [each for each in result["documents"][0]["fields"] if each["review"]]
    assert bool(marked) is wanted
    assert all(each["confidence"] < (below or 0) for each in marked)
    assert (result["status"], result["review"]) == ("completed", wanted)
    assert cloud.app.cases.get("invoices", "R-1").record.review is wanted
    assert [(kind, detail["review"]) for kind, detail in bus.details] == [("Case Completed", wanted)]
