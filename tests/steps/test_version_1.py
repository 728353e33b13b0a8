"""What the version before revisions stored is read, and collected again."""

from __future__ import annotations

import json

from dossier.models import CaseStatus
from dossier.result import read_stored
from tests.conftest import Cloud
from tests.machine import World
from tests.steps.updates import stray
from tests.version1 import CASE, STORED, put_version_1

PREFIX = "cases/claims/R-1/"


def test_a_case_of_the_version_before_is_read(cloud: Cloud) -> None:
    """What it completed counts as revision 1, and its result is read, though it has no number."""
    put_version_1(cloud)
    record = cloud.app.cases.get(*CASE).record
    assert (record.status, record.revision, record.standing) == (CaseStatus.COMPLETED, 0, 1)
    result = read_stored(cloud.app.objects.read(f"{PREFIX}result.json") or b"")
    assert (result.case_id, result.revision, len(result.artifacts)) == (STORED["case_id"], 0, 3)


def test_a_case_of_the_version_before_is_collected_again(cloud: Cloud) -> None:
    """What it had is kept as revision 1, and what the vendor has by now is revision 2."""
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
    assert [each for each, _ in world.told] == ["Case Updated"]
    assert len(world.effects("document_uploaded")) == 1  # the one that was there
    assert world.refresh(*CASE)
    assert json.loads(cloud.app.objects.read(f"{PREFIX}result.json") or b"")["revision"] == 2
