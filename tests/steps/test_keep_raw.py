"""``keep_raw = false``: raw answers are deleted once a revision is published, and later results do not differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dossier.layout import PASSING, TAG
from dossier.models import CaseId
from dossier.result import read_stored
from dossier.revisions import content
from dossier.vendors.docsumo import answers, results
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples
from tests.steps.updates import case_id, deliver, move, read, whole

CONNECTIONS = ("claims", "disputes", "invoices")


def switch(world: World, connection: str, *, keep: bool) -> None:
    """Deploy the connection with another setting."""
    world.connections[connection] = world.connections[connection].model_copy(update={"keep_raw": keep})


def completed(cloud: Cloud, connection: str, *, keep: bool = False) -> World:
    """Return a world with a completed case of two documents, whose connection keeps raw answers or not."""
    world = World(cloud)
    switch(world, connection, keep=keep)
    files = samples("invoice.pdf", "scan.tiff")
    assert world.submit(connection, "R-1", files)["status"] == "completed"
    world.run_started()
    return world


def raw(cloud: Cloud, connection: str) -> dict[str, bytes]:
    """Return the raw answers that still exist, wherever they are."""
    objects, found = cloud.app.objects, {}
    for prefix in (f"cases/{connection}/R-1/vendor/", f"collecting/{connection}/R-1/"):
        for each in objects.stats(prefix):
            if "/vendor/" in each.key:
                found[each.key.rpartition("/")[2].removesuffix(".json")] = objects.read(each.key) or b""
    return found


def result_text(cloud: Cloud, connection: str) -> str:
    """Return the result's content, without its times."""
    body = cloud.app.objects.read(f"cases/{connection}/R-1/result.json")
    assert body is not None
    return content(read_stored(body))


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_no_part_of_an_answer_stays(cloud: Cloud, connection: str) -> None:
    """Only answers that the vendor sends once leave ids, names and states.

    Result and manifest are whole without raw answers.
    """
    world = completed(cloud, connection)
    left = raw(cloud, connection)
    assert set(left) == ({"upload-0"} if connection == "claims" else set())
    manifest = read(cloud, f"cases/{connection}/R-1/manifest.json")
    assert not [each for each in manifest["files"] if each["source"].startswith("vendor:")]
    whole(cloud, manifest)
    for number in range(2):
        world.refresh(connection, "R-1")
        assert set(raw(cloud, connection)) == set(left), number
    assert world.context.cases.get(CaseId(connection, "R-1")).record.revision == 1


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_every_result_is_as_with_raw_answers(cloud: Cloud, connection: str) -> None:
    """After the first collection, one that finds nothing, and one after the setting was switched back and forth."""
    world = completed(cloud, connection, keep=True)
    kept = result_text(cloud, connection)
    assert raw(cloud, connection)
    for keep in (False, False, True, True, False):
        switch(world, connection, keep=keep)
        world.refresh(connection, "R-1")
        assert result_text(cloud, connection) == kept
        record = world.context.cases.get(CaseId(connection, "R-1")).record
        assert (record.revision, record.status) == (1, "completed")
        assert not world.context.refreshes.find(record.id).error
    stats = cloud.app.objects.stats(f"cases/{connection}/R-1/vendor/")
    assert {each.key.rpartition("/")[2] for each in stats} <= {"upload-0.json"}


def test_a_change_is_the_next_revision(cloud: Cloud) -> None:
    """The vendor is asked again for deleted answers."""
    world = completed(cloud, "claims")
    move(world, "stage__approved")
    world.refresh("claims", "R-1")
    result = read(cloud, "cases/claims/R-1/result.json")
    assert (result["revision"], result["stage_id"]) == (2, "stage__approved")
    assert set(raw(cloud, "claims")) == {"upload-0"}
    whole(cloud, read(cloud, "cases/claims/R-1/manifest.json"))


@pytest.mark.parametrize("connection", ["disputes", "invoices"])
def test_an_answer_that_cannot_be_read_again_stands_as_its_artifact(cloud: Cloud, connection: str) -> None:
    """The artifact is the answer; so the values of a document do not vanish because its request fails once."""
    world = completed(cloud, connection)
    kept = result_text(cloud, connection)
    document = world.context.cases.get(CaseId(connection, "R-1")).documents[0]
    world.transport._client = Failing(world.transport._client, str(document.document_id))  # type: ignore[assignment]
    world.refresh(connection, "R-1")
    assert world.transport._client.failed  # type: ignore[attr-defined]
    assert result_text(cloud, connection) == kept


class Failing:
    """A client that gets no usable answer about one document."""

    def __init__(self, client: Any, about: str) -> None:
        self._client, self._about, self.failed = client, about, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send(self, request: Any, **more: Any) -> Any:
        """Send a request, about that document to a place that has nothing."""
        if request.method == "GET" and request.url.path.endswith(self._about):
            self.failed += 1
            request = self._client.build_request("GET", request.url.copy_with(path=f"{request.url.path}-not-here"))
        return self._client.send(request, **more)


def test_a_killed_publication_leaves_nothing_either(cloud: Cloud) -> None:
    """The next refresh finishes it, and its raw answers are deleted too."""
    world = completed(cloud, "claims")
    move(world, "stage__approved")
    world.refresh_until_committed("claims", "R-1")
    assert len(raw(cloud, "claims")) > 1
    world.fail({"connection": "claims", "reference": "R-1", "refresh": 1}, world.last_arn, "ABORTED", "aborted")
    deliver(world, {"case_id": case_id(world)})
    assert read(cloud, "cases/claims/R-1/result.json")["revision"] == 2
    assert set(raw(cloud, "claims")) == {"upload-0"}


def test_versions_of_deleted_answers_expire_by_their_tag(cloud: Cloud) -> None:
    """S3 keeps a deleted version until the rule for this tag deletes it, a day later (``infra/bucket.py``)."""
    world = World(cloud)
    switch(world, "invoices", keep=False)
    s3 = cloud.session.client("s3")
    seen: dict[str, str] = {}

    def look() -> None:
        for each in cloud.app.objects.stats("cases/invoices/R-1/vendor/"):
            [tag] = s3.get_object_tagging(Bucket=BUCKET, Key=each.key)["TagSet"]
            seen[each.key] = tag["Value"]
            assert tag["Key"] == TAG

    world.before_publish = look
    world.submit("invoices", "R-1", samples("invoice.pdf"))
    assert seen
    assert set(seen.values()) == {PASSING}


def test_facts_are_what_a_result_reads_and_no_more() -> None:
    """Of an upload's answer and of the after-steps' answer; facts of facts are the same; nonsense has none."""
    upload = {"case_id": "c-1", "documents": [{"doc_id": "d", "filename": "a.pdf", "status": "x", "text": "secret"}, 3]}
    body = json.dumps({"data": {**upload, "summary": "secret"}}).encode()
    facts = results.facts("upload-0", body)
    assert b"secret" not in facts
    assert results.facts("upload-0", facts) == facts
    as_read: Callable[[bytes], Any] = lambda each: answers.documents_of(json.loads(each)["data"])  # noqa: E731
    assert as_read(facts) == as_read(body)
    after = json.dumps(
        {"case_id": "c-1", "case_name": "n", "stage_id": "s", "modified_date": "2026-01-31", "x": "secret"}
    )
    found = results.facts("after", after.encode())
    assert b"secret" not in found
    assert answers.entry(json.loads(found)["data"]).stage_id == "s"
    for nonsense in (b"", b"[1]", b'{"data": 3}', b"\xff"):
        assert json.loads(results.facts("upload-0", nonsense)) == {"data": {}}


def test_an_artifact_that_is_not_an_answer_replaces_none(cloud: Cloud) -> None:
    """Docsumo's files are from storage."""
    world = World(cloud)
    assert world.context.vendor_of(world.connection("claims")).answer_of("file-1") is None
