"""Whole cases at each vendor of the sandbox, walked in process."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import pytest

from tests.chaos.scorecard import Section, record
from tests.conftest import Cloud
from tests.machine import STRIDE, World, samples
from tests.steps.files import FILES

ABOUT = """
Whole cases in one process, over AWS in memory and the sandbox (`tests/steps/test_cases.py`). In each case the test
kills a function before or after another call to AWS or to the vendor. It compares the result, without ids and times,
with that of an undisturbed case, and the uploads with the vendor's journal.
"""


@pytest.mark.rule("docsumo 2 step 3: the file is streamed", case="claims")
@pytest.mark.rule("docustack webhooks after the last try the delivery is lost", case="invoices")
@pytest.mark.parametrize("connection", FILES)
def test_a_case_goes_from_files_to_a_result(cloud: Cloud, connection: str) -> None:
    """Every document is uploaded once, and result, manifest and artifacts land in S3 with matching checksums."""
    world = World(cloud)
    result = world.submit(connection, "R-1", samples(*FILES[connection]))
    assert result["status"] == "completed", result
    assert len(result["documents"]) >= len(FILES[connection])
    assert result["artifacts"]
    for artifact in result["artifacts"]:
        body = cloud.app.objects.read(artifact["key"])
        assert body is not None
        assert (len(body), hashlib.sha256(body).hexdigest()) == (artifact["size"], artifact["sha256"])
    assert len(world.effects("document_uploaded")) == len(FILES[connection])
    assert world.retried == []


@pytest.mark.rule("security: cause a second upload, and a second bill")
def test_a_step_killed_around_any_external_call_changes_nothing(cloud: Cloud) -> None:
    """Killed before or after each call to AWS or to the vendor, one by one, the case ends with the same result."""
    scores = {connection: _walk(cloud, connection) for connection in FILES}
    rows = {f"{connection}: {name}": count for connection, score in scores.items() for name, count in score.items()}
    record(Section(4, "A crash around every external call", ABOUT, rows))


def _walk(cloud: Cloud, connection: str) -> dict[str, int]:
    """Kill a case of a connection at every call, a new case each time; return the figures."""
    files, score = samples(*FILES[connection]), Counter[str]()
    whole = World(cloud)
    expected = _telling(whole.submit(connection, "R-000", files))
    assert expected["status"] == "completed"
    assert len(expected["documents"]) == len(files)
    assert whole.killer.seen > 100
    score["calls of a case, before and after each"] = whole.killer.seen
    for number in range(0, whole.killer.seen, STRIDE):
        cloud.empty_table()
        world = World(cloud)
        world.killer.at = number
        result = _telling(world.submit(connection, f"R-{number + 1:03}", files))
        again = len(world.effects("document_uploaded")) - len(files)
        score["killed there, in a case each"] += len(world.retried)
        score["cases with the same result"] += result == expected
        score["documents uploaded again"] += again
        score["questions that an operator answered"] += len(world.asked)
        assert result == expected, (connection, number)
        assert (len(world.retried), again) == (1, 0), (connection, number, world.retried)
    return dict(score)


def _telling(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without the ids and times that differ from case to case."""
    ids = {str(document["document_id"]): f"<document {at}>" for at, document in enumerate(result["documents"])}
    ids |= {str(entry["timeline_id"]): f"<entry {at}>" for at, entry in enumerate(result["timeline"])}
    ids |= {str(result["case_id"]): "<case>", f"/{result['reference']}/": "/<reference>/"}
    ids |= {str(entry["timeline_id"]): f"<entry {at}>" for at, entry in enumerate(result["timeline"])}
    text = json.dumps(result)
    for each, name in ids.items():
        text = text.replace(each, name)
    answer: dict[str, Any] = json.loads(text)
    for changing in ("reference", "submitted_at", "collected_at", "completed_at"):
        del answer[changing]
    for artifact in answer["artifacts"]:
        del artifact["sha256"]
    return answer
