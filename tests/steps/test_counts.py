"""Limits on numbers: a setting bounds a vendor's lists, and the largest case fits into a state."""

from __future__ import annotations

import hashlib
import json
import re

import httpx
import pytest

from dossier.errors import ConfigurationError
from dossier.models import CaseId, CaseInput
from dossier.settings import MOST_ARTIFACTS, Limits
from dossier.steps.accept import Accepted
from dossier.steps.collect import ITERATIONS, Collected, chunks
from dossier.steps.download import download
from dossier.steps.publish import publish
from dossier.stores.cases import ArtifactRecord
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples
from tests.meter import Meter

STATE_BYTES = 256 * 1024
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: input or result of a task or execution."""
FILES = {"invoices": ("invoice.pdf", "scan.tiff"), "claims": ("invoice.pdf", "photo.jpg"), "disputes": ("invoice.pdf",)}


@pytest.mark.rule("security: do the same with a list: too many files, endless cases")
@pytest.mark.parametrize("connection", FILES)
def test_a_case_with_more_files_than_allowed_fails_before_the_first(cloud: Cloud, connection: str) -> None:
    """The reason is one line that names the setting; raised, the same case has all of its files."""
    world, files = World(cloud), samples(*FILES[connection])
    allowed = world.connections[connection]
    few = allowed.limits.model_copy(update={"artifacts": 1})
    world.connections[connection] = allowed.model_copy(update={"limits": few})
    result = world.submit(connection, "R-1", files)
    assert result["status"] == "failed"
    assert "files for the case, more than 1: raise limits.artifacts if that is correct" in result["reason"]
    assert "\n" not in result["reason"]
    assert result["artifacts"] == []
    assert world.context.cases.get(CaseId(connection, "R-1")).artifacts == ()
    world.connections[connection] = allowed
    assert len(world.submit(connection, "R-2", files)["artifacts"]) > 1


@pytest.mark.rule("security: do the same with a list: too many files, endless cases")
def test_the_largest_case_fits_into_a_state() -> None:
    """Accept and Collect return only numbers to the state machine: far below 256 KiB for the largest case."""
    most = next(each.max_length for each in CaseInput.model_fields["documents"].metadata if hasattr(each, "max_length"))
    accepted = Accepted(
        connection="c" * 32,
        reference="r" * 100,
        outcome="new",
        execution_arn="a" * 300,
        opens=True,
        phases=["documents", "results"],
        uploads=list(range(most)),
        at_once=100,
        deadline=30 * 86400,
    )
    collected = Collected(artifacts=chunks(range(MOST_ARTIFACTS)), at_once=100)
    assert len(accepted.model_dump_json()) < STATE_BYTES / 4
    assert len(collected.model_dump_json()) < STATE_BYTES / 4
    assert Limits(artifacts=MOST_ARTIFACTS).artifacts == MOST_ARTIFACTS
    with pytest.raises(ValueError, match="less than or equal to 10000"):
        Limits(artifacts=MOST_ARTIFACTS + 1)


@pytest.mark.parametrize("count", [0, 1, ITERATIONS, ITERATIONS + 1, 3 * ITERATIONS - 1, MOST_ARTIFACTS])
def test_every_artifact_is_in_one_chunk(count: int) -> None:
    """Whatever the number, each is downloaded once, in so few iterations that the execution's history has room."""
    parts = chunks(range(count))
    assert [index for part in parts for index in part] == list(range(count))
    assert len(parts) <= ITERATIONS
    assert all(parts)


def collected(cloud: Cloud, count: int) -> tuple[World, Meter]:
    """Return a case with that many artifacts to download, and a counter of its calls from now on."""
    meter = Meter()
    meter.attach(cloud.session)
    world = World(cloud)
    result = world.submit("disputes", f"R-{count}", samples("invoice.pdf"))
    assert result["status"] == "completed"
    source = world.context.cases.get(CaseId("disputes", f"R-{count}")).artifacts[0].source
    for index in range(count):
        record = ArtifactRecord(index=index, name=f"{index}.json", source=source, content_type="application/json")
        world.context.cases.put_artifact(CaseId("disputes", f"R-{count}"), record)
    return world, meter


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_a_download_costs_the_same_however_many_there_are(cloud: Cloud, count: int) -> None:
    """In a case of any size each download reads only its record, its artifact and the rate."""
    world, meter = collected(cloud, count)
    for index in (0, count // 2, count - 1):
        world.context.limiter._read.clear()  # as in a function of its own
        read, written, requests = meter.read_units, meter.write_units, meter.requests.total()
        download(CaseId("disputes", f"R-{count}"), index, context=world.context)
        cost = (meter.read_units - read, meter.write_units - written, meter.requests.total() - requests)
        artifact = world.context.cases.artifact(CaseId("disputes", f"R-{count}"), index)
        assert artifact is not None
        assert artifact.key is not None
        assert cost == (3, 2, 7)


def test_stored_artifact_is_not_downloaded_again(cloud: Cloud) -> None:
    """A download that runs twice only reads that the file is stored."""
    world, meter = collected(cloud, 10)
    download(CaseId("disputes", "R-10"), 3, context=world.context)
    read, requests, asked = meter.read_units, meter.requests.total(), len(world.journal())
    download(CaseId("disputes", "R-10"), 3, context=world.context)
    assert (meter.read_units - read, meter.requests.total() - requests, len(world.journal()) - asked) == (2, 2, 0)


@pytest.mark.parametrize("connection", FILES)
def test_publish_reads_each_raw_answer_once(cloud: Cloud, connection: str) -> None:
    """Result and manifest are made of the same reading, and the manifest's checksums are those of the objects."""
    meter = Meter()
    meter.attach(cloud.session)
    world = World(cloud)
    counted: list[int] = []
    world.before_publish = lambda: counted.append(meter.requests["s3.GetObject"])
    world.submit(connection, "R-1", samples(*FILES[connection]))
    prefix = f"cases/{connection}/R-1/"
    answers = [key for key, _ in world.context.objects.list(f"{prefix}vendor/")]
    looked = 1  # the world itself, at result.json
    assert meter.requests["s3.GetObject"] - counted[0] - looked == len(answers) > 0
    manifest = json.loads(world.context.objects.read(f"{prefix}manifest.json") or b"")
    listed = {each["key"]: (each["size"], each["sha256"]) for each in manifest["files"]}
    for key in answers:
        body = world.context.objects.read(key) or b""
        assert listed[key] == (len(body), hashlib.sha256(body).hexdigest())


def test_polls_for_results_store_no_answer(cloud: Cloud) -> None:
    """However often the vendor is asked, the case's JSON is only written when it is downloaded."""
    s3 = cloud.session.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    world = World(cloud)
    assert world.submit("disputes", "R-1", samples("invoice.pdf"))["status"] == "completed"
    found = s3.list_object_versions(Bucket=BUCKET, Prefix="cases/disputes/R-1/vendor/case.json")
    assert len(found["Versions"]) == 1


LARGE, SEVERAL = 300_000, 4


@pytest.mark.rule("security: fill the bucket")
def test_a_case_has_a_total(cloud: Cloud) -> None:
    """Files that each fit are left out once their total is too large; the reason names the setting."""
    world = World(cloud)
    allowed = world.connections["claims"]
    few = allowed.limits.model_copy(update={"case_bytes": 3 * LARGE, "artifact_bytes": LARGE})
    world.connections["claims"] = allowed.model_copy(update={"limits": few})
    vendors = Added(world)
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert result["status"] == "completed_with_failures"
    assert re.search(r"an artifact does not fit into .* 900000 bytes: raise limits\.case_bytes .*", result["reason"])
    stored = [each for each in world.context.cases.get(CaseId("claims", "R-1")).artifacts if each.key]
    assert sum(each.size for each in stored) <= few.case_bytes
    world.connections["claims"] = allowed
    assert len(world.submit("claims", "R-2", samples("invoice.pdf"))["artifacts"]) >= SEVERAL
    assert vendors.cases == 2


class Added:
    """Adds large files to each of Docsumo's cases once it is there."""

    def __init__(self, world: World) -> None:
        self.cases = 0
        self._world, self._seen = world, set[str]()
        world.sandbox.event_hooks["response"].append(self._add)

    def _add(self, response: httpx.Response) -> None:
        if response.request.method != "POST" or "/casetype/case" not in str(response.request.url):
            return
        response.read()
        case_id = response.json()["data"]["case_id"]
        self.cases += 1
        for number in range(SEVERAL):
            body = {"filename": f"large-{number}.bin", "size": LARGE}
            self._world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id}/artifacts", json=body).raise_for_status()


@pytest.mark.rule("security: fill the bucket")
def test_files_that_come_at_the_same_time_are_counted_together(cloud: Cloud) -> None:
    """The last of simultaneous downloads counts all of them."""
    world = World(cloud)
    vendors = Added(world)
    assert world.submit("claims", "R-1", samples("invoice.pdf"))["status"] == "completed"
    assert vendors.cases == 1
    cases, allowed = world.context.cases, world.connections["claims"]
    (mine, *others) = [each for each in cases.get(CaseId("claims", "R-1")).artifacts if each.size == LARGE]
    for each in (mine, *others):
        cases.put_artifact(CaseId("claims", "R-1"), each.model_copy(update={"key": None, "size": 0}))
    limits = allowed.limits.model_copy(update={"case_bytes": 3 * LARGE, "artifact_bytes": LARGE})
    world.connections["claims"] = allowed.model_copy(update={"limits": limits})

    def meanwhile(response: httpx.Response) -> None:
        if "/storage/" in str(response.request.url):
            for each in others:
                cases.put_artifact(CaseId("claims", "R-1"), each)
                cases.add_bytes(CaseId("claims", "R-1"), each.size)

    world.sandbox.event_hooks["response"].append(meanwhile)
    with pytest.raises(ConfigurationError, match=r"bytes together, more than 900000: raise limits\.case_bytes"):
        download(CaseId("claims", "R-1"), mine.index, context=world.context)


def test_small_files_are_counted_at_the_end(cloud: Cloud) -> None:
    """Files so small that all of them would fit cost no count each: publish adds them up before anything is written."""
    world = World(cloud)
    assert world.submit("claims", "R-1", samples("invoice.pdf"))["status"] == "completed"
    for index in range(5):
        record = ArtifactRecord(index=index, name=f"{index}.bin", source="s", key=f"k{index}", size=10 << 30)
        world.context.cases.put_artifact(CaseId("claims", "R-1"), record)
    few = world.connections["claims"].limits.model_copy(update={"case_bytes": 40 << 30})
    world.connections["claims"] = world.connections["claims"].model_copy(update={"limits": few})
    before = cloud.app.objects.read("cases/claims/R-1/result.json")
    with pytest.raises(
        ConfigurationError, match=r"have 53687091200 bytes together, more than 42949672960: raise limits"
    ):
        publish(CaseId("claims", "R-1"), context=world.context)
    assert cloud.app.objects.read("cases/claims/R-1/result.json") == before


def test_limits_of_a_case_and_of_a_file_fit_together() -> None:
    """A case has room for the largest file; unset limits follow from the set ones."""
    assert Limits().case_bytes == 50 << 30
    assert Limits(artifact_bytes=1 << 40).case_bytes == 1 << 40
    assert Limits(artifact_bytes=10, case_bytes=10).case_bytes == 10
    with pytest.raises(ValueError, match="artifact_bytes is larger than case_bytes"):
        Limits(artifact_bytes=11, case_bytes=10)
