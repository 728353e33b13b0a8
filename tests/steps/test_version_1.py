"""Data of the version before revisions is read, and its cases are collected again."""

from __future__ import annotations

import json
from typing import Any

from dossier.models import CaseId, CaseStatus
from dossier.result import read_stored
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.meter import Meter
from tests.steps.answering import answering, json_answer
from tests.steps.updates import stray
from tests.version1 import CASE, STORED, put_version_1

PREFIX = "cases/claims/R-1/"


def test_case_of_the_previous_version_is_read(cloud: Cloud) -> None:
    """A case that it completed counts as revision 1, and its result is read, although it has no number."""
    put_version_1(cloud)
    record = cloud.app.cases.get(CASE).record
    assert (record.status, record.revision, record.standing) == (CaseStatus.COMPLETED, 0, 1)
    result = read_stored(cloud.app.objects.read(f"{PREFIX}result.json") or b"")
    assert (result.case_id, result.revision, len(result.artifacts)) == (STORED["case_id"], 0, 3)


def test_case_of_the_previous_version_is_collected_again(cloud: Cloud) -> None:
    """Its former result stays as revision 1, and the vendor's current state is revision 2."""
    world = World(cloud)
    put_version_1(cloud, stray(world, "claims"))
    before = cloud.app.objects.read(f"{PREFIX}result.json")
    assert len(world.refresh(*CASE)) == 1
    result = json.loads(cloud.app.objects.read(f"{PREFIX}result.json") or b"")
    assert (result["schema_version"], result["revision"], result["status"]) == ("2", 2, "completed")
    assert cloud.app.objects.read(f"{PREFIX}revisions/1/result.json") == before
    manifest = json.loads(cloud.app.objects.read(f"{PREFIX}revisions/1/manifest.json") or b"")
    for each in manifest["files"]:
        assert cloud.app.objects.read(each["key"], version_id=each["version_id"]) is not None, each
    assert [each for each, _ in world.sent_events] == ["Case Updated"]
    assert len(world.effects("document_uploaded")) == 1  # the one that was there
    assert world.refresh(*CASE)
    assert json.loads(cloud.app.objects.read(f"{PREFIX}result.json") or b"")["revision"] == 2


def test_a_standing_answer_without_its_digest_is_read_as_the_role_allows(cloud: Cloud) -> None:
    """The former version stored no digest of an answer's content, so the object is read again, without its version.

    A read by version would need s3:GetObjectVersion, which the role of ``download`` does not have.
    """
    meter = Meter()
    meter.attach(cloud.session)
    world, text = World(cloud), {"read_at": "2026-01-01T00:00:00Z"}
    dated: Any = lambda request, told: json_answer(request, {**told.json(), **text})  # noqa: E731
    answering(world, "/api/v1/documents/", dated)
    world.submit("invoices", "R-1", samples("invoice.pdf"))
    [answer] = cloud.app.cases.get(CaseId("invoices", "R-1")).artifacts
    assert answer.content
    assert answer.version_id
    cloud.app.cases.put_artifact(CaseId("invoices", "R-1"), answer.model_copy(update={"content": ""}))
    text["read_at"] = "2026-01-02T00:00:00Z"  # other bytes, and the same answer
    meter.calls.clear()
    assert world.refresh("invoices", "R-1")
    assert ("", "s3:GetObject", f"object:{answer.key}") in meter.calls
    assert not [action for _, action, _ in meter.calls if action == "s3:GetObjectVersion"]
    assert cloud.app.cases.get(CaseId("invoices", "R-1")).record.revision == 1  # nothing differs
