"""A batch on the deployed local AWS: interrupted half-way, and run again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.e2e.otherservers import DocuStack
from tests.e2e.world import World, until

CASES = int(os.environ.get("DOSSIER_BATCH_CASES", "20"))


def test_a_batch_interrupted_half_way_and_run_again(world: World) -> None:
    """Each case is uploaded once, none is missing, and a bad line stops nothing; all of it is listed in S3."""
    names = [world.name("batch") for _ in range(CASES)]
    file, slow = _file(world, names), names[CASES // 2 :]
    for each in slow:
        world.vendors.plan(each, seconds=3600.0)  # until the batch is stopped
    begun = world.dossier("batch", str(file), "--concurrency", "2", code=1).document
    assert [each["line"] for each in begun["bad"]] == [CASES + 1]
    batch = begun["batch_id"]

    def half() -> bool:
        return bool(world.dossier("batch", "status", batch).document["completed"] >= CASES // 3)

    until(half, what="the batch gets nowhere")
    stopped = world.dossier("batch", "stop", batch).document
    assert stopped["state"] == "stopped"
    assert stopped["to_start"] > 0
    _release(world, slow)
    again = world.dossier("batch", str(file), "--concurrency", "3", code=1).document
    assert (again["batch_id"], again["state"]) == (batch, "running")
    world.dossier("batch", "status", batch, "--concurrency", "8")
    ended = world.dossier("batch", "status", batch, "--wait").document

    assert (ended["state"], ended["completed"], ended["failed"]) == ("ended", CASES, 0)
    assert len(world.vendors.uploads("batch.")) == CASES
    results = _lines(world, ended["results_key"])
    assert sorted(each["reference"] for each in results) == sorted(names)
    assert all(world.result("scans", each["reference"])["status"] == "completed" for each in results[:3])
    assert _lines(world, ended["failures_key"]) == []
    summary = json.loads(world.read(f"batches/{batch}/summary.json"))
    assert (summary["run"], summary["completed"]) == (2, CASES)
    assert world.dossier("batch", str(file), code=1).document["state"] == "ended"


def _release(world: World, names: list[str]) -> None:
    """Have the vendor finish the documents of cases, those that it has and those to come."""
    for each in names:
        world.vendors.plan(each, seconds=0.3)
    desk = world.vendors.desks["scans"]
    assert isinstance(desk, DocuStack)
    for paper in list(desk.papers.values()):
        if paper.began is not None and paper.sent.name.removesuffix(".pdf") in names:
            paper.began -= 3600


def _file(world: World, names: list[str]) -> Path:
    cases: list[dict[str, Any]] = [
        {"connection": "scans", "reference": each, "documents": [str(world.file(f"{each}.pdf"))]} for each in names
    ]
    cases.append({"connection": "scans", "reference": "bad", "documents": ["nowhere.pdf"]})
    file = world.file("batch.jsonl")
    file.write_text("".join(f"{json.dumps(each)}\n" for each in cases))
    return file


def _lines(world: World, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.read(key).splitlines()]
