"""The samples of ``events/bus`` are the events that Dossier really puts on the bus."""

from __future__ import annotations

import json
import os

import pytest
from jsonschema import Draft202012Validator

from dossier.event_schema import json_schema
from tests.conftest import Cloud
from tests.machine import ROOT, World
from tests.steps.updates import happened

PUBLISHED = ROOT / "docs" / "events.schema.json"
SAMPLES = {each.stem: json.loads(each.read_text()) for each in sorted((ROOT / "events" / "bus").glob("*.json"))}


def test_samples_match_the_events_sent(cloud: Cloud) -> None:
    """Each detail-type has a sample, with the same keys."""
    world = World(cloud)
    happened(world)
    events = world.sent_events
    assert {kind for kind, _ in events} == {each["detail-type"] for each in SAMPLES.values()}
    schema = Draft202012Validator(json_schema())
    for kind, detail in events:
        schema.validate({"source": "dossier", "detail-type": kind, "detail": json.loads(json.dumps(detail))})
    for each in SAMPLES.values():
        assert any(set(detail) == set(each["detail"]) for kind, detail in events if kind == each["detail-type"]), each


def test_the_published_schema_is_the_models() -> None:
    """``docs/`` has it; DOSSIER_WRITE_SCHEMA=1 updates it."""
    text = json.dumps(json_schema(), indent=2) + "\n"
    if os.environ.get("DOSSIER_WRITE_SCHEMA"):
        PUBLISHED.write_text(text)
    assert PUBLISHED.read_text() == text


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_valid_and_nothing_else_is(name: str) -> None:
    """An extra key, a missing key, or another event's detail violates the schema."""
    schema = Draft202012Validator(json.loads(PUBLISHED.read_text()))
    Draft202012Validator.check_schema(schema.schema)
    sample = SAMPLES[name]
    schema.validate(sample)
    detail = sample["detail"]
    assert not schema.is_valid({**sample, "detail": {**detail, "odd": 1}})
    for key in detail:
        assert not schema.is_valid({**sample, "detail": {other: detail[other] for other in detail if other != key}})
    other = "Case Failed" if "question" in detail else "Case Needs Attention"
    assert not schema.is_valid({**sample, "detail-type": other})
