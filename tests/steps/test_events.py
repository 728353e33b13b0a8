"""The samples of ``events/bus`` are what Dossier really puts on the bus."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dossier.event_schema import json_schema
from dossier.models import CaseId
from tests.conftest import Cloud
from tests.machine import ROOT, World, samples

PUBLISHED = ROOT / "docs" / "events.schema.json"
SAMPLES = {each.stem: json.loads(each.read_text()) for each in sorted((ROOT / "events" / "bus").glob("*.json"))}


def happened(cloud: Cloud) -> list[tuple[str, dict[str, Any]]]:
    """Let a case complete and change, another one fail, and a third one ask; return the events."""
    world = World(cloud)
    world.submit("claims", "CLAIM-7", samples("invoice.pdf"))
    case_id = world.context.cases.get(CaseId("claims", "CLAIM-7")).record.case_id
    world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id}/stage", json={"stage_id": "stage__approved"})
    world.refresh("claims", "CLAIM-7")
    world.submit("claims", "CLAIM-8", {"invoice.pdf": b""})
    lost = {"name": "lost_after", "operation": "create", "rate": 1, "times": 1}
    world.sandbox.post("/_sandbox/settings", json={"faults": [lost]})
    world.submit("disputes", "DISPUTE-3", samples("complaint.docx"))
    return world.told


def test_samples_match_the_events_sent(cloud: Cloud) -> None:
    """Each detail-type has a sample, with the same keys."""
    told = happened(cloud)
    assert {kind for kind, _ in told} == {each["detail-type"] for each in SAMPLES.values()}
    schema = Draft202012Validator(json_schema())
    for kind, detail in told:
        schema.validate({"source": "dossier", "detail-type": kind, "detail": json.loads(json.dumps(detail))})
    for each in SAMPLES.values():
        assert any(set(detail) == set(each["detail"]) for kind, detail in told if kind == each["detail-type"]), each


def test_the_published_schema_is_the_models() -> None:
    """``docs/`` has it; DOSSIER_WRITE_SCHEMA=1 updates it."""
    text = json.dumps(json_schema(), indent=2) + "\n"
    if os.environ.get("DOSSIER_WRITE_SCHEMA"):
        PUBLISHED.write_text(text)
    assert PUBLISHED.read_text() == text


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_valid_and_nothing_else_is(name: str) -> None:
    """A key too many, a key too few, or another event's detail is not what the schema says."""
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
