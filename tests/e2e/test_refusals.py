"""Permanent failures: each case ends with one line that says what to fix, and leaves nothing behind."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.e2e.otherservers import NEVER
from tests.e2e.world import World, until


def check_failed(world: World, connection: str, reference: str, arn: str, *words: str) -> dict[str, Any]:
    """Check that every place shows the failed case with the same reason, in one line, and that it waits nowhere."""
    ended = world.ended(arn)
    assert ended["status"] == "FAILED", ended
    reason = str(ended["cause"])
    assert "\n" not in reason
    assert not reason.startswith("{")
    assert all(word in reason for word in words), reason
    status = world.status(connection, reference)
    assert (status["status"], status["reason"], status["error"]) == ("failed", reason, ended["error"])
    result = world.result(connection, reference)
    assert (result["status"], result["reason"], result["reference"]) == ("failed", reason, reference)
    (event,) = until(lambda: world.events(reference))
    assert (event["detail-type"], event["detail"]["status"]) == ("Case Failed", "failed")
    assert (event["detail"]["reason"], event["detail"]["result"]) == (reason, status["result_key"])
    assert json.loads(world.read(event["detail"]["manifest"]))["reference"] == reference
    check_nothing_left(world, connection, reference)
    return status


def check_nothing_left(world: World, connection: str, reference: str) -> None:
    """Check that a case is in no waiting room and asks no question, and no request of it is in doubt."""
    kinds = {key.partition("#")[0] for key in world.items(f"CASE#{connection}#{reference}")}
    assert not kinds & {"WAIT", "ASK"}
    assert not [key for key in world.items(f"INTENTS#{connection}") if key.startswith(f"{reference}#")]


def refused(world: World, connection: str, reference: str, *arguments: str) -> Any:
    """Submit a case that fails, wait for its end, and return the command's document."""
    given = ("submit", connection, *arguments, "--reference", reference, "--wait", "--timeout", "900")
    output = world.dossier(*given, code=1)
    assert len([line for line in output.stderr.splitlines() if line.startswith("dossier: ")]) == 1
    return output.document


def test_bad_usage(world: World) -> None:
    """A mistake that the command detects itself ends with exit code 2 and one line, and starts nothing."""
    file, before = str(world.file("usage.pdf")), len(world.executions("usage"))
    for arguments, words in (
        (("submit", "nobody", file, "--reference", "usage"), ('unknown connection "nobody"', "scans", "intake")),
        (("submit", "scans", "/no/such/file.pdf", "--reference", "usage"), ("there is no file /no/such/file.pdf",)),
        (("submit", "scans", file, "--reference", "usage/.."), ("reference", "letters, digits")),
        (("submit", "scans", "--reference", "usage"), ("nothing to submit",)),
        (("status", "nobody", "usage"), ('unknown connection "nobody"',)),
        (("frobnicate",), ("No such command",)),
    ):
        output = world.dossier(*arguments, code=2)
        (line,) = output.stderr.splitlines()
        assert all(word in line for word in words), line
        assert output.document["error"]["message"] in line
    assert len(world.executions("usage")) == before


@pytest.mark.parametrize(("ending", "words"), [("txt", ("unknown type", "PDF")), ("pdf", ("is empty",))])
def test_unusable_document_rejects_the_case(world: World, ending: str, words: tuple[str, ...]) -> None:
    """An empty document, or one of an unsupported type, is rejected before any request to the vendor."""
    reference = world.name(f"unusable-{ending}")
    file = world.file(f"{reference}.{ending}")
    if ending == "pdf":
        file.write_bytes(b"")
    output = refused(world, "scans", reference, str(file))
    assert output["execution_arn"] is None
    assert all(word in output["reason"] for word in (file.name, *words))
    uri = world.put(f"uploads/{file.name}", file.read_bytes())
    case = {"connection": "scans", "reference": reference, "documents": [{"uri": uri, "name": file.name}]}
    arn = world.start(case, str(uuid.uuid4()))
    status = check_failed(world, "scans", reference, arn, file.name, *words)
    assert output["reason"] == status["reason"]
    assert not world.vendors.uploads(reference)


def test_fixed_document_may_be_submitted_again(world: World) -> None:
    """A rejected reference is free again for the corrected case."""
    reference = world.name("mended")
    documents = [{"uri": f"s3://{world.outputs['bucket']}/uploads/none.pdf"}]
    case = {"connection": "scans", "reference": reference, "documents": documents}
    check_failed(world, "scans", reference, world.start(case, str(uuid.uuid4())), "does not exist")
    assert world.complete("scans", reference, world.file(f"{reference}.pdf"))["status"] == "completed"


def test_bad_execution_input(world: World) -> None:
    """An execution that was started by hand with a wrong input fails at once and says what to fix."""
    uri = f"s3://{world.outputs['bucket']}/no/such.pdf"
    documents = [{"uri": uri}]
    cases: list[tuple[Any, tuple[str, ...]]] = [
        ({"connection": "nobody", "reference": "r", "documents": documents}, ('unknown connection "nobody"', "scans")),
        ({"connection": "scans", "reference": "-r", "documents": documents}, ("reference", "letters, digits")),
        ({"connection": "scans", "reference": "r\n", "documents": documents}, ("reference", "letters, digits")),
        ({"connection": "scans", "reference": "../r", "documents": documents}, ("reference", "letters, digits")),
        ({"connection": "scans", "reference": "r" * 101, "documents": documents}, ("reference",)),
        ({"connection": "scans", "reference": "r", "documents": []}, ("no documents",)),
        ({"connection": "scans", "reference": "r", "documents": documents, "webhook": 1}, ("webhook: unknown key",)),
        ({"connection": "scans", "documents": documents}, ("reference",)),
        ([], ("input",)),
    ]
    started = [(world.start(data, f"wrong-{uuid.uuid4()}"), words) for data, words in cases]
    for arn, words in started:
        ended = world.ended(arn)
        assert (ended["status"], ended["error"]) == ("FAILED", "InvalidCaseError"), ended
        assert all(word in ended["cause"] for word in words), ended["cause"]
        assert "\n" not in ended["cause"]


def test_missing_object(world: World) -> None:
    """A document that is not in the bucket fails the case, and the reason names it."""
    reference = world.name("missing")
    uri = f"s3://{world.outputs['bucket']}/no/such.pdf"
    arn = world.start({"connection": "scans", "reference": reference, "documents": [{"uri": uri}]}, str(uuid.uuid4()))
    check_failed(world, "scans", reference, arn, uri)


def test_missing_bucket(world: World) -> None:
    """A document in a bucket that is not there fails the case at the first try, and the reason says what to do."""
    for bucket in ("YOUR-ARTIFACT-BUCKET", "nobodys-bucket"):
        reference = world.name("no-bucket")
        uri = f"s3://{bucket}/uploads/invoice.pdf"
        case = {"connection": "scans", "reference": reference, "documents": [{"uri": uri}]}
        arn = world.start(case, str(uuid.uuid4()))
        check_failed(world, "scans", reference, arn, uri, "document_buckets")
        pages = world.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event["type"] for page in pages for event in page["events"]]
        assert len([each for each in events if each.endswith("Failed") and each != "ExecutionFailed"]) == 1, events


def test_wrong_key(world: World) -> None:
    """A vendor that answers 401 fails the case; the reason says what to do."""
    reference, before = world.name("locked"), len(world.vendors.calls("locked"))  # `secrets set` asked with that key
    output = refused(world, "locked", reference, str(world.file(f"{reference}.pdf")))
    check_failed(world, "locked", reference, output["execution_arn"], "refused the API key", "401")
    assert [each.status for each in world.vendors.calls("locked")[before:]] == [401]
    check_queue(world, "locked")


def test_missing_secret(world: World) -> None:
    """A connection without a secret fails the case before any call; the reason names the command."""
    reference = world.name("keyless")
    output = refused(world, "keyless", reference, str(world.file(f"{reference}.pdf")))
    check_failed(world, "keyless", reference, output["execution_arn"], "dossier secrets set keyless")
    assert not world.vendors.calls("keyless")
    check_queue(world, "keyless")


def test_deadline(world: World) -> None:
    """A vendor that does not finish in time fails the case once the connection's deadline has passed."""
    reference = world.name("hasty")
    world.vendors.plan(reference, seconds=NEVER)
    output = refused(world, "hasty", reference, str(world.file(f"{reference}.pdf")))
    check_failed(world, "hasty", reference, output["execution_arn"], "did not finish within 3 s", "deadline")
    check_queue(world, "hasty")


def check_queue(world: World, connection: str) -> None:
    """Check that a connection's poll queue has run empty."""
    empty = {"ready": 0, "worked_on": 0, "delayed": 0}
    until(lambda: world.messages(f"poll-{connection}") == empty)
    assert world.messages(f"poll-{connection}-dlq") == empty


def test_case_that_the_vendor_does_not_have(world: World) -> None:
    """Collecting a case that no vendor has fails and names it."""
    for connection, case_id in (("intake", "case__nobodys"), ("quarrels", str(uuid.uuid4()))):
        reference = world.name("nowhere")
        output = refused(world, connection, reference, "--case-id", case_id)
        check_failed(world, connection, reference, output["execution_arn"], case_id)


@pytest.mark.parametrize("connection", ["scans", "intake", "quarrels"])
def test_some_documents_fail(world: World, connection: str) -> None:
    """A case with one document that the vendor could not read is completed with failures, and names it."""
    reference = world.name("partly")
    good, bad = world.file(f"{reference} good.pdf"), world.file(f"{reference} bad.pdf")
    world.vendors.plan(f"{reference} bad", fails=True)
    given = ("submit", connection, str(good), str(bad), "--reference", reference, "--wait", "--timeout", "900")
    output = world.dossier(*given).document
    assert output["status"] == "completed_with_failures"
    result = world.result(connection, reference)
    assert result["status"] == "completed_with_failures"
    assert [bool(each["error"]) for each in result["documents"]] == [False, True]
    assert world.ended(output["execution_arn"])["status"] == "SUCCEEDED"
    (event,) = until(lambda: world.events(reference))
    assert (event["detail-type"], event["detail"]["status"]) == ("Case Completed", "completed_with_failures")
    check_nothing_left(world, connection, reference)


@pytest.mark.parametrize("connection", ["scans", "quarrels"])
def test_one_document_never_ends(world: World, connection: str) -> None:
    """At the deadline finished documents are collected, and the other one is marked as unfinished."""
    reference = world.name("tails")
    done, stuck = world.file(f"{reference} done.pdf"), world.file(f"{reference} stuck.pdf")
    world.vendors.plan(f"{reference} stuck", seconds=NEVER)
    result = world.complete(connection, reference, done, stuck, rest=("--deadline", "6s"))
    assert result["status"] == "completed_with_failures"
    assert [each["error"] for each in result["documents"]] == [None, "not finished by the deadline"]
    check_nothing_left(world, connection, reference)


def test_files_that_storage_does_not_have(world: World) -> None:
    """Each is its own failure, with its reason; every document's status is there."""
    reference = world.name("gone")
    world.vendors.plan(reference, serves=("gone",) * 100)
    result = world.complete("intake", reference, world.file(f"{reference}.pdf"))
    assert (result["status"], result["artifacts"]) == ("completed_with_failures", [])
    assert [each["error"] for each in result["documents"]] == [None]
    assert result["failed_artifacts"]
    assert all("404" in each["error"] for each in result["failed_artifacts"])


@pytest.mark.parametrize("connection", ["scans", "intake", "quarrels"])
def test_case_whose_documents_all_fail_fails(world: World, connection: str) -> None:
    """A case of which the vendor could read nothing, or whose assessment failed, has failed."""
    reference = world.name("wholly")
    world.vendors.plan(reference, fails=True)
    name = "a fine paper.pdf" if connection == "quarrels" else f"{reference}.pdf"
    output = refused(world, connection, reference, str(world.file(name)))
    check_failed(world, connection, reference, output["execution_arn"])
    assert output["reference"] == reference


def test_not_finished_in_time_and_stopped(world: World) -> None:
    """A timeout ends with exit code 3; an execution that is stopped ends its case and its wait."""
    reference = world.name("stopped")
    world.vendors.plan(reference, seconds=NEVER)
    file = str(world.file(f"{reference}.pdf"))
    output = world.dossier("submit", "scans", file, "--reference", reference, "--wait", "--timeout", "15", code=3)
    arn = output.document["execution_arn"]
    until(lambda: world.waits("scans", reference))
    assert world.status("scans", reference)["status"] == "waiting"
    world.client("stepfunctions").stop_execution(executionArn=arn, error="Changed", cause="not needed any more")
    until(lambda: world.status("scans", reference)["status"] == "failed")
    assert world.ended(arn)["status"] == "ABORTED"
    status = world.status("scans", reference)
    assert "not needed any more" in status["reason"] or "ABORTED" in status["reason"], status
    check_nothing_left(world, "scans", reference)
    (event,) = until(lambda: world.events(reference))
    assert event["detail-type"] == "Case Failed"
    asked = len(world.vendors.calls("scans", "status"))
    assert asked
