"""Answers that changed since a vendor's guide was written: kept, counted, and no case breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Cloud
from tests.contract.suite import with_extra_keys
from tests.machine import World, samples
from tests.steps.files import FILES
from tests.steps.later import later

Counted = list[tuple[str, dict[str, str]]]


def counting(world: World) -> Counted:
    """Return a list that receives the metrics of the world's steps from now on."""
    counted: Counted = []

    def count(name: str, value: int = 1, **dimensions: str) -> None:
        counted.extend([(name, dimensions)] * value)

    world.context = world.context.replacing(count=count)
    return counted


def without(key: str) -> Callable[[Any], Any]:
    """Return a function that removes a key from every object."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(each) for name, each in value.items() if name != key}
        return [change(each) for each in value] if isinstance(value, list) else value

    return change


@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted", case="claims"
)
@pytest.mark.rule(
    "docustack notes, the rest an answer with a new or missing field is stored and counted", case="invoices"
)
@pytest.mark.rule("ombudsman notes an answer with a new or missing field is stored and counted", case="disputes")
@pytest.mark.parametrize("connection", FILES)
def test_answers_like_the_guides_count_nothing(cloud: Cloud, connection: str) -> None:
    """A vendor whose answers match its guide is never counted."""
    world = World(cloud)
    counted = counting(world)
    assert world.submit(connection, "R-1", samples(*FILES[connection]))["status"] == "completed"
    assert counted == []


@pytest.mark.rule(
    "docsumo notes, ids and answers an answer with a new or missing field is stored and counted", case="claims"
)
@pytest.mark.rule(
    "docustack notes, the rest an answer with a new or missing field is stored and counted", case="invoices"
)
@pytest.mark.rule("ombudsman notes an answer with a new or missing field is stored and counted", case="disputes")
@pytest.mark.parametrize("connection", FILES)
def test_new_fields_are_counted_and_kept(cloud: Cloud, connection: str) -> None:
    """New fields in every object of every answer are stored and counted, and the case completes."""
    world = World(cloud)
    counted = counting(world)
    later(world, with_extra_keys)
    result = world.submit(connection, "R-1", samples(*FILES[connection]))
    assert result["status"] == "completed", result
    assert set(map(str, counted)) == {str(("AnswerDrift", {"connection": connection, "kind": "new"}))}
    kept = [key for key, _ in cloud.app.objects.list(f"cases/{connection}/R-1/vendor/")]
    assert kept
    assert all(b"a_key_of_tomorrow" in (cloud.app.objects.read(key) or b"") for key in kept)


@pytest.mark.rule(
    "docustack notes, the rest an answer with a new or missing field is stored and counted", case="invoices-confidence"
)
@pytest.mark.rule(
    "ombudsman notes an answer with a new or missing field is stored and counted", case="disputes-case_type_name"
)
@pytest.mark.parametrize(("connection", "key"), [("invoices", "confidence"), ("disputes", "case_type_name")])
def test_missing_fields_are_counted(cloud: Cloud, connection: str, key: str) -> None:
    """A field that the vendor removes: the case completes without it, and the drift is counted."""
    world = World(cloud)
    counted = counting(world)
    later(world, without(key))
    result = world.submit(connection, "R-1", samples(*FILES[connection]))
    assert result["status"] == "completed", result
    assert ("AnswerDrift", {"connection": connection, "kind": "missing"}) in counted
    assert {dimensions["kind"] for _, dimensions in counted} == {"missing"}
