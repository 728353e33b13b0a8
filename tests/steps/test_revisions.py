"""After the end: a finished case stays in step with its vendor, revision by revision."""

from __future__ import annotations

import json

import pytest

from dossier.models import CaseId, now
from dossier.result import read_stored
from dossier.revisions import content
from dossier.steps.wake import wake
from tests.conftest import Cloud
from tests.machine import STRIDE, World, samples
from tests.steps.files import FILES
from tests.steps.updates import case_id, completed, deliver, move, read, whole

CASE = CaseId("claims", "R-1")
PREFIX = "cases/claims/R-1/"


def test_the_first_completion_is_revision_1(cloud: Cloud) -> None:
    """Result, manifest and status show it, with the vendor's attributes of its case; every file is named by version."""
    world = completed(cloud)
    result, manifest = read(cloud, f"{PREFIX}result.json"), read(cloud, f"{PREFIX}manifest.json")
    assert (result["schema_version"], result["revision"], manifest["revision"]) == ("2", 1, 1)
    assert (result["vendor_status"], result["stage_id"], result["assigned_to"]) == ("processed", "stage__review", None)
    assert result["collected_at"] <= result["completed_at"]
    assert read(cloud, f"{PREFIX}revisions/1/result.json") == result
    whole(cloud, manifest)
    whole(cloud, read(cloud, f"{PREFIX}revisions/1/manifest.json"))
    record = world.context.cases.get(CASE).record
    assert (record.revision, record.stage_id, record.committed) == (1, "stage__review", None)


def test_an_operators_edit_becomes_the_next_revision(cloud: Cloud) -> None:
    """The stage changes, a file appears, a delivery arrives: revision 2 is complete, and revision 1 stays readable."""
    world = completed(cloud)
    first = read(cloud, f"{PREFIX}result.json")
    move(world, "stage__approved")
    assert len(deliver(world, {"case_id": case_id(world)})) == 1
    second = read(cloud, f"{PREFIX}result.json")
    assert (second["revision"], second["stage_id"]) == (2, "stage__approved")
    added = {each["name"] for each in second["artifacts"]} - {each["name"] for each in first["artifacts"]}
    assert added == {"stage_approved.pdf"}
    for number, result in ((1, first), (2, second)):
        assert read(cloud, f"{PREFIX}revisions/{number}/result.json") == result
        whole(cloud, read(cloud, f"{PREFIX}revisions/{number}/manifest.json"))
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))
    assert len(world.effects("document_uploaded")) == 1
    short = world.context.cases.get(CASE).revisions
    assert [(each.number, each.status) for each in short] == [(1, "completed"), (2, "completed")]
    assert short[1].changes["stage_id"] == {"from": "stage__review", "to": "stage__approved"}
    assert short[1].changes["artifacts"] == {"added": ["stage_approved.pdf"]}


@pytest.mark.parametrize("connection", FILES)
def test_a_collection_that_finds_nothing_new_leaves_no_trace(cloud: Cloud, connection: str) -> None:
    """No revision, no object of the case is written, and no file is fetched again."""
    world = completed(cloud, connection)
    s3, prefix = cloud.session.client("s3"), f"cases/{connection}/R-1/"
    before = s3.list_object_versions(Bucket=cloud.app.objects.bucket, Prefix=prefix)["Versions"]
    served = len(world.effects("artifact_served"))
    assert len(world.refresh(connection, "R-1")) == 1
    after = s3.list_object_versions(Bucket=cloud.app.objects.bucket, Prefix=prefix)["Versions"]
    assert [each["VersionId"] for each in after] == [each["VersionId"] for each in before]
    assert len(world.effects("artifact_served")) == served
    assert world.context.cases.get(CaseId(connection, "R-1")).record.revision == 1


def test_only_what_changed_is_fetched(cloud: Cloud) -> None:
    """Of five files the new one alone."""
    world = completed(cloud)
    before = len(world.effects("artifact_served"))
    move(world, "stage__approved")
    world.refresh(*CASE)
    served = [each["name"] for each in world.effects("artifact_served")[before:]]
    assert served == ["stage__approved.pdf"]


def test_a_burst_of_deliveries_is_one_refresh(cloud: Cloud) -> None:
    """Seven deliveries start one execution; what comes while it runs starts one more."""
    world = completed(cloud)
    move(world, "stage__approved")
    body = json.dumps({"case_id": case_id(world)}).encode()

    def tell() -> None:
        at = {"look": 1, "received_at": now()}
        wake("claims", body, **at, context=world.context)  # type: ignore[arg-type]

    for _ in range(7):
        tell()
    assert len({name for name, _ in world.tokens.started}) == 1
    assert len(world.run_started()) == 1
    tell()
    name, case = world.tokens.started.pop()
    world.before_publish = lambda: [tell() for _ in range(3)]
    world.execute(case, f"arn:{name}")
    world.before_publish = None
    assert len(world.run_started()) == 1


def test_a_refresh_that_fails_leaves_the_case_as_it_is(cloud: Cloud) -> None:
    """Its reason is kept beside the case, and the next delivery tries again."""
    world = completed(cloud)
    before = read(cloud, f"{PREFIX}result.json")
    move(world, "stage__approved")
    world.keys.wrong = True
    world.refresh(*CASE)
    case = world.context.cases.get(CASE)
    assert (case.record.status, case.record.revision, case.record.reason) == ("completed", 1, None)
    assert read(cloud, f"{PREFIX}result.json") == before
    assert "refused the API key" in str(world.context.refreshes.find(CASE).error)
    world.keys.wrong = False
    deliver(world, {"case_id": case_id(world)})
    assert read(cloud, f"{PREFIX}result.json")["revision"] == 2
    assert world.context.refreshes.find(CASE).error is None


def test_a_delivery_during_the_first_collection_is_not_lost(cloud: Cloud) -> None:
    """It comes after the files were listed and before the case has ended: a refresh follows."""
    world = World(cloud)

    def meanwhile() -> None:
        if world.context.cases.get(CASE).record.revision:
            return
        move(world, "stage__approved")
        body, at = json.dumps({"case_id": case_id(world)}).encode(), {"look": 1, "received_at": now()}
        wake("claims", body, **at, context=world.context)  # type: ignore[arg-type]

    world.before_publish = meanwhile
    assert world.submit(*CASE, samples("invoice.pdf"))["revision"] == 1
    assert len(world.run_started()) == 1
    assert read(cloud, f"{PREFIX}result.json")["stage_id"] == "stage__approved"


def test_a_refresh_killed_around_any_external_call_changes_nothing(cloud: Cloud) -> None:
    """Killed before or after each call, the revision is the same, and after each kill one of the two is current."""
    for number in range(0, 1000, min(STRIDE, 31)):
        cloud.empty_table()
        world = completed(cloud)
        move(world, "stage__approved")
        world.killer.seen = 0
        world.killer.at = number
        world.on_kill = lambda world=world: stands(world)
        world.refresh(*CASE)
        seen = world.killer.seen
        result = read_stored(cloud.app.objects.read(f"{PREFIX}result.json") or b"")
        assert (result.revision, result.stage_id, result.status) == (2, "stage__approved", "completed"), number
        assert {each.name for each in result.artifacts} >= {"stage_approved.pdf", "invoice.pdf"}
        stands(world)
        record = world.context.cases.get(CASE).record
        assert (record.revision, record.committed) == (2, None)
        refresh = world.context.refreshes.find(CASE)
        assert (refresh.number, refresh.execution_arn, refresh.error) == (1, None, None), number
        former = read_stored(cloud.app.objects.read(f"{PREFIX}revisions/1/result.json") or b"")
        assert content(former) != content(result)
        if number > seen:
            break
    assert number > 100


def stands(world: World) -> None:
    """Check that the revision that the manifest names is whole, and that the case says the same or the one before."""
    manifest = read(world.cloud, f"{PREFIX}manifest.json")
    whole(world.cloud, manifest)
    own = next(each for each in manifest["files"] if each["source"] == "dossier")
    result = json.loads(world.cloud.app.objects.read(own["key"], version_id=own["version_id"]) or b"")
    assert result["revision"] == manifest["revision"]
    named = {each["key"] for each in manifest["files"] if each["source"].startswith("artifact:")}
    assert named == {each["key"] for each in result["artifacts"]}


def test_publication_continues_after_its_execution_is_gone(cloud: Cloud) -> None:
    """Committed, then aborted: the next refresh begins with Publish, whatever the vendor answers now."""
    world = completed(cloud)
    move(world, "stage__approved")
    world.refresh_until_committed(*CASE)
    assert world.context.cases.get(CASE).record.committed == 2
    assert read(cloud, f"{PREFIX}result.json")["revision"] == 1
    world.fail({"connection": "claims", "reference": "R-1", "refresh": 1}, world.last_arn, "ABORTED", "aborted")
    deliver(world, {"case_id": case_id(world)})
    assert read(cloud, f"{PREFIX}result.json")["revision"] == 2
    whole(cloud, read(cloud, f"{PREFIX}manifest.json"))
