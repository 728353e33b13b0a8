"""Operators work on finished cases for a while: at the end every result equals what the vendor has."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from dossier.models import CaseId, now
from dossier.result import read_stored
from dossier.revisions import content
from dossier.steps.compare import compare
from dossier.steps.wake import wake
from dossier.vendors.docsumo import flows
from tests.chaos.scorecard import Section, record
from tests.conftest import Cloud
from tests.machine import World, samples

CASES = int(os.environ.get("DOSSIER_IN_STEP_CASES", "4"))
EDITS = int(os.environ.get("DOSSIER_IN_STEP_EDITS", "30"))
EACH = 10
"""Edits between two comparisons, where deliveries are lost."""
STAGES = ("stage__review", "stage__approved", "stage__rejected")
ABOUT = """
People at the vendor move, assign and correct finished Docsumo cases, and add, replace and remove files
(`tests/steps/test_in_step.py`, in process). The deliveries about it arrive at once, or twice and in another order, or
not at all. At the end the test compares each result and its artifacts with the vendor's list and storage, each revision
with the one before, and the events with the revisions.
"""
ROWS: dict[str, Any] = {}


class Operators:
    """People at the vendor, who change finished cases."""

    def __init__(self, world: World, case_ids: list[str]) -> None:
        self._world, self._case_ids, self._random = world, case_ids, Random(11)
        self.edits: Counter[str] = Counter()

    def edit(self) -> str:
        """Change one case in one way; return its id."""
        case_id, ways = self._random.choice(self._case_ids), ("stage", "assignee", "fields", "add", "replace", "remove")
        way = self._random.choice(ways)
        place = f"/_sandbox/docsumo/cases/{case_id}"
        word = f"{self._random.getrandbits(40):x}"
        files = vendors_files(self._world, case_id)
        made = [each for each in files if each["generated"]]
        if way == "stage":
            answer = self._post(f"{place}/stage", {"stage_id": self._random.choice(STAGES)})
        elif way == "assignee":
            answer = self._post(f"{place}/edit", {"assigned_to": f"user__{word}"})
        elif way == "fields":
            answer = self._post(f"{place}/edit", {"fields": {"invoice_number": word}})
        elif way == "remove" and len(made) > 1:
            answer = self._world.sandbox.delete(f"{place}/files/{self._random.choice(made)['file_id']}")
        else:
            name = self._random.choice(files)["filename"] if way == "replace" else f"note {word}.txt"
            answer = self._post(f"{place}/files", {"filename": name, "text": word})
        answer.raise_for_status()
        self.edits[way] += 1
        return case_id

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._world.sandbox.post(path, json=body)


def vendors_files(world: World, case_id: str) -> list[dict[str, Any]]:
    """Return the files that storage serves of a case."""
    return list(world.sandbox.get("/_sandbox/artifacts", params={"case_id": case_id}).json()["artifacts"])


def tell(world: World, case_id: str) -> None:
    """Apply a delivery about a case."""
    body = json.dumps({"event": "case_updated", "case_id": case_id}).encode()
    assert wake("claims", body, look=1, received_at=now(), context=world.context).done


@pytest.mark.parametrize("deliveries", ["at once", "doubled and reordered", "lost"])
def test_finished_cases_stay_in_step(cloud: Cloud, deliveries: str) -> None:
    """Every result equals the vendor's state, no revision its neighbour; each has an event, nothing is uploaded."""
    world, chance, held = World(cloud), Random(5), list[str]()
    references = [f"R-{number}" for number in range(CASES)]
    for reference in references:
        assert world.submit("claims", reference, samples("invoice.pdf"))["status"] == "completed"
    ids = {each: str(world.context.cases.get(CaseId("claims", each)).record.case_id) for each in references}
    operators, before = Operators(world, list(ids.values())), len(world.journal())
    refreshes = 0
    for number in range(1, EDITS + 1):
        world.ahead += chance.uniform(0, 30)
        held += [operators.edit()] * (2 if deliveries == "doubled and reordered" else 1)
        if deliveries == "at once" or (deliveries != "lost" and chance.random() < 0.2):
            chance.shuffle(held)
            for case_id in held:
                tell(world, case_id)
            held.clear()
        if deliveries == "lost" and number % EACH == 0:
            compare(["claims"], context=world.context)
        if chance.random() < 0.5:
            refreshes += len(world.run_started())
    for case_id in held if deliveries != "lost" else ():
        tell(world, case_id)
    world.ahead += 5
    if deliveries == "lost":
        compare(["claims"], context=world.context)
    refreshes += len(world.run_started())

    for reference, case_id in ids.items():
        equals_the_vendor(world, reference, case_id)
    revisions = {each: world.context.cases.get(CaseId("claims", each)).record.revision for each in references}
    events = [(str(detail["reference"]), int(detail["revision"])) for _, detail in world.sent_events]
    assert sorted(events) == sorted((each, n) for each in references for n in range(1, revisions[each] + 1))
    for reference in references:
        for one, other in pairwise(range(1, revisions[reference] + 1)):
            assert stored(world, reference, one) != stored(world, reference, other), (reference, other)
    assert len(world.effects("document_uploaded")) == CASES
    ROWS[f"deliveries {deliveries}"] = {
        "edits": operators.edits.total(),
        "refreshes": refreshes,
        "revisions after the first": sum(revisions.values()) - CASES,
        "requests to the vendor": len(world.journal()) - before,
        "results that differ from the vendor's state": 0,
        "documents uploaded again": 0,
    }
    record(Section(5, f"{CASES} finished cases, {EDITS} edits of theirs", ABOUT, ROWS))


def equals_the_vendor(world: World, reference: str, case_id: str) -> None:
    """Check a result and its artifacts against the vendor's list and storage."""
    connection = world.connection("claims")
    flow = flows.find_cases(connection, {case_id}, since=None)  # type: ignore[arg-type]
    entry = world.transport.run(flow, vendor=world.context.vendor_of(connection))[case_id]
    result = read_stored(world.cloud.app.objects.read(f"cases/claims/{reference}/result.json") or b"")
    assert result.stage_id == entry.stage_id
    assert result.assigned_to == entry.raw["assigned_to"]
    assert sorted(each.sha256 for each in result.artifacts) == sorted(
        each["sha256"] for each in vendors_files(world, case_id)
    )
    for each in result.artifacts:
        assert world.cloud.app.objects.facts_of(each.key).sha256 == each.sha256


def stored(world: World, reference: str, number: int) -> Any:
    """Return a revision's content, without times and numbers."""
    body = world.cloud.app.objects.read(f"cases/claims/{reference}/revisions/{number}/result.json")
    return content(read_stored(body or b""))
