"""Whole cases at each vendor of the sandbox, walked in process."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import pytest

from tests.conftest import Cloud
from tests.machine import World, samples

STRIDE = int(os.environ.get("DOSSIER_CRASH_STRIDE", "29"))
"""Every how many-th call the crash test kills at: all of them in ``make chaos``."""
FILES = {
    "invoices": ("invoice.pdf", "scan.tiff"),
    "claims": ("invoice.pdf", "receipt.png", "scan.tiff"),
    "disputes": ("invoice.pdf", "complaint.docx", "receipt.png"),
}


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


@pytest.mark.parametrize("connection", FILES)
def test_a_step_killed_around_any_external_call_changes_nothing(cloud: Cloud, connection: str) -> None:
    """Killed before or after each call to AWS or to the vendor, one by one, the case ends with the same result."""
    files = samples(*FILES[connection])
    whole = World(cloud)
    expected = _telling(whole.submit(connection, "R-000", files))
    assert expected["status"] == "completed"
    assert len(expected["documents"]) == len(files)
    assert whole.killer.seen > 100
    for number in range(0, whole.killer.seen, STRIDE):
        world = World(cloud)
        world.killer.at = number
        result = world.submit(connection, f"R-{number + 1:03}", files)
        assert len(world.retried) == 1, (number, world.retried)
        assert _telling(result) == expected, number
        assert len(world.effects("document_uploaded")) == len(files), number


def _telling(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a result tells, without what differs from case to case: ids, and when it was."""
    ids = {str(document["document_id"]): f"<document {at}>" for at, document in enumerate(result["documents"])}
    ids |= {str(result["case_id"]): "<case>", f"/{result['reference']}/": "/<reference>/"}
    text = json.dumps(result)
    for each, name in ids.items():
        text = text.replace(each, name)
    told: dict[str, Any] = json.loads(text)
    for changing in ("reference", "submitted_at", "completed_at"):
        del told[changing]
    for artifact in told["artifacts"]:
        del artifact["sha256"]
    return told
