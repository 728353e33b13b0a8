"""A case with fields of low confidence needs review: the result, the event and the case show it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from dossier import vendors
from dossier.http import Reply
from dossier.models import CaseId
from tests.conftest import Cloud
from tests.machine import World, samples


class Bus:
    """Remembers what was put on it."""

    def __init__(self) -> None:
        self.details: list[tuple[str, dict[str, Any]]] = []

    def put(self, kind: str, detail: dict[str, Any]) -> None:
        """Take an event."""
        self.details.append((kind, detail))


@pytest.mark.rule("docustack notes, the rest fields below review_below are marked", case="1.0-True")
@pytest.mark.rule("docustack notes, the rest fields below review_below are marked", case="None-False")
@pytest.mark.parametrize(("below", "wanted"), [(None, False), (0.0, False), (1.0, True)])
def test_low_confidence_needs_review(cloud: Cloud, below: float | None, wanted: bool) -> None:
    """Fields below the connection's ``review_below`` are marked, and only then does the case need review."""
    world, bus = World(cloud), Bus()
    world.context = world.context.replacing(events=bus)
    world.connections["invoices"] = world.connections["invoices"].model_copy(update={"review_below": below})
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    marked = [each for each in result["documents"][0]["fields"] if each["review"]]
    assert bool(marked) is wanted
    assert all(each["confidence"] < (below or 0) for each in marked)
    assert (result["status"], result["review"]) == ("completed", wanted)
    assert cloud.app.cases.get(CaseId("invoices", "R-1")).record.review is wanted
    assert [(kind, detail["review"]) for kind, detail in bus.details] == [("Case Completed", wanted)]


def _answering(world: World, confidence: Any) -> None:
    """Have the vendor give every field this confidence, or none at all (``...``)."""
    read = world.transport._once

    def changed(request: Any, *rest: Any) -> Any:
        reply = read(request, *rest)
        body = json.loads(reply.body)
        for each in body.get("field_values", []):
            each.pop("confidence") if confidence is ... else each.update(confidence=confidence)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    world.transport._once = changed  # type: ignore[method-assign]


@pytest.mark.rule("docustack document and field values confidence")
@pytest.mark.parametrize(
    ("confidence", "settings", "wanted"),
    [
        ("31%", {"review_below": 0.5}, True),
        ("0,31", {"review_below": 0.3}, False),
        ("high", {"review_below": 0.0}, True),
        ("high", {}, False),
        (..., {"review_below": 1.0}, False),
        (..., {"review_below": 0.0, "review_missing": True}, True),
        (None, {"review_below": 0.0, "review_missing": True}, True),
        (0.9, {"review_below": 0.5, "review_missing": True}, False),
    ],
)
def test_odd_or_missing_confidence_needs_review(
    cloud: Cloud, confidence: Any, settings: dict[str, Any], wanted: bool
) -> None:
    """With ``review_below``, an unreadable confidence needs review; a missing one does if the setting says so."""
    world = World(cloud)
    world.connections["invoices"] = world.connections["invoices"].model_copy(update=settings)
    _answering(world, confidence)
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    assert {each["review"] for each in result["fields"]} == {wanted}
    assert result["review"] is wanted


@pytest.mark.parametrize(
    ("vendor", "settings", "problem"),
    [
        ("ombudsman", {"tenant": "t", "review_below": 0.5}, "ombudsman gives no confidences"),
        ("docsumo", {"casetype_id": "c", "review_below": 0.5}, "docsumo gives no confidences"),
        ("docustack", {"schema_id": "s", "organization_id": "o", "review_missing": True}, "needs review_below"),
    ],
)
def test_review_without_confidences_is_an_error(vendor: str, settings: dict[str, Any], problem: str) -> None:
    """A threshold that nothing can fall below is a mistake, and the deployment says so."""
    with pytest.raises(ValidationError, match=problem):
        vendors.connection_model(vendor).model_validate(
            {"name": "x", "vendor": vendor, "base_url": "https://x.example.com", **settings}
        )
