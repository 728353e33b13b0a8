"""The samples of ``events/bus`` are what Dossier really puts on the bus."""

from __future__ import annotations

import json
from typing import Any

from dossier.models import CaseId
from tests.conftest import Cloud
from tests.machine import ROOT, World, samples

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
    for each in SAMPLES.values():
        assert any(set(detail) == set(each["detail"]) for kind, detail in told if kind == each["detail-type"]), each
